// SPDX-License-Identifier: MIT OR Apache-2.0
//! Loads and stores that `ESR_EL2` does not describe (ISV = 0): those that
//! change their base register, and pairs.
//!
//! A guest's driver compiled without care uses them on device registers, so
//! the kernel fetches the instruction and asks here what it moves. Exclusives,
//! atomics, vector registers, literals and cache maintenance have no answer:
//! no device here is meant for them. Neither have forms that the architecture
//! calls CONSTRAINED UNPREDICTABLE, such as a load into its own changed base.
//!
//! The address is the one that faulted (`FAR_EL2`): that of the first register,
//! unless the access began in the page before.
//! Arm ARM (DDI 0487), "A64 instruction set encoding", "Loads and Stores".

use crate::Size;

/// One register that moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// General-purpose register 0 to 30; 31 is XZR.
    pub register: u8,
    /// Bytes from the instruction's address: zero, and for the second of a pair its size.
    pub offset: u8,
}

/// What is added to the base register afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Writeback {
    /// General-purpose register 0 to 30; 31 is the stack pointer.
    pub base: u8,
    /// Signed bytes to add.
    pub add: i64,
}

/// A decoded load or store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadStore {
    /// A store.
    pub write: bool,
    /// Bytes of each transfer.
    pub size: Size,
    /// A load extends the sign.
    pub sign_extend: bool,
    /// A load fills 64 bits of its register, not 32.
    pub sixty_four: bool,
    /// The first register.
    pub first: Transfer,
    /// The second register of a pair.
    pub second: Option<Transfer>,
    /// The change of the base register, if any.
    pub writeback: Option<Writeback>,
}

/// Decodes one A64 instruction; `None` for whatever is not a plain load or store.
#[must_use]
pub const fn decode(instruction: u32) -> Option<LoadStore> {
    // op1 (bits 29:27) and V (bit 26), "Loads and Stores".
    match instruction >> 26 & 0xf {
        0b1110 => single(instruction),
        0b1010 => pair(instruction),
        _ => None,
    }
}

/// "Load/store register": unscaled, post-indexed, unprivileged, pre-indexed,
/// register offset, unsigned immediate.
const fn single(instruction: u32) -> Option<LoadStore> {
    let writeback = match (instruction >> 24 & 3, instruction >> 21 & 1, instruction >> 10 & 3) {
        (0b00, 0, 0b00 | 0b10) | (0b00, 1, 0b10) | (0b01, _, _) => None,
        (0b00, 0, 0b01 | 0b11) => {
            let add = sign_extend(instruction >> 12, 9);
            Some(Writeback { base: base(instruction), add })
        }
        _ => return None,
    };
    let size = Size::from_log2((instruction >> 30) as u64);
    let (write, sign_extend, sixty_four) = match (instruction >> 22 & 3, size) {
        (0b00, _) => (true, false, false),
        (0b01, size) => (false, false, matches!(size, Size::Double)),
        (0b10, Size::Byte | Size::Half | Size::Word) => (false, true, true),
        (0b11, Size::Byte | Size::Half) => (false, true, false),
        // Prefetches, and encodings without a meaning.
        _ => return None,
    };
    let register = register(instruction);
    if changes(writeback, register) {
        return None;
    }
    let first = Transfer { register, offset: 0 };
    Some(LoadStore { write, size, sign_extend, sixty_four, first, second: None, writeback })
}

/// "Load/store register pair": no-allocate, post-indexed, signed offset, pre-indexed.
const fn pair(instruction: u32) -> Option<LoadStore> {
    let write = instruction >> 22 & 1 == 0;
    let mode = instruction >> 23 & 7;
    let (size, sign_extend_loads) = match (instruction >> 30, write, mode) {
        (0b00, _, _) => (Size::Word, false),
        (0b01, false, 1..) => (Size::Word, true),
        (0b10, _, _) => (Size::Double, false),
        _ => return None,
    };
    let writeback = match mode {
        0b000 | 0b010 => None,
        0b001 | 0b011 => {
            let scaled = sign_extend(instruction >> 15, 7).wrapping_mul(size.bytes().cast_signed());
            Some(Writeback { base: base(instruction), add: scaled })
        }
        _ => return None,
    };
    let (register, other) = (register(instruction), (instruction >> 10 & 31) as u8);
    if (!write && register == other) || changes(writeback, register) || changes(writeback, other) {
        return None;
    }
    let offset = match size {
        Size::Double => 8,
        Size::Byte | Size::Half | Size::Word => 4,
    };
    Some(LoadStore {
        write,
        size,
        sign_extend: sign_extend_loads,
        sixty_four: sign_extend_loads || matches!(size, Size::Double),
        first: Transfer { register, offset: 0 },
        second: Some(Transfer { register: other, offset }),
        writeback,
    })
}

const fn register(instruction: u32) -> u8 {
    (instruction & 31) as u8
}

const fn base(instruction: u32) -> u8 {
    (instruction >> 5 & 31) as u8
}

/// Whether the writeback changes this transfer register. Number 31 is two registers.
const fn changes(writeback: Option<Writeback>, register: u8) -> bool {
    match writeback {
        Some(Writeback { base, .. }) => base == register && base != 31,
        None => false,
    }
}

/// The low `bits` of a value as a signed number.
const fn sign_extend(value: u32, bits: u32) -> i64 {
    let unused = 64u32.wrapping_sub(bits);
    (value as u64).wrapping_shl(unused).cast_signed().wrapping_shr(unused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A single transfer as (write, size, sign extension, 64 bits, register), with base and addend.
    fn check(instruction: u32, what: (bool, Size, bool, bool, u8), writeback: Option<(u8, i64)>) {
        let (write, size, sign_extend, sixty_four, register) = what;
        let expected = LoadStore {
            write,
            size,
            sign_extend,
            sixty_four,
            first: Transfer { register, offset: 0 },
            second: None,
            writeback: writeback.map(|(base, add)| Writeback { base, add }),
        };
        assert_eq!(decode(instruction), Some(expected), "{instruction:#x}");
    }

    #[test]
    fn indexed_forms_change_their_base() {
        use Size::{Byte, Double, Half, Word};
        check(0xf840_8441, (false, Double, false, true, 1), Some((2, 8))); // ldr x1,[x2],#8
        check(0xb85f_cc41, (false, Word, false, false, 1), Some((2, -4))); // ldr w1,[x2,#-4]!
        check(0xf801_0fe3, (true, Double, false, false, 3), Some((31, 16))); // str x3,[sp,#16]!
        check(0xb800_4420, (true, Word, false, false, 0), Some((1, 4))); // str w0,[x1],#4
        check(0x3800_14c5, (true, Byte, false, false, 5), Some((6, 1))); // strb w5,[x6],#1
        check(0x389f_f507, (false, Byte, true, true, 7), Some((8, -1))); // ldrsb x7,[x8],#-1
        check(0x38df_f507, (false, Byte, true, false, 7), Some((8, -1))); // ldrsb w7,[x8],#-1
        check(0x7840_2c41, (false, Half, false, false, 1), Some((2, 2))); // ldrh w1,[x2,#2]!
        check(0x7880_2c41, (false, Half, true, true, 1), Some((2, 2))); // ldrsh x1,[x2,#2]!
        check(0xb880_4441, (false, Word, true, true, 1), Some((2, 4))); // ldrsw x1,[x2],#4
    }

    #[test]
    fn plain_forms_leave_their_base() {
        use Size::{Byte, Double, Half, Word};
        check(0xf97f_fc41, (false, Double, false, true, 1), None); // ldr x1,[x2,#32760]
        check(0xb900_045f, (true, Word, false, false, 31), None); // str wzr,[x2,#4]
        check(0x79c0_0d49, (false, Half, true, false, 9), None); // ldrsh w9,[x10,#6]
        check(0xf850_0041, (false, Double, false, true, 1), None); // ldur x1,[x2,#-256]
        check(0x380f_f041, (true, Byte, false, false, 1), None); // sturb w1,[x2,#255]
        check(0xb863_7841, (false, Word, false, false, 1), None); // ldr w1,[x2,x3,lsl #2]
        check(0xf823_d841, (true, Double, false, false, 1), None); // str x1,[x2,w3,sxtw #3]
        check(0xf840_8841, (false, Double, false, true, 1), None); // ldtr x1,[x2,#8]
        check(0x3800_0841, (true, Byte, false, false, 1), None); // sttrb w1,[x2]
    }

    /// A pair as (write, size, sign extension, 64 bits), registers, base and addend.
    fn check_pair(
        instruction: u32,
        what: (bool, Size, bool, bool),
        pair: (u8, u8),
        writeback: Option<(u8, i64)>,
    ) {
        let found = decode(instruction).unwrap();
        assert_eq!(
            (found.write, found.size, found.sign_extend, found.sixty_four),
            what,
            "{instruction:#x}"
        );
        let second = found.second.unwrap();
        assert_eq!((found.first.register, second.register), pair);
        assert_eq!((found.first.offset, u64::from(second.offset)), (0, found.size.bytes()));
        assert_eq!(found.writeback.map(|w| (w.base, w.add)), writeback);
    }

    #[test]
    fn pairs_move_two_registers() {
        use Size::{Double, Word};
        check_pair(0xa940_0861, (false, Double, false, true), (1, 2), None); // ldp x1,x2,[x3]
        check_pair(0x2881_0861, (true, Word, false, false), (1, 2), Some((3, 8))); // stp w1,w2,[x3],#8
        check_pair(0xa9ff_0be1, (false, Double, false, true), (1, 2), Some((31, -16))); // ldp x1,x2,[sp,#-16]!
        check_pair(0x6960_0861, (false, Word, true, true), (1, 2), None); // ldpsw x1,x2,[x3,#-256]
        check_pair(0x68c1_0861, (false, Word, true, true), (1, 2), Some((3, 8))); // ldpsw x1,x2,[x3],#8
        check_pair(0xa841_0861, (false, Double, false, true), (1, 2), None); // ldnp x1,x2,[x3,#16]
        check_pair(0x2800_7c61, (true, Word, false, false), (1, 31), None); // stnp w1,wzr,[x3]
    }

    #[test]
    fn all_else_has_no_answer() {
        let others = [
            0xf980_0040, // prfm pldl1keep,[x2]
            0xf880_0040, // prfum pldl1keep,[x2]
            0xf8a3_6840, // prfm pldl1keep,[x2,x3]
            0x5800_0001, // ldr x1,.
            0xc85f_7c41, // ldxr x1,[x2]
            0x889f_fc41, // stlr w1,[x2]
            0xb821_0062, // ldadd w1,w2,[x3]
            0xf821_8062, // swp x1,x2,[x3]
            0xc8a1_7c62, // cas x1,x2,[x3]
            0x3cc1_0441, // ldr q1,[x2],#16
            0xfd40_0041, // ldr d1,[x2]
            0xfc63_6841, // ldr d1,[x2,x3]
            0xad40_0861, // ldp q1,q2,[x3]
            0x6c81_0861, // stp d1,d2,[x3],#16
            0x4c40_7820, // ld1 {v0.4s},[x1]
            0xd50b_7421, // dc zva,x1
            0xf820_0441, // ldraa x1,[x2]
            0xf820_1c41, // ldraa x1,[x2,#8]!
            0xd940_0041, // ldapur x1,[x2]
            0x6900_0861, // stgp x1,x2,[x3]
            0xd920_0841, // stg x1,[x2]
            0x8b03_0041, // add x1,x2,x3
            0xf840_8442, // ldr x2,[x2],#8
            0xa940_0461, // ldp x1,x1,[x3]
            0xa8c1_0863, // ldp x3,x2,[x3],#16
        ];
        for instruction in others {
            assert_eq!(decode(instruction), None, "{instruction:#x}");
        }
    }

    proptest! {
        #[test]
        fn any_word_decodes_to_registers_that_exist(instruction: u32) {
            if let Some(found) = decode(instruction) {
                prop_assert!(found.first.register < 32 && found.first.offset == 0);
                prop_assert!(!(found.write && found.sign_extend));
                if let Some(second) = found.second {
                    prop_assert_eq!(u64::from(second.offset), found.size.bytes());
                }
                if let Some(writeback) = found.writeback {
                    prop_assert!(writeback.base < 32 && (-512..=504).contains(&writeback.add));
                }
            }
        }
    }
}
