// SPDX-License-Identifier: MIT OR Apache-2.0
//! Images that come compressed: gzip, and the EFI "zboot" wrapping of newer
//! distributions (Linux, `drivers/firmware/efi/libstub/zboot-header.S`).

use std::borrow::Cow;
use std::io::Read;

use flate2::read::MultiGzDecoder;

use super::guest::Trouble;
use crate::manifest::mistake::Kind;

/// First bytes of a gzip stream.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// What zboot has at offset 4.
const ZBOOT: &[u8] = b"zimg";
/// Most bytes that an image may unpack to: more than any guest's flash holds.
const LIMIT: u64 = 1 << 30;

/// The image without its compression; one that has none is itself.
pub(crate) fn unpack(image: &[u8]) -> Result<Cow<'_, [u8]>, Trouble> {
    if image.starts_with(&GZIP) {
        return gunzip(image).map(Cow::Owned);
    }
    if image.get(4..8) != Some(ZBOOT) {
        return Ok(Cow::Borrowed(image));
    }
    let method = image.get(24..28).unwrap_or_default();
    if method != b"gzip" {
        let method = String::from_utf8_lossy(method);
        let message = format!("a zboot image compressed by {method}, of which only gzip is read");
        return Err(Trouble::new(Kind::NotLinux, message, "unpack it and give the plain Image"));
    }
    let field =
        |at: usize| image.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes) as usize);
    let payload =
        field(8).zip(field(12)).and_then(|(start, len)| image.get(start..start.checked_add(len)?));
    gunzip(payload.unwrap_or_default()).map(Cow::Owned)
}

fn gunzip(packed: &[u8]) -> Result<Vec<u8>, Trouble> {
    let mut image = Vec::new();
    let result = MultiGzDecoder::new(packed).take(LIMIT).read_to_end(&mut image);
    match result {
        Ok(_) => Ok(image),
        Err(error) => {
            let message = format!("a compressed image that is damaged: {error}");
            Err(Trouble::new(Kind::Damaged, message, "fetch or build it again"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn gzip_and_zboot_unpack_to_the_same() {
        let packed = gzip(b"kernel");
        assert_eq!(unpack(&packed).unwrap().as_ref(), b"kernel");
        let mut zboot = vec![0; 64];
        zboot[..8].copy_from_slice(b"MZ\0\0zimg");
        zboot[8..12].copy_from_slice(&64_u32.to_le_bytes());
        zboot[12..16].copy_from_slice(&(packed.len() as u32).to_le_bytes());
        zboot[24..28].copy_from_slice(b"gzip");
        zboot.extend_from_slice(&packed);
        assert_eq!(unpack(&zboot).unwrap().as_ref(), b"kernel");
        zboot[12] = 3;
        assert!(unpack(&zboot).is_err());
        zboot[24..28].copy_from_slice(b"zstd");
        assert!(unpack(&zboot).unwrap_err().message.contains("zstd"));
    }

    #[test]
    fn plain_and_damaged_images_are_told_apart() {
        assert_eq!(unpack(b"plain").unwrap().as_ref(), b"plain");
        assert_eq!(unpack(b"").unwrap().as_ref(), b"");
        let mut packed = gzip(&[7; 1000]);
        packed.truncate(20);
        assert_eq!(unpack(&packed).unwrap_err().kind, Kind::Damaged);
    }
}
