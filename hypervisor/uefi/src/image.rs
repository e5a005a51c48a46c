// SPDX-License-Identifier: MIT OR Apache-2.0
//! What this program carries: a section of its own image as the firmware loaded
//! it (Microsoft, "PE Format"), and in it an ELF file with a PVH note.

use elf::ElfBytes;
use elf::abi::PT_NOTE;
use elf::endian::LittleEndian;
use elf::note::Note;

/// Name of the section that `xtask` appends.
const SECTION: &[u8; 8] = b".bulkhd\0";
/// Where the first header has the address of the PE header.
const PE_AT: usize = 0x3c;
/// Bytes of the PE header before its optional part.
const PE_HEADER: usize = 24;
/// Bytes of a section's header.
const SECTION_HEADER: usize = 40;
/// `XEN_ELFNOTE_PHYS32_ENTRY`.
const PHYS32_ENTRY: u64 = 18;

/// A little-endian number of 2 or 4 bytes.
fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<usize> {
    let field = bytes.get(at..)?.first_chunk::<N>()?;
    Some(field.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

/// The section's bytes in a loaded image.
pub(crate) fn section(image: &[u8]) -> Option<&[u8]> {
    let header = number::<4>(image, PE_AT)?;
    let count = number::<2>(image, header.checked_add(6)?)?;
    let optional = number::<2>(image, header.checked_add(20)?)?;
    let table = image.get(header.checked_add(PE_HEADER + optional)?..)?;
    let mut sections = table.chunks_exact(SECTION_HEADER).take(count);
    let section = sections.find(|section| section.starts_with(SECTION))?;
    let (len, at) = (number::<4>(section, 8)?, number::<4>(section, 12)?);
    image.get(at..at.checked_add(len)?)
}

/// The 32-bit entry that a PVH note names.
pub(crate) fn entry(file: &ElfBytes<LittleEndian>) -> Option<u32> {
    let notes = file.segments()?.iter().filter(|segment| segment.p_type == PT_NOTE);
    for segment in notes {
        for note in file.segment_data_as_notes(&segment).ok()? {
            if let Note::Unknown(note) = note
                && note.n_type == PHYS32_ENTRY
            {
                return note.desc.first_chunk().map(|entry| u32::from_le_bytes(*entry));
            }
        }
    }
    None
}
