// SPDX-License-Identifier: MIT OR Apache-2.0
//! Instructions that access the memory of an emulated device.

use crate::Size;
use crate::x86::Mode;

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

/// Decodes an instruction from its first bytes, at most 15 of which count. None for all that
/// no driver does to a device, for what is undefined, and if it does not end within the bytes.
#[must_use]
pub fn decode(_bytes: &[u8], _mode: Mode) -> Option<Instruction> {
    None
}
