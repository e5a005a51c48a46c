// SPDX-License-Identifier: MIT OR Apache-2.0
//! ELF executables for Arm, 64 bits, little endian: what is loaded where.

use abi::range::Range;
use elf::ElfBytes;
use elf::abi::{EM_AARCH64, ET_DYN, ET_EXEC, PT_LOAD};
use elf::endian::LittleEndian;
use elf::segment::ProgramHeader;

use super::guest::Trouble;
use crate::manifest::mistake::Kind;

/// One PT_LOAD segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load<'a> {
    /// Where it is linked to run.
    pub(crate) run: u64,
    /// Where its bytes are copied.
    pub(crate) place: u64,
    /// Its bytes.
    pub(crate) bytes: &'a [u8],
    /// Bytes with its zero-initialised part.
    pub(crate) size: u64,
}

impl Load<'_> {
    /// The addresses it takes.
    pub(crate) fn range(&self) -> Range {
        Range::new(self.place, self.size)
    }
}

/// An executable.
#[derive(Clone, Debug)]
pub(crate) struct Executable<'a> {
    /// The first instruction, where it is copied.
    pub(crate) entry: u64,
    /// Its segments that have a size, in the file's order.
    pub(crate) loads: Vec<Load<'a>>,
}

/// Reads an executable.
pub(crate) fn read(image: &[u8]) -> Result<Executable<'_>, Trouble> {
    let trouble = |what: &str| {
        Trouble::new(Kind::NotElf, what, "give an ELF executable for AArch64, little endian")
    };
    if !image.starts_with(&elf::abi::ELFMAGIC) {
        return Err(trouble("not an ELF file"));
    }
    let file = ElfBytes::<LittleEndian>::minimal_parse(image);
    let file =
        file.map_err(|error| trouble(&format!("an ELF file that cannot be read: {error}")))?;
    if file.ehdr.class != elf::file::Class::ELF64 || file.ehdr.e_machine != EM_AARCH64 {
        return Err(trouble("an ELF file for another machine"));
    }
    if file.ehdr.e_type != ET_EXEC && file.ehdr.e_type != ET_DYN {
        return Err(trouble("an ELF file that is no executable"));
    }
    let headers: Vec<ProgramHeader> =
        file.segments().map(|table| table.iter().collect()).unwrap_or_default();
    let mut loads = Vec::new();
    for header in headers.iter().filter(|header| header.p_type == PT_LOAD && header.p_memsz != 0) {
        let bytes = file
            .segment_data(header)
            .map_err(|error| trouble(&format!("an ELF file that is cut: {error}")))?;
        if header.p_memsz < header.p_filesz {
            return Err(trouble(
                "an ELF file with a segment that is larger in the file than in memory",
            ));
        }
        loads.push(Load {
            run: header.p_vaddr,
            place: header.p_paddr,
            bytes,
            size: header.p_memsz,
        });
    }
    if loads.is_empty() {
        return Err(trouble("an ELF file without anything to load"));
    }
    let entry = file.ehdr.e_entry;
    let home =
        loads.iter().find(|load| Range::new(load.run, load.size).contains(Range::new(entry, 1)));
    let entry = home.map_or(entry, |load| entry.wrapping_sub(load.run).wrapping_add(load.place));
    Ok(Executable { entry, loads })
}
