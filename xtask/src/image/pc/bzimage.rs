// SPDX-License-Identifier: MIT OR Apache-2.0
//! The x86 Linux `bzImage`, started at its 64-bit entry (Linux,
//! `Documentation/arch/x86/boot.rst`, "64-bit Boot Protocol", and
//! `zero-page.rst`).

use abi::platform::pc;
use abi::range::Range;

use super::{CMDLINE, memory};
use crate::image::guest::Trouble;
use crate::manifest::mistake::Kind;

/// The 64-bit entry, from the kernel's first byte.
pub(super) const ENTRY_64: u64 = 0x200;
/// Where the setup header lies, in the file and in the zero page.
const HEADER: usize = 0x1f1;
/// One past the longest setup header: behind it the zero page has other fields.
const HEADER_LIMIT: usize = 0x290;
/// The version that says where the kernel can be loaded.
const VERSION: u64 = 0x020c;
/// Bytes of a sector.
const SECTOR: usize = 512;
/// Bytes of the zero page.
const ZERO_PAGE: usize = 4096;
/// Most entries of the zero page's memory map are never needed here.
const MAP: usize = 0x2d0;

/// A kernel and what its header says.
#[derive(Clone, Debug)]
pub(super) struct BzImage<'a> {
    header: &'a [u8],
    /// The part that is loaded.
    pub(super) kernel: &'a [u8],
    /// One past the last address that the initial RAM disk can have.
    pub(super) initrd_limit: u64,
    /// Bytes that the kernel needs where it is loaded.
    pub(super) room: u64,
    preferred: u64,
    /// Alignment of other places, if there can be other ones.
    alignment: Option<u64>,
}

/// A little-endian field of 1, 2, 4 or 8 bytes; zero outside the file.
fn field<const N: usize>(image: &[u8], at: usize) -> u64 {
    let mut bytes = [0; 8];
    if let Some(found) = image.get(at..at + N) {
        bytes[..N].copy_from_slice(found);
    }
    u64::from_le_bytes(bytes)
}

/// Reads a kernel.
pub(super) fn read(image: &[u8]) -> Result<BzImage<'_>, Trouble> {
    let trouble = |what: &str| {
        Trouble::new(Kind::NotLinux, what, "give an x86-64 Linux bzImage, 3.8 or later")
    };
    if image.get(0x202..0x206) != Some(b"HdrS") {
        return Err(trouble("not an x86 Linux bzImage"));
    }
    if field::<2>(image, 0x206) < VERSION || field::<2>(image, 0x236) & 1 == 0 {
        return Err(trouble("a Linux bzImage without a 64-bit entry"));
    }
    let sectors = match field::<1>(image, HEADER) {
        0 => 4,
        sectors => sectors as usize,
    };
    let header_end = 0x202 + field::<1>(image, 0x201) as usize;
    let header = image.get(HEADER..header_end.min(HEADER_LIMIT)).unwrap_or(&[]);
    let kernel = image.get((sectors + 1) * SECTOR..).unwrap_or(&[]);
    if header.is_empty() || kernel.len() as u64 <= ENTRY_64 {
        return Err(trouble("a Linux bzImage that is cut"));
    }
    Ok(BzImage {
        header,
        kernel,
        initrd_limit: field::<4>(image, 0x22c) + 1,
        room: field::<4>(image, 0x260).max(kernel.len() as u64),
        preferred: field::<8>(image, 0x258),
        alignment: (field::<1>(image, 0x234) != 0).then(|| field::<4>(image, 0x230).max(1)),
    })
}

impl BzImage<'_> {
    /// The lowest place.
    pub(super) fn lowest(&self) -> u64 {
        match self.alignment {
            Some(alignment) => pc::HIGH.next_multiple_of(alignment),
            None => self.preferred,
        }
    }

    /// Where it is loaded below a limit: the place it likes, or the lowest one.
    pub(super) fn place(&self, limit: u64) -> Option<u64> {
        let fits = |place: &u64| {
            *place >= pc::HIGH && place.checked_add(self.room).is_some_and(|end| end <= limit)
        };
        [self.preferred, self.lowest()].into_iter().find(fits)
    }

    /// The zero page: the file's setup header with what a loader fills in.
    pub(super) fn zero_page(&self, place: u64, initrd: Range, memory: Range) -> Vec<u8> {
        let map = memory::map(memory);
        let mut page = vec![0; ZERO_PAGE];
        page[HEADER..HEADER + self.header.len()].copy_from_slice(self.header);
        let mut put = |at: usize, value: u64, len: usize| {
            page[at..at + len].copy_from_slice(&value.to_le_bytes()[..len]);
        };
        put(0x070, pc::ACPI, 8); // acpi_rsdp_addr
        put(0x1e8, map.len() as u64, 1); // e820_entries
        put(0x210, 0xff, 1); // type_of_loader: one without a number
        put(0x214, place, 4); // code32_start
        put(0x218, initrd.start, 4); // ramdisk_image
        put(0x21c, initrd.size, 4); // ramdisk_size
        put(0x228, CMDLINE, 4); // cmd_line_ptr
        for (row, (range, kind)) in map.into_iter().enumerate() {
            let at = MAP + 20 * row;
            put(at, range.start, 8);
            put(at + 8, range.size, 8);
            put(at + 16, kind.into(), 4);
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kernel with the fields that are read.
    fn image() -> Vec<u8> {
        let mut image = vec![0; 5 * SECTOR + 4096];
        let fields: [(usize, &[u8]); 9] = [
            (0x1f1, &[4]),
            (0x201, &[0x66]),
            (0x202, b"HdrS"),
            (0x206, &0x020f_u16.to_le_bytes()),
            (0x22c, &0x7fff_ffff_u32.to_le_bytes()),
            (0x230, &0x20_0000_u32.to_le_bytes()),
            (0x234, &[1, 21, 0x7f, 0]),
            (0x258, &0x100_0000_u64.to_le_bytes()),
            (0x260, &0x300_0000_u32.to_le_bytes()),
        ];
        for (at, bytes) in fields {
            image[at..at + bytes.len()].copy_from_slice(bytes);
        }
        image
    }

    #[test]
    fn the_kernel_goes_where_it_likes_or_as_low_as_it_can() {
        let image = image();
        let kernel = read(&image).unwrap();
        assert_eq!(kernel.kernel.len(), 4096);
        assert_eq!(kernel.initrd_limit, 0x8000_0000);
        assert_eq!(kernel.place(0x400_0000), Some(0x100_0000));
        assert_eq!(kernel.place(0x380_0000), Some(0x20_0000));
        assert_eq!(kernel.place(0x300_0000), None);
    }

    #[test]
    fn the_zero_page_says_where_everything_is() {
        let image = image();
        let kernel = read(&image).unwrap();
        let initrd = Range::new(0x3f0_0000, 0x1234);
        let page = kernel.zero_page(0x100_0000, initrd, Range::new(0, 0x400_0000));
        assert_eq!(page.len(), ZERO_PAGE);
        assert_eq!(page[0x202..0x206], *b"HdrS");
        assert_eq!(field::<8>(&page, 0x70), pc::ACPI);
        assert_eq!([field::<4>(&page, 0x218), field::<4>(&page, 0x21c)], [0x3f0_0000, 0x1234]);
        assert_eq!([field::<1>(&page, 0x1e8), field::<8>(&page, 0x2d0 + 40)], [3, pc::HIGH]);
    }

    #[test]
    fn other_kernels_are_refused() {
        assert_eq!(read(b"").unwrap_err().message, "not an x86 Linux bzImage");
        let mut old = image();
        old[0x236] = 0;
        assert!(read(&old).unwrap_err().message.contains("without a 64-bit entry"));
        let mut cut = image();
        cut.truncate(5 * SECTOR);
        assert!(read(&cut).unwrap_err().message.contains("cut"));
    }
}
