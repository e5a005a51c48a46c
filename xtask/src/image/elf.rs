// SPDX-License-Identifier: MIT OR Apache-2.0
//! ELF executables, little endian, for the board's instruction set: what is loaded where.

use abi::range::Range;
use elf::ElfBytes;
use elf::abi::{EM_386, EM_AARCH64, EM_X86_64, ET_DYN, ET_EXEC, PT_LOAD, PT_NOTE};
use elf::endian::LittleEndian;
use elf::file::Class;
use elf::note::Note;
use elf::segment::ProgramHeader;

use super::guest::Trouble;
use crate::manifest::board::Arch;
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
    /// What it may be used for, in ELF's bits.
    pub(crate) flags: u32,
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
    /// The contents of its PT_NOTE segments.
    pub(crate) notes: Vec<&'a [u8]>,
    /// The 32-bit entry that a PVH note names (Xen, `xen/include/public/elfnote.h`).
    pub(crate) pvh: Option<u64>,
}

/// Name of Xen's notes.
const XEN: &str = "Xen";
/// `XEN_ELFNOTE_PHYS32_ENTRY`.
const PHYS32_ENTRY: u64 = 18;

/// Reads an executable for an instruction set. One for x86 has either class:
/// its first instruction has 32 bits in any case.
pub(crate) fn read(image: &[u8], arch: Arch) -> Result<Executable<'_>, Trouble> {
    let cure = match arch {
        Arch::Aarch64 => "give an ELF executable for AArch64, little endian",
        Arch::X86_64 => "give an ELF executable for x86, with a PVH note or a multiboot header",
    };
    let trouble = |what: &str| Trouble::new(Kind::NotElf, what, cure);
    if !image.starts_with(&elf::abi::ELFMAGIC) {
        return Err(trouble("not an ELF file"));
    }
    let file = ElfBytes::<LittleEndian>::minimal_parse(image);
    let file =
        file.map_err(|error| trouble(&format!("an ELF file that cannot be read: {error}")))?;
    let fits = match (arch, file.ehdr.class, file.ehdr.e_machine) {
        (Arch::Aarch64, Class::ELF64, EM_AARCH64) => true,
        (Arch::X86_64, _, machine) => machine == EM_X86_64 || machine == EM_386,
        (Arch::Aarch64, ..) => false,
    };
    if !fits {
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
            flags: header.p_flags,
        });
    }
    if loads.is_empty() {
        return Err(trouble("an ELF file without anything to load"));
    }
    let entry = file.ehdr.e_entry;
    let home =
        loads.iter().find(|load| Range::new(load.run, load.size).contains(Range::new(entry, 1)));
    let entry = home.map_or(entry, |load| entry.wrapping_sub(load.run).wrapping_add(load.place));
    let notes = headers.iter().filter(|header| header.p_type == PT_NOTE);
    let notes: Vec<&[u8]> = notes.filter_map(|header| file.segment_data(header).ok()).collect();
    let mut pvh = None;
    for header in headers.iter().filter(|header| header.p_type == PT_NOTE) {
        for note in file.segment_data_as_notes(header).into_iter().flatten() {
            pvh = pvh.or(pvh_entry(&note));
        }
    }
    Ok(Executable { entry, loads, notes, pvh })
}

/// The address in a PVH note, which has 32 or 64 bits.
fn pvh_entry(note: &Note) -> Option<u64> {
    let Note::Unknown(note) = note else { return None };
    let name = note.name_str().ok()?.trim_end_matches('\0');
    if name != XEN || note.n_type != PHYS32_ENTRY {
        return None;
    }
    let mut address = [0; 8];
    address.get_mut(..note.desc.len())?.copy_from_slice(note.desc);
    Some(u64::from_le_bytes(address))
}
