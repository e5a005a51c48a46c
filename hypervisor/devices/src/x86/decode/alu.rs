// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an arithmetic or logical instruction does to a value and to the flags.
//! AF after a logical operation is undefined; here it is clear, as on every CPU.
//! Intel SDM volume 1, "EFLAGS Register"; appendix "EFLAGS Cross-Reference".

use crate::Size;

/// An arithmetic or logical operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alu {
    /// ADD.
    Add,
    /// OR.
    Or,
    /// ADC.
    AddCarry,
    /// SBB.
    SubtractBorrow,
    /// AND.
    And,
    /// SUB.
    Subtract,
    /// XOR.
    Xor,
    /// CMP: the result is not written.
    Compare,
    /// TEST: the result is not written.
    Test,
}

const CARRY: u64 = 1 << 0;
const PARITY: u64 = 1 << 2;
const ADJUST: u64 = 1 << 4;
const ZERO: u64 = 1 << 6;
const SIGN: u64 = 1 << 7;
const OVERFLOW: u64 = 1 << 11;

impl Alu {
    /// The operation of an opcode below 0x40, or of the immediate group.
    pub(super) const fn from_bits(bits: u8) -> Self {
        match bits & 7 {
            0 => Self::Add,
            1 => Self::Or,
            2 => Self::AddCarry,
            3 => Self::SubtractBorrow,
            4 => Self::And,
            5 => Self::Subtract,
            6 => Self::Xor,
            _ => Self::Compare,
        }
    }

    /// The result, if one is to be written, and RFLAGS afterwards.
    #[must_use]
    pub const fn apply(self, size: Size, left: u64, right: u64, flags: u64) -> (Option<u64>, u64) {
        let mask = size.mask();
        let (left, right) = (left & mask, right & mask);
        let carry = flags & CARRY;
        let result = mask
            & match self {
                Self::Add => left.wrapping_add(right),
                Self::AddCarry => left.wrapping_add(right).wrapping_add(carry),
                Self::Subtract | Self::Compare => left.wrapping_sub(right),
                Self::SubtractBorrow => left.wrapping_sub(right).wrapping_sub(carry),
                Self::Or => left | right,
                Self::And | Self::Test => left & right,
                Self::Xor => left ^ right,
            };
        // A bit is one where a carry or borrow leaves it; where a sign changed that must not.
        let (carried, overflowed) = match self {
            Self::Add | Self::AddCarry => {
                (left & right | (left | right) & !result, (left ^ result) & (right ^ result))
            }
            Self::Subtract | Self::SubtractBorrow | Self::Compare => {
                (!left & right | (!left | right) & result, (left ^ right) & (left ^ result))
            }
            Self::Or | Self::And | Self::Xor | Self::Test => (0, 0),
        };
        let top = mask ^ mask >> 1;
        let mut new = flags & !(CARRY | PARITY | ADJUST | ZERO | SIGN | OVERFLOW);
        new |= if carried & top != 0 { CARRY } else { 0 };
        new |= if carried & 8 != 0 { ADJUST } else { 0 };
        new |= if overflowed & top != 0 { OVERFLOW } else { 0 };
        new |= if result == 0 { ZERO } else { 0 };
        new |= if result & top != 0 { SIGN } else { 0 };
        new |= if (result & 0xff).count_ones() & 1 == 0 { PARITY } else { 0 };
        let written = if matches!(self, Self::Compare | Self::Test) { None } else { Some(result) };
        (written, new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Sums and differences in numbers that cannot overflow.
    fn wide(alu: Alu, left: i128, right: i128, carry: i128) -> i128 {
        let right = match alu {
            Alu::AddCarry | Alu::SubtractBorrow => right + carry,
            Alu::Add | Alu::Subtract | Alu::Compare => right,
            Alu::Or | Alu::And | Alu::Xor | Alu::Test => panic!("no arithmetic"),
        };
        if matches!(alu, Alu::Add | Alu::AddCarry) { left + right } else { left - right }
    }

    proptest! {
        #[test]
        fn flags_are_those_of_exact_arithmetic(
            which in 0..4_usize,
            log2 in 0..4_u64,
            left: u64,
            right: u64,
            flags: u64,
        ) {
            let alu = [Alu::Add, Alu::AddCarry, Alu::SubtractBorrow, Alu::Compare][which];
            let size = Size::from_log2(log2);
            let mask = size.mask();
            let (result, new) = alu.apply(size, left, right, flags);
            let unsigned = wide(alu, (left & mask).into(), (right & mask).into(), (flags & 1).into());
            let signed = |value: u64| i128::from(size.extend(value, true, true) as i64);
            let exact = wide(alu, signed(left), signed(right), (flags & 1).into());
            let low = unsigned as u64 & mask;
            prop_assert_eq!(result, (alu != Alu::Compare).then_some(low));
            prop_assert_eq!(new & CARRY != 0, unsigned < 0 || unsigned > mask.into());
            prop_assert_eq!(new & OVERFLOW != 0, exact != signed(low));
            prop_assert_eq!(new & ZERO != 0, low == 0);
            prop_assert_eq!(new & SIGN != 0, signed(low) < 0);
            let nibble = wide(alu, (left & 15).into(), (right & 15).into(), (flags & 1).into());
            prop_assert_eq!(new & ADJUST != 0, !(0..16).contains(&nibble));
            prop_assert_eq!((new ^ flags) & !0x8d5, 0, "other flags stay");
        }
    }

    #[test]
    fn logic_clears_carry_and_overflow() {
        let (result, flags) = Alu::And.apply(Size::Byte, 0xf0, 0xff0f, u64::MAX);
        assert_eq!((result, flags & 0x8d5), (Some(0), ZERO | PARITY));
        assert_eq!(Alu::Test.apply(Size::Word, 1 << 31, u64::MAX, 0), (None, SIGN | PARITY));
        assert_eq!(Alu::Xor.apply(Size::Half, 0xffff, 0xfffe, 1).0, Some(1));
        assert_eq!(Alu::Or.apply(Size::Double, 1 << 63, 1, 1), (Some(1 << 63 | 1), SIGN));
    }
}
