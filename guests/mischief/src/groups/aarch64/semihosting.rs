// SPDX-License-Identifier: MIT OR Apache-2.0
//! Asks a debugger for favours, at EL1 and EL0: none may be served, for the
//! host's files and the emulator's end are behind it. And what else EL0 may not do.
//! Manual: Semihosting for AArch32 and AArch64, "The semihosting interface".

use crate::Setting;
use crate::hostile::{El0, Instruction, scratch};
use crate::tally::Tally;

/// SYS_OPEN, SYS_WRITEC, SYS_WRITE0, SYS_READC, SYS_ERRNO, SYS_GET_CMDLINE, SYS_SYSTEM, SYS_EXIT, SYS_EXIT_EXTENDED.
const OPERATIONS: [u64; 9] = [0x01, 0x03, 0x04, 0x07, 0x13, 0x15, 0x12, 0x18, 0x20];

pub(super) fn run(_: &mut Setting, tally: &mut Tally) {
    for trap in Instruction::TRAPS {
        for operation in OPERATIONS {
            tally.count(trap.run([operation, scratch(), 0, 0]));
        }
        tally.part(format_args!("EL1 {}", trap.text));
    }
    for instruction in El0::EVERYTHING {
        for argument in [0, 0x18, 0x0800_0000, 0xffff_ffff_f000] {
            tally.count(instruction.run(argument));
        }
        tally.part(format_args!("EL0 {}", instruction.text));
    }
}
