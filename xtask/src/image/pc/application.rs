// SPDX-License-Identifier: MIT OR Apache-2.0
//! The UEFI application with the hypervisor's ELF file as one more section, so
//! that the whole is one file (Microsoft, "PE Format").

use anyhow::{Context, Result, ensure};

/// Name of the section, which `hypervisor/uefi` looks for.
const SECTION: &[u8; 8] = b".bulkhd\0";
/// Initialised data that can be read.
const FLAGS: u32 = 0x4000_0040;
/// Where the first header has the address of the PE header.
const PE_AT: usize = 0x3c;
/// Bytes of a section's header.
const SECTION_HEADER: usize = 40;

/// A file being changed.
struct File(Vec<u8>);

impl File {
    fn get<const N: usize>(&self, at: usize) -> Result<usize> {
        let field = self.0.get(at..).and_then(|rest| rest.first_chunk::<N>());
        let field = field.context("the UEFI application's headers are cut")?;
        Ok(field.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    fn put(&mut self, at: usize, bytes: &[u8]) -> Result<()> {
        let place = self.0.get_mut(at..at + bytes.len());
        place.context("the UEFI application's headers are cut")?.copy_from_slice(bytes);
        Ok(())
    }
}

/// The application that carries the ELF file.
pub(crate) fn join(application: &[u8], elf: &[u8]) -> Result<Vec<u8>> {
    let mut file = File(application.to_vec());
    let header = file.get::<4>(PE_AT)?;
    let sections = file.get::<2>(header + 6)?;
    let optional = header + 24;
    let table = optional + file.get::<2>(header + 20)?;
    let place = table + SECTION_HEADER * sections;
    let [section_align, file_align, image, headers] =
        [32, 36, 56, 60].map(|at| file.get::<4>(optional + at));
    let (section_align, file_align, image) = (section_align?, file_align?, image?);
    let free = file.0.get(place..place + SECTION_HEADER);
    let free = free.is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0));
    ensure!(free && place + SECTION_HEADER <= headers?, "no room for one more section's header");
    let address = image.next_multiple_of(section_align);
    let offset = file.0.len().next_multiple_of(file_align);
    let size = elf.len().next_multiple_of(file_align);
    let word = |value: usize| u32::try_from(value).context("the ELF file is too large");
    let fields = [word(elf.len())?, word(address)?, word(size)?, word(offset)?, 0, 0, 0, FLAGS];
    let fields: Vec<u8> = fields.iter().flat_map(|field| field.to_le_bytes()).collect();
    file.put(place, &[&SECTION[..], &fields].concat())?;
    file.put(header + 6, &u16::try_from(sections + 1)?.to_le_bytes())?;
    file.put(header + 8, &[0; 4])?; // the time of linking
    let end = (address + elf.len()).next_multiple_of(section_align);
    file.put(optional + 56, &word(end)?.to_le_bytes())?;
    file.put(optional + 64, &[0; 4])?; // the checksum, which nobody checks
    file.0.resize(offset, 0);
    file.0.extend_from_slice(elf);
    file.0.resize(offset + size, 0);
    Ok(file.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Headers with one section and room for another.
    fn application(headers: u32) -> Vec<u8> {
        let mut file = vec![0; 0x400];
        let fields: [(usize, &[u8]); 8] = [
            (0x3c, &0x40_u32.to_le_bytes()),
            (0x46, &1_u16.to_le_bytes()),
            (0x48, &[1, 2, 3, 4]),
            (0x54, &0x70_u16.to_le_bytes()),
            (0x58 + 32, &0x1000_u32.to_le_bytes()),
            (0x58 + 36, &0x200_u32.to_le_bytes()),
            (0x58 + 56, &0x2000_u32.to_le_bytes()),
            (0x58 + 60, &headers.to_le_bytes()),
        ];
        for (at, bytes) in fields {
            file[at..at + bytes.len()].copy_from_slice(bytes);
        }
        file
    }

    #[test]
    fn the_section_follows_the_others_in_file_and_image() {
        let elf = [7; 0x1234];
        let joined = File(join(&application(0x200), &elf).unwrap());
        assert_eq!(joined.get::<2>(0x46).unwrap(), 2);
        assert_eq!(joined.get::<4>(0x48).unwrap(), 0);
        let section = 0x58 + 0x70 + SECTION_HEADER;
        assert!(joined.0[section..].starts_with(SECTION));
        let field = |at: usize| joined.get::<4>(section + at).unwrap();
        assert_eq!([field(8), field(12), field(16), field(20)], [0x1234, 0x2000, 0x1400, 0x400]);
        assert_eq!(joined.get::<4>(0x58 + 56).unwrap(), 0x4000);
        assert_eq!(joined.0[0x400..0x400 + elf.len()], elf);
    }

    #[test]
    fn headers_without_room_are_refused() {
        assert!(join(&application(0xf0), b"elf").is_err());
        assert!(join(b"MZ", b"elf").is_err());
    }
}
