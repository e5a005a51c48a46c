// SPDX-License-Identifier: MIT OR Apache-2.0
//! CRC-32C (Castagnoli) of a bundle.
//!
//! A [`Step`] continues a checksum over more bytes: `step(step(0, a), b)` is the
//! checksum of `a` followed by `b`. The kernel passes one that uses the CPU's
//! CRC32C instructions, `xtask` and the tests pass [`software`].

use core::mem::offset_of;

use crate::records::Header;

/// Continues a checksum over more bytes; starts from zero.
pub type Step = fn(u32, &[u8]) -> u32;

/// Most bytes that one call of a [`Step`] gets, so that no step is long.
pub const STEP_LEN: usize = 2048;

const CASTAGNOLI: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);

/// The checksum by a table of 1 KiB, for programs without the instruction.
#[must_use]
pub fn software(crc: u32, bytes: &[u8]) -> u32 {
    static TABLE: crc::Crc<u32> = CASTAGNOLI;
    let mut digest = TABLE.digest_with_initial((!crc).reverse_bits());
    digest.update(bytes);
    digest.finalize()
}

/// The same without a table, eight times slower: for the kernel on a CPU without the instruction.
#[must_use]
pub fn small(crc: u32, bytes: &[u8]) -> u32 {
    static BITWISE: crc::Crc<u32, crc::NoTable> =
        crc::Crc::<u32, crc::NoTable>::new(&crc::CRC_32_ISCSI);
    let mut digest = BITWISE.digest_with_initial((!crc).reverse_bits());
    digest.update(bytes);
    digest.finalize()
}

/// Checksum of a whole bundle, its `crc` field counted as zero.
#[must_use]
pub fn of_bundle(bytes: &[u8], step: Step) -> u32 {
    const FIELD: usize = offset_of!(Header, crc);
    let (before, rest) = bytes.split_at_checked(FIELD).unwrap_or((bytes, &[]));
    let (field, after) = rest.split_at_checked(size_of::<u32>()).unwrap_or((rest, &[]));
    let crc = step(step(0, before), [0; 4].get(..field.len()).unwrap_or(&[]));
    after.chunks(STEP_LEN).fold(crc, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_the_catalogue_comes_out() {
        assert_eq!(software(0, b"123456789"), 0xe306_9283);
    }

    #[test]
    fn the_small_one_is_the_same() {
        assert_eq!(small(small(0, b"1234"), b"56789"), 0xe306_9283);
    }

    #[test]
    fn steps_may_be_cut_anywhere() {
        assert_eq!(software(software(0, b"1234"), b"56789"), software(0, b"123456789"));
    }
}
