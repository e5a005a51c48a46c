// SPDX-License-Identifier: MIT OR Apache-2.0
//! The header of a multiboot image (Multiboot Specification 0.6.96, "The layout
//! of Multiboot header"): where it is, and what its address fields say. An image
//! with address fields is loaded by them alone, whatever format it has.

use abi::range::Range;

use super::Segment;
use crate::image::guest::Trouble;
use crate::manifest::mistake::Kind;

/// The header lies in this much of the file.
const SEARCH: usize = 8192;
/// The magic word.
const MAGIC: u32 = 0x1bad_b002;
/// The address fields are valid.
const ADDRESSES: u32 = 1 << 16;

/// A multiboot header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Multiboot {
    /// Where the image says it is loaded, if it does.
    pub(super) loads: Option<Addresses>,
}

/// The address fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Addresses {
    /// Where the header lies in the file.
    at: usize,
    /// Where the header belongs.
    header: u32,
    /// First address.
    load: u32,
    /// One past the last address that comes from the file; the file's end if zero.
    load_end: u32,
    /// One past the last zeroed address; none if zero.
    bss_end: u32,
    /// The first instruction.
    entry: u32,
}

impl Multiboot {
    /// Finds the header.
    pub(super) fn find(image: &[u8]) -> Option<Self> {
        let word = |at: usize| image.get(at..)?.first_chunk().map(|word| u32::from_le_bytes(*word));
        for at in (0..SEARCH).step_by(4) {
            let (magic, flags, checksum) = (word(at)?, word(at + 4)?, word(at + 8)?);
            if magic != MAGIC || magic.wrapping_add(flags).wrapping_add(checksum) != 0 {
                continue;
            }
            if flags & ADDRESSES == 0 {
                return Some(Self { loads: None });
            }
            let field = |row: usize| word(at + 12 + 4 * row);
            let loads = Addresses {
                at,
                header: field(0)?,
                load: field(1)?,
                load_end: field(2)?,
                bss_end: field(3)?,
                entry: field(4)?,
            };
            return Some(Self { loads: Some(loads) });
        }
        None
    }
}

impl Addresses {
    /// What is copied, all that is taken with the zeroed part, and the entry.
    pub(super) fn cut(&self, image: &[u8]) -> Result<(Segment, Range, u64), Trouble> {
        let bytes = self.bytes(image).ok_or_else(|| {
            let message = "a multiboot header whose addresses lie outside the file";
            Trouble::new(Kind::NotElf, message, "correct the header's address fields")
        })?;
        let start = u64::from(self.load);
        let end = (start + bytes.len() as u64).max(self.bss_end.into());
        Ok(((start, bytes.to_vec()), Range::new(start, end - start), self.entry.into()))
    }

    fn bytes<'a>(&self, image: &'a [u8]) -> Option<&'a [u8]> {
        let before = usize::try_from(self.header.checked_sub(self.load)?).ok()?;
        let start = self.at.checked_sub(before)?;
        let end = match self.load_end {
            0 => image.len(),
            end => start.checked_add(usize::try_from(end.checked_sub(self.load)?).ok()?)?,
        };
        image.get(start..end).filter(|bytes| !bytes.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of 100 bytes with a header at 16.
    fn image(flags: u32, fields: [u32; 5]) -> Vec<u8> {
        let mut image = vec![0x90; 100];
        let words = [MAGIC, flags, 0_u32.wrapping_sub(MAGIC).wrapping_sub(flags)];
        for (row, word) in words.into_iter().chain(fields).enumerate() {
            image[16 + 4 * row..20 + 4 * row].copy_from_slice(&word.to_le_bytes());
        }
        image
    }

    #[test]
    fn a_header_is_found_by_its_checksum() {
        assert_eq!(Multiboot::find(&image(3, [0; 5])), Some(Multiboot { loads: None }));
        let mut damaged = image(3, [0; 5]);
        damaged[24] ^= 1;
        assert_eq!(Multiboot::find(&damaged), None);
        assert_eq!(Multiboot::find(b"short"), None);
    }

    #[test]
    fn address_fields_cut_the_file() {
        let fields = [0x10_0004, 0x10_0000, 0x10_0020, 0x10_1000, 0x10_0010];
        let image = image(ADDRESSES, fields);
        let loads = Multiboot::find(&image).unwrap().loads.unwrap();
        let (segment, taken, entry) = loads.cut(&image).unwrap();
        assert_eq!(segment, (0x10_0000, image[12..44].to_vec()));
        assert_eq!((taken, entry), (Range::new(0x10_0000, 0x1000), 0x10_0010));
        for wrong in [
            [0x10_0000, 0x10_0004, 0, 0, 0],
            [0x10_0020, 0x10_0000, 0, 0, 0],
            [0x10_0004, 0x10_0000, 0x10_1000, 0, 0],
        ] {
            let image = self::image(ADDRESSES, wrong);
            assert!(Multiboot::find(&image).unwrap().loads.unwrap().cut(&image).is_err());
        }
    }
}
