// SPDX-License-Identifier: MIT OR Apache-2.0
//! The arm64 Linux `Image`: where it wants to be and how much room it needs
//! (Linux, `Documentation/arch/arm64/booting.rst`, "Call the kernel image").

use super::guest::Trouble;
use crate::manifest::mistake::Kind;

/// Bytes of the header.
const HEADER: usize = 64;
/// Offset of the magic word.
const MAGIC_AT: usize = 56;
/// The magic word.
pub(crate) const MAGIC: &[u8] = b"ARM\x64";
/// Offset of the load offset.
const TEXT_OFFSET_AT: usize = 8;
/// Offset of the effective size.
pub(crate) const IMAGE_SIZE_AT: usize = 16;
/// Offset of the flags, of which bit 0 says big endian.
const FLAGS_AT: usize = 24;

/// What the header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Bytes from a 2 MiB boundary.
    pub(crate) text_offset: u64,
    /// Bytes that the kernel needs from there, its zeroed part included.
    pub(crate) image_size: u64,
}

/// Reads the header.
pub(crate) fn read(image: &[u8]) -> Result<Header, Trouble> {
    let trouble = |what: &str| {
        Trouble::new(Kind::NotLinux, what, "give an arm64 Linux Image, plain or gzipped")
    };
    let field = |at: usize| {
        image
            .get(at..)
            .and_then(|rest| rest.first_chunk())
            .map_or(0, |bytes| u64::from_le_bytes(*bytes))
    };
    if image.len() < HEADER || image.get(MAGIC_AT..MAGIC_AT + MAGIC.len()) != Some(MAGIC) {
        return Err(trouble("not an arm64 Linux Image"));
    }
    if field(FLAGS_AT) & 1 != 0 {
        return Err(trouble("a big-endian Linux Image"));
    }
    if field(IMAGE_SIZE_AT) == 0 {
        return Err(trouble("a Linux Image older than 3.17, which does not tell its size"));
    }
    let image_size = field(IMAGE_SIZE_AT).max(image.len() as u64);
    Ok(Header { text_offset: field(TEXT_OFFSET_AT), image_size })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with the given fields.
    fn image(text_offset: u64, size: u64, flags: u64) -> Vec<u8> {
        let mut image = vec![0; 100];
        for (at, value) in [(TEXT_OFFSET_AT, text_offset), (IMAGE_SIZE_AT, size), (FLAGS_AT, flags)]
        {
            image[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        image[MAGIC_AT..MAGIC_AT + 4].copy_from_slice(MAGIC);
        image
    }

    #[test]
    fn offset_and_size_come_from_the_header() {
        let header = Header { text_offset: 0x8_0000, image_size: 0x1ab_0000 };
        assert_eq!(read(&image(0x8_0000, 0x1ab_0000, 10)).unwrap(), header);
        assert_eq!(read(&image(0, 1, 10)).unwrap().image_size, 100);
    }

    #[test]
    fn other_kernels_are_refused() {
        assert_eq!(read(b"").unwrap_err().message, "not an arm64 Linux Image");
        assert_eq!(read(&image(0, 1, 11)).unwrap_err().message, "a big-endian Linux Image");
        assert!(read(&image(0, 0, 10)).unwrap_err().message.contains("older than 3.17"));
    }
}
