// SPDX-License-Identifier: MIT OR Apache-2.0
//! Arithmetic on the memory of an emulated device, with the flags that it sets.
//! Intel SDM volume 1, "Status Flags"; volume 2, the instructions' pages.

use super::decode::Alu;
use crate::Size;

const CARRY: u64 = 1;
const PARITY: u64 = 1 << 2;
const ADJUST: u64 = 1 << 4;
const ZERO: u64 = 1 << 6;
const SIGN: u64 = 1 << 7;
const OVERFLOW: u64 = 1 << 11;
/// The flags that [`Alu::apply`] sets; others are as they were.
pub const FLAGS: u64 = CARRY | PARITY | ADJUST | ZERO | SIGN | OVERFLOW;

impl Alu {
    /// The result of `a` op `b`, if it is written, and RFLAGS behind it. What is undefined in
    /// the manual (AF of logic) is zero.
    #[must_use]
    pub const fn apply(self, size: Size, a: u64, b: u64, flags: u64) -> (Option<u64>, u64) {
        let (mask, carry) = (size.mask(), flags & CARRY);
        let (a, b) = (a & mask, b & mask);
        let (result, out, overflow) = match self {
            Self::Add => added(a, b, 0, mask),
            Self::AddCarry => added(a, b, carry, mask),
            Self::SubtractBorrow => subtracted(a, b, carry, mask),
            Self::Subtract | Self::Compare => subtracted(a, b, 0, mask),
            Self::Or => (a | b, false, false),
            Self::And | Self::Test => (a & b, false, false),
            Self::Xor => (a ^ b, false, false),
        };
        let logic = matches!(self, Self::Or | Self::And | Self::Test | Self::Xor);
        let mut new = flags & !FLAGS;
        if out {
            new |= CARRY;
        }
        if overflow {
            new |= OVERFLOW;
        }
        if (result & 0xff).count_ones() & 1 == 0 {
            new |= PARITY;
        }
        if !logic && (a ^ b ^ result) & 0x10 != 0 {
            new |= ADJUST;
        }
        if result == 0 {
            new |= ZERO;
        }
        if result & top(mask) != 0 {
            new |= SIGN;
        }
        let written = !matches!(self, Self::Compare | Self::Test);
        (if written { Some(result) } else { None }, new)
    }
}

/// The top bit of a size.
const fn top(mask: u64) -> u64 {
    mask ^ mask >> 1
}

/// Sum, carry, overflow.
const fn added(a: u64, b: u64, carry: u64, mask: u64) -> (u64, bool, bool) {
    let result = a.wrapping_add(b).wrapping_add(carry) & mask;
    let out = result < a || carry != 0 && result == a;
    (result, out, (a ^ result) & (b ^ result) & top(mask) != 0)
}

/// Difference, borrow, overflow.
const fn subtracted(a: u64, b: u64, borrow: u64, mask: u64) -> (u64, bool, bool) {
    let result = a.wrapping_sub(b).wrapping_sub(borrow) & mask;
    let out = a < b || borrow != 0 && a == b;
    (result, out, (a ^ b) & (a ^ result) & top(mask) != 0)
}

const _: () = {
    let (sum, flags) = Alu::Add.apply(Size::Byte, 0x7f, 1, 2);
    assert!(matches!(sum, Some(0x80)) && flags == 2 | SIGN | OVERFLOW | ADJUST);
    let (difference, flags) = Alu::SubtractBorrow.apply(Size::Word, 0, 0xffff_ffff, CARRY);
    assert!(matches!(difference, Some(0)) && flags & (CARRY | ZERO) == CARRY | ZERO);
    let (nothing, flags) = Alu::Compare.apply(Size::Half, 5, 5, CARRY);
    assert!(nothing.is_none() && flags == ZERO | PARITY);
    let (bits, flags) = Alu::And.apply(Size::Double, u64::MAX, 1 << 63, CARRY | OVERFLOW);
    assert!(matches!(bits, Some(0x8000_0000_0000_0000)) && flags == SIGN | PARITY);
};
