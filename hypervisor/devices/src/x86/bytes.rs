// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bytes of an instruction, one after the other: prefixes, and how long a
//! memory operand is. Nothing is read beyond fifteen bytes.
//! Intel SDM volume 2, "Instruction Format"; "Addressing-Mode Encoding of ModR/M and SIB Bytes".

use super::Mode;
use crate::Size;

/// Most bytes of an instruction.
const LONGEST: usize = 15;

/// Bytes not yet looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes: bytes.get(..LONGEST).unwrap_or(bytes), at: 0 }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    pub(super) fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at = self.at.wrapping_add(1);
        Some(byte)
    }

    /// Goes on by so many bytes, if there are so many.
    pub(super) fn skip(&mut self, count: usize) -> Option<()> {
        self.at = self.at.wrapping_add(count);
        (self.at <= self.bytes.len()).then_some(())
    }

    /// A little-endian number, sign-extended.
    pub(super) fn signed(&mut self, size: Size) -> Option<u64> {
        let mut value = 0u64;
        for n in 0..size.bytes() {
            value |= u64::from(self.next()?) << n.wrapping_mul(8);
        }
        Some(size.extend(value, true, true))
    }

    /// Bytes so far.
    #[expect(clippy::cast_possible_truncation, reason = "never more than fifteen")]
    pub(super) fn length(&self) -> u8 {
        self.at as u8
    }
}

/// What stands before the opcode.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Prefixes {
    /// 0x66: the other operand size.
    pub(super) operand: bool,
    /// 0x67: the other address size.
    pub(super) address: bool,
    pub(super) lock: bool,
    /// The last of 0xf2 and 0xf3.
    pub(super) repeat: Option<u8>,
    /// A segment, as segment registers are numbered.
    pub(super) segment: Option<u8>,
    /// REX, or zero: it counts only just before the opcode.
    pub(super) rex: u8,
}

impl Prefixes {
    #[inline]
    pub(super) fn read(cursor: &mut Cursor<'_>, mode: Mode) -> Self {
        let mut found = Self::default();
        while let Some(byte) = cursor.peek() {
            let rex = mode == Mode::Bits64 && byte & 0xf0 == 0x40;
            match byte {
                0x66 => found.operand = true,
                0x67 => found.address = true,
                0xf0 => found.lock = true,
                0xf2 | 0xf3 => found.repeat = Some(byte),
                0x26 | 0x2e | 0x36 | 0x3e => {
                    // In 64-bit mode they are read over, and leave FS and GS as they are.
                    if mode != Mode::Bits64 {
                        found.segment = Some(byte >> 3 & 3);
                    }
                }
                0x64 | 0x65 => found.segment = Some(byte & 7),
                _ if rex => {}
                _ => break,
            }
            found.rex = if rex { byte } else { 0 };
            let _ = cursor.next();
        }
        found
    }

    /// REX.W.
    const fn is_wide(&self) -> bool {
        self.rex & 8 != 0
    }

    /// Size of operands that are not bytes.
    pub(super) const fn operand_size(&self, mode: Mode) -> Size {
        match mode {
            Mode::Bits64 if self.is_wide() => Size::Double,
            Mode::Bits16 if !self.operand => Size::Half,
            Mode::Bits32 | Mode::Bits64 if self.operand => Size::Half,
            Mode::Bits16 | Mode::Bits32 | Mode::Bits64 => Size::Word,
        }
    }

    /// Size of addresses.
    pub(super) const fn address_size(&self, mode: Mode) -> Size {
        match (mode, self.address) {
            (Mode::Bits64, false) => Size::Double,
            (Mode::Bits64, true) | (Mode::Bits32, false) | (Mode::Bits16, true) => Size::Word,
            (Mode::Bits32, true) | (Mode::Bits16, false) => Size::Half,
        }
    }
}

/// Goes over what follows a ModR/M byte that names memory; none if it names a register.
pub(super) fn skip_memory(cursor: &mut Cursor<'_>, modrm: u8, address: Size) -> Option<()> {
    let (kind, place) = (modrm >> 6, modrm & 7);
    let displacement = if address == Size::Half {
        match (kind, place) {
            (0, 6) | (2, _) => 2,
            (1, _) => 1,
            (0, _) => 0,
            _ => return None,
        }
    } else {
        let base = if place == 4 && kind != 3 { cursor.next()? & 7 } else { place };
        match (kind, base) {
            (0, 5) | (2, _) => 4,
            (1, _) => 1,
            (0, _) => 0,
            _ => return None,
        }
    };
    cursor.skip(displacement)
}
