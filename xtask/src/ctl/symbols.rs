// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names of addresses, from the ELF files that a machine's guests were taken from.

use abi::mailbox::answer::Answer;
use abi::mailbox::request::Request;
use bulkctl::link::{Broken, Link};
use bulkhead_test::line::Line;
use elf::ElfBytes;
use elf::abi::{STT_FUNC, STT_NOTYPE};
use elf::endian::AnyEndian;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// A line to a machine whose guests' programs are known.
#[derive(Debug)]
pub(super) struct Known {
    /// The line.
    pub(super) line: Line,
    /// Partitions, and the file of each one's guest.
    pub(super) programs: BTreeMap<String, PathBuf>,
}

impl Link for Known {
    fn ask(&mut self, request: &Request, patience: Duration) -> Result<Answer, Broken> {
        self.line.ask(request, patience)
    }

    fn symbol(&self, partition: &str, address: u64) -> Option<String> {
        symbol(&std::fs::read(self.programs.get(partition)?).ok()?, address)
    }
}

/// The symbol that an address belongs to, and how far it is behind it. A file that is no ELF
/// file, or was stripped, has none.
fn symbol(file: &[u8], address: u64) -> Option<String> {
    let file = ElfBytes::<AnyEndian>::minimal_parse(file).ok()?;
    let (table, names) = file.symbol_table().ok()??;
    let mut found: Option<(u64, String)> = None;
    for symbol in table.iter() {
        let code = matches!(symbol.st_symtype(), STT_FUNC | STT_NOTYPE) && symbol.st_shndx != 0;
        let behind = address.wrapping_sub(symbol.st_value);
        let inside = symbol.st_value <= address && (symbol.st_size == 0 || behind < symbol.st_size);
        let nearer = found.as_ref().is_none_or(|(distance, _)| behind < *distance);
        let name = names.get(symbol.st_name as usize).unwrap_or("");
        // Names such as `$x` mark code for disassemblers.
        if code && inside && nearer && !name.is_empty() && !name.starts_with('$') {
            found = Some((behind, format!("{:#}", rustc_demangle::demangle(name))));
        }
    }
    found.map(|(behind, name)| format!("{name}+{behind:#x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_program_has_no_names() {
        assert_eq!(symbol(b"", 0), None);
        assert_eq!(symbol(&[0x7f; 200], 0x1000), None);
    }

    #[test]
    fn this_program_knows_its_own_functions() {
        let file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let parsed = ElfBytes::<AnyEndian>::minimal_parse(&file).unwrap();
        let (table, names) = parsed.symbol_table().unwrap().unwrap();
        let is_main = |name: &str| name == "main";
        let mut all = table.iter();
        let main = all.find(|one| names.get(one.st_name as usize).is_ok_and(is_main)).unwrap();
        assert_eq!(symbol(&file, main.st_value + 2).as_deref(), Some("main+0x2"));
    }
}
