// SPDX-License-Identifier: MIT OR Apache-2.0
//! Instructions that access the memory of an emulated device: MOV in its forms,
//! MOVZX, MOVSX, STOS, MOVS, XCHG, TEST and the arithmetic group, in 16-, 32-
//! and 64-bit code with any prefixes.
//!
//! The bytes come from the guest's memory and may have been changed since: they
//! decide only what happens to the guest's own registers, and the exit says
//! where the access was. All else decodes to nothing.
//! Intel SDM volume 2, "Instruction Format", "Opcode Map".

mod alu;

pub use alu::Alu;

use crate::Size;
use crate::x86::Mode;
use crate::x86::bytes::{Cursor, Prefixes, skip_memory};

/// A general register as an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register {
    /// 0 to 15: RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 …
    pub number: u8,
    /// Bits 15:8 of it (AH, CH, DH, BH).
    pub high: bool,
}

/// Where the second operand comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A register.
    Register(Register),
    /// This value, sign-extended to 64 bits.
    Immediate(u64),
}

/// What the instruction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Register := memory, extended from the instruction's size to `width`.
    Load {
        /// Where it goes.
        register: Register,
        /// The top bit fills what is above (MOVSX), else zeros do.
        sign: bool,
        /// How much of the register is written; [`Size::Word`] clears its upper half.
        width: Size,
    },
    /// Memory := operand (MOV).
    Store(Source),
    /// Memory := memory op operand; flags change. Compare and test write nothing.
    Modify(Alu, Source),
    /// Register := register op memory; flags change.
    Combine(Alu, Register),
    /// Memory and register change places (XCHG).
    Exchange(Register),
    /// STOS: memory at RDI := RAX, RDI steps.
    StoreString,
    /// MOVS: memory at RDI := memory at RSI, both step.
    MoveString,
}

/// A decoded instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Bytes of it, 1 to 15.
    pub length: u8,
    /// Bytes of memory that it moves (each element of a string).
    pub size: Size,
    /// What it does.
    pub operation: Operation,
    /// A string instruction with a repeat prefix: RCX counts.
    pub repeat: bool,
    /// Size of addresses: how much of RSI, RDI and RCX a string instruction uses.
    pub address: Size,
    /// Segment of RSI that a prefix names (0 to 5: ES, CS, SS, DS, FS, GS), else DS.
    pub segment: u8,
}

/// MOV between memory and a general register, of 32 or 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainMove {
    /// Bytes of it, 2 to 8.
    pub length: u8,
    /// Bytes of memory that it moves.
    pub size: Size,
    /// The register's number.
    pub register: u8,
    /// To memory.
    pub store: bool,
}

/// Bytes of opcode, ModR/M, SIB and displacement by the ModR/M byte, as far as that tells them;
/// none where there is no memory.
#[expect(clippy::indexing_slicing, reason = "up to the array's length; in a constant")]
static LENGTHS: [u8; 0xc0] = {
    let mut lengths = [2; 0xc0];
    let mut modrm = 0;
    while modrm < lengths.len() {
        let displacement = match (modrm >> 6, modrm & 7) {
            (1, _) => 1,
            (2, _) | (0, 5) => 4,
            _ => 0,
        };
        lengths[modrm] = 2 + (modrm & 7 == 4) as u8 + displacement;
        modrm += 1;
    }
    lengths
};

/// Decodes MOV between memory and a register with no prefix but REX, in 64-bit code: nearly
/// everything that a driver does to a device. What it finds is what [`decode`] finds, but from a
/// word, because it is on the way of each access: the instruction's first eight bytes, lowest first.
#[inline(always)]
#[must_use]
pub fn plain_move(bytes: u64) -> Option<PlainMove> {
    let has_rex = bytes & 0xf0 == 0x40;
    let (rex, code) = if has_rex { (bytes & 0xf, bytes >> 8) } else { (0, bytes) };
    let modrm = code >> 8 & 0xff;
    // The opcodes are 0x89 and 0x8b: they differ in the direction.
    if code & 0xfd != 0x89 {
        return None;
    }
    let mut length = *LENGTHS.get((modrm & 0xff) as usize)?;
    // Without a base there is a displacement of 32 bits.
    if code & 0x7_c700 == 0x5_0400 {
        length = length.wrapping_add(4);
    }
    if has_rex {
        length = length.wrapping_add(1);
    }
    Some(PlainMove {
        length,
        size: if rex & 8 != 0 { Size::Double } else { Size::Word },
        register: ((modrm >> 3 & 7 | rex << 1 & 8) & 15) as u8,
        store: code & 2 == 0,
    })
}

/// Decodes an instruction from its first bytes, at most 15 of which count. None for all that
/// no driver does to a device, for what is undefined, and if it does not end within the bytes.
#[inline(never)]
#[must_use]
pub fn decode(bytes: &[u8], mode: Mode) -> Option<Instruction> {
    let mut cursor = Cursor::new(bytes);
    let prefixes = Prefixes::read(&mut cursor, mode);
    let mut decoder = Decoder { cursor, prefixes, mode };
    let opcode = decoder.cursor.next()?;
    let (size, operation) = match opcode {
        0x0f => decoder.extended()?,
        0xa0..=0xa5 | 0xaa | 0xab => decoder.implicit(opcode)?,
        _ => decoder.general(opcode)?,
    };
    let locks = match operation {
        Operation::Exchange(_) => true,
        Operation::Modify(alu, _) => !matches!(alu, Alu::Compare | Alu::Test),
        Operation::Load { .. }
        | Operation::Store(_)
        | Operation::Combine(..)
        | Operation::StoreString
        | Operation::MoveString => false,
    };
    if prefixes.lock && !locks {
        return None;
    }
    let string = matches!(operation, Operation::StoreString | Operation::MoveString);
    Some(Instruction {
        length: decoder.cursor.length(),
        size,
        operation,
        repeat: string && prefixes.repeat.is_some(),
        address: prefixes.address_size(mode),
        segment: prefixes.segment.unwrap_or(3),
    })
}

struct Decoder<'a> {
    cursor: Cursor<'a>,
    prefixes: Prefixes,
    mode: Mode,
}

impl Decoder<'_> {
    /// The size that an opcode's lowest bit chooses.
    fn size(&self, opcode: u8) -> Size {
        if opcode & 1 == 0 { Size::Byte } else { self.prefixes.operand_size(self.mode) }
    }

    /// Reads ModR/M and what belongs to it; its middle field. None if it names no memory.
    fn memory(&mut self) -> Option<u8> {
        let modrm = self.cursor.next()?;
        skip_memory(&mut self.cursor, modrm, self.prefixes.address_size(self.mode))?;
        Some(modrm >> 3 & 7)
    }

    /// Memory and the register that the middle field names.
    fn memory_register(&mut self, size: Size) -> Option<Register> {
        let field = self.memory()?;
        if size == Size::Byte && self.prefixes.rex == 0 && field >= 4 {
            return Some(Register { number: field & 3, high: true });
        }
        Some(Register { number: field | self.prefixes.rex << 1 & 8, high: false })
    }

    /// An immediate: no more than 32 bits are in the instruction.
    fn immediate(&mut self, size: Size) -> Option<Source> {
        self.cursor.signed(size.min(Size::Word)).map(Source::Immediate)
    }

    /// One-byte opcodes with ModR/M.
    fn general(&mut self, opcode: u8) -> Option<(Size, Operation)> {
        let size = self.size(opcode);
        let operation = match opcode {
            0x00..=0x3f if opcode & 7 < 4 => {
                let alu = Alu::from_bits(opcode >> 3);
                let register = self.memory_register(size)?;
                match opcode & 2 {
                    0 => Operation::Modify(alu, Source::Register(register)),
                    _ => Operation::Combine(alu, register),
                }
            }
            0x63 if self.mode == Mode::Bits64 => return self.move_extended(Size::Word),
            0x80 | 0x81 | 0x83 => {
                let alu = Alu::from_bits(self.memory()?);
                let immediate = if opcode == 0x83 { Size::Byte } else { size };
                Operation::Modify(alu, self.immediate(immediate)?)
            }
            0x84 | 0x85 => {
                Operation::Modify(Alu::Test, Source::Register(self.memory_register(size)?))
            }
            0x86 | 0x87 => Operation::Exchange(self.memory_register(size)?),
            0x88 | 0x89 => Operation::Store(Source::Register(self.memory_register(size)?)),
            0x8a | 0x8b => {
                Operation::Load { register: self.memory_register(size)?, sign: false, width: size }
            }
            0xc6 | 0xc7 if self.memory()? == 0 => Operation::Store(self.immediate(size)?),
            0xf6 | 0xf7 if self.memory()? < 2 => {
                Operation::Modify(Alu::Test, self.immediate(size)?)
            }
            _ => return None,
        };
        Some((size, operation))
    }

    /// MOVSXD: 32 bits, or 16 where operands have 16.
    fn move_extended(&mut self, most: Size) -> Option<(Size, Operation)> {
        let width = self.prefixes.operand_size(self.mode);
        let size = width.min(most);
        let register = self.memory_register(width)?;
        Some((size, Operation::Load { register, sign: true, width }))
    }

    /// Opcodes whose operands are not named by ModR/M: strings, and MOV with an absolute address.
    fn implicit(&mut self, opcode: u8) -> Option<(Size, Operation)> {
        let size = self.size(opcode);
        let operation = match opcode {
            0xa4 | 0xa5 => Operation::MoveString,
            0xaa | 0xab => Operation::StoreString,
            _ => {
                let address = self.prefixes.address_size(self.mode).bytes();
                self.cursor.skip((address & 15) as usize)?;
                let register = Register { number: 0, high: false };
                match opcode & 2 {
                    0 => Operation::Load { register, sign: false, width: size },
                    _ => Operation::Store(Source::Register(register)),
                }
            }
        };
        Some((size, operation))
    }

    /// Two-byte opcodes: MOVZX and MOVSX.
    fn extended(&mut self) -> Option<(Size, Operation)> {
        let opcode = self.cursor.next()?;
        if !matches!(opcode, 0xb6 | 0xb7 | 0xbe | 0xbf) {
            return None;
        }
        let size = if opcode & 1 == 0 { Size::Byte } else { Size::Half };
        let width = self.prefixes.operand_size(self.mode);
        // The register is never a byte, so none is a high one.
        let register = self.memory_register(width)?;
        Some((size, Operation::Load { register, sign: opcode & 8 != 0, width }))
    }
}
