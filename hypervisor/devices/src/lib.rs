// SPDX-License-Identifier: MIT OR Apache-2.0
//! What guests see, and the decoders of what they did.
//!
//! Everything here is a pure function or a plain state machine: no register of
//! the machine is touched, nothing allocates, and no input, however hostile,
//! reaches a panic. The kernel feeds it exits and carries out the answers.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation
    )
)]

pub mod apic;
pub mod esr;
pub mod idregs;
pub mod loadstore;
pub mod ns16550;
pub mod pc;
pub mod pl011;
pub mod vgic;
pub mod walk;
pub mod x86;

/// Bytes that one load or store moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Size {
    /// 8 bits.
    Byte,
    /// 16 bits.
    Half,
    /// 32 bits.
    Word,
    /// 64 bits.
    Double,
}

impl Size {
    /// The size whose logarithm is in the low two bits, as the architecture encodes it.
    #[inline(always)]
    #[must_use]
    pub const fn from_log2(bits: u64) -> Self {
        match bits & 3 {
            0 => Self::Byte,
            1 => Self::Half,
            2 => Self::Word,
            _ => Self::Double,
        }
    }

    /// Bytes moved.
    #[inline(always)]
    #[must_use]
    pub const fn bytes(self) -> u64 {
        1 << self as u32
    }

    /// Ones where the size has bits.
    #[inline(always)]
    #[must_use]
    pub const fn mask(self) -> u64 {
        match self {
            Self::Byte => 0xff,
            Self::Half => 0xffff,
            Self::Word => 0xffff_ffff,
            Self::Double => u64::MAX,
        }
    }

    /// Whether an address is a multiple of the size.
    #[inline(always)]
    #[must_use]
    pub const fn aligned(self, address: u64) -> bool {
        address & self.bytes().wrapping_sub(1) == 0
    }

    /// What a load of this size leaves in its register: zero- or sign-extended
    /// to 32 or 64 bits. Bits of `value` above the size are ignored.
    #[inline(always)]
    #[must_use]
    pub const fn extend(self, value: u64, signed: bool, sixty_four: bool) -> u64 {
        let unused = match self {
            Self::Byte => 56,
            Self::Half => 48,
            Self::Word => 32,
            Self::Double => 0,
        };
        let high = value << unused;
        let wide =
            if signed { (high.cast_signed() >> unused).cast_unsigned() } else { high >> unused };
        if sixty_four { wide } else { wide & 0xffff_ffff }
    }
}

#[cfg(test)]
mod tests {
    use super::Size;

    #[test]
    fn a_load_extends_as_its_instruction_says() {
        assert_eq!(Size::Byte.extend(0xabcd_ef80, false, true), 0x80);
        assert_eq!(Size::Byte.extend(0x80, true, true), 0xffff_ffff_ffff_ff80);
        assert_eq!(Size::Byte.extend(0x80, true, false), 0xffff_ff80);
        assert_eq!(Size::Half.extend(0x7fff, true, true), 0x7fff);
        assert_eq!(Size::Word.extend(0x8000_0000, true, true), 0xffff_ffff_8000_0000);
        assert_eq!(Size::Double.extend(u64::MAX, false, true), u64::MAX);
    }

    #[test]
    fn sizes_follow_the_architecture() {
        for log2 in 0..4 {
            let size = Size::from_log2(log2);
            assert_eq!(size.bytes(), 1 << log2);
            assert_eq!(size.mask().count_ones(), 8 << log2);
            assert!(size.aligned(16) && (size == Size::Byte) == size.aligned(17));
        }
    }
}
