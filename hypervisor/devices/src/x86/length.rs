// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lengths of instructions that are intercepted, for AMD-V without nRIP save.
//!
//! The guest may have changed the bytes since the exit, so the caller says which
//! instruction it was; another one has no length here. Any legal prefixes may
//! stand before it: whatever is illegal had no exit but an exception.
//! AMD manual volume 3, "Instruction Encoding Syntax"; volume 2, "State Saved on Exit".

use crate::x86::Mode;
use crate::x86::bytes::{Cursor, Prefixes, skip_memory};

/// An instruction that is intercepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intercepted {
    /// CPUID.
    Cpuid,
    /// VMMCALL or VMCALL.
    Call,
    /// HLT.
    Hlt,
    /// RDMSR or WRMSR.
    Msr,
    /// IN, OUT, INS, OUTS.
    Io,
    /// MOV to or from a control or debug register.
    MovControl,
    /// CLTS.
    Clts,
    /// LMSW or SMSW.
    MachineStatus,
    /// XSETBV.
    Xsetbv,
    /// RDTSC.
    Rdtsc,
    /// RDTSCP.
    Rdtscp,
    /// RDPMC.
    Rdpmc,
    /// INVD.
    Invd,
    /// WBINVD (and WBNOINVD).
    Wbinvd,
    /// PAUSE.
    Pause,
    /// MONITOR.
    Monitor,
    /// MWAIT.
    Mwait,
    /// INVLPG.
    Invlpg,
}

/// Bytes of the instruction, if it is the one that was intercepted.
#[inline]
#[must_use]
pub fn length(bytes: &[u8], mode: Mode, expected: Intercepted) -> Option<u8> {
    use Intercepted::{
        Call, Clts, Cpuid, Hlt, Invd, Invlpg, Io, MachineStatus, Monitor, MovControl, Msr, Mwait,
        Pause, Rdpmc, Rdtsc, Rdtscp, Wbinvd, Xsetbv,
    };
    let mut cursor = Cursor::new(bytes);
    let prefixes = Prefixes::read(&mut cursor, mode);
    let opcode = cursor.next()?;
    if opcode != 0x0f {
        return match (expected, opcode) {
            (Hlt, 0xf4) | (Io, 0x6c..=0x6f | 0xec..=0xef) => Some(cursor.length()),
            (Pause, 0x90) if prefixes.repeat == Some(0xf3) => Some(cursor.length()),
            // The port is a byte of the instruction.
            (Io, 0xe4..=0xe7) => cursor.skip(1).map(|()| cursor.length()),
            _ => None,
        };
    }
    match (expected, cursor.next()?) {
        (Cpuid, 0xa2)
        | (Msr, 0x30 | 0x32)
        | (Rdtsc, 0x31)
        | (Rdpmc, 0x33)
        | (Clts, 0x06)
        | (Invd, 0x08)
        | (Wbinvd, 0x09) => {}
        // ModR/M always names a register here.
        (MovControl, 0x20..=0x23) => cursor.skip(1)?,
        (_, 0x01) => {
            let modrm = cursor.next()?;
            match (expected, modrm) {
                (Call, 0xc1 | 0xd9)
                | (Xsetbv, 0xd1)
                | (Rdtscp, 0xf9)
                | (Monitor, 0xc8)
                | (Mwait, 0xc9) => {}
                (MachineStatus, _) if matches!(modrm >> 3 & 7, 4 | 6) => {
                    if modrm < 0xc0 {
                        skip_memory(&mut cursor, modrm, prefixes.address_size(mode))?;
                    }
                }
                (Invlpg, _) if modrm >> 3 & 7 == 7 => {
                    skip_memory(&mut cursor, modrm, prefixes.address_size(mode))?;
                }
                _ => return None,
            }
        }
        _ => return None,
    }
    Some(cursor.length())
}
