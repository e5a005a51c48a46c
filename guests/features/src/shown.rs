// SPDX-License-Identifier: MIT OR Apache-2.0
//! Features that come with a register or an instruction of their own and that
//! the ID registers may show: there if they are shown, else undefined.

use crate::cpu::{Outcome, generated};
use crate::identity::field;
use crate::report::{Report, Result, Wrong, equal, holds};

/// MRS x0 and MSR with x0 of a register with op0 = 3.
const MRS: u32 = 0xd538_0000;
const MSR: u32 = 0xd518_0000;

/// A bit of PSTATE that is a register: its name, its number (op1, CRn, CRm, op2 as in the
/// instruction), its bit, and whether it is shown.
type Bit = (&'static str, u32, u64, fn() -> bool);

const BITS: [Bit; 4] = [
    ("PAN", 0 << 16 | 4 << 12 | 2 << 8 | 3 << 5, 1 << 22, || field(7, 1, 20) > 0),
    ("UAO", 0 << 16 | 4 << 12 | 2 << 8 | 4 << 5, 1 << 23, || field(7, 2, 4) > 0),
    ("DIT", 3 << 16 | 4 << 12 | 2 << 8 | 5 << 5, 1 << 24, || field(4, 0, 48) > 0),
    ("SSBS", 3 << 16 | 4 << 12 | 2 << 8 | 6 << 5, 1 << 12, || field(4, 1, 4) > 1),
];

/// An instruction: its name, what to run, and whether it is shown.
type Instruction = (&'static str, u32, fn() -> bool);

const INSTRUCTIONS: [Instruction; 6] = [
    ("RNDR", 0xd53b_2400, || field(6, 0, 60) > 0),
    ("RNDRRS", 0xd53b_2420, || field(6, 0, 60) > 0),
    ("LSE: LDADD", 0xf820_0002, || field(6, 0, 20) > 1), // ldadd x0, x2, [x0]
    ("CRC32X", 0x9ac0_4c00, || field(6, 0, 16) > 0),
    ("SB", 0xd503_30ff, || field(6, 1, 36) > 0),
    ("FRINTTS: FRINT32Z", 0x1e68_4000, || field(6, 1, 32) > 0),
];

pub(crate) fn run(report: &mut Report) {
    for (name, number, bit, shown) in BITS {
        report.item(format_args!("PSTATE.{name}"), pstate(number, bit, shown()));
    }
    for (name, instruction, shown) in INSTRUCTIONS {
        report.item(name, there(instruction, shown()));
    }
}

/// That it keeps both values, or is undefined.
fn pstate(number: u32, bit: u64, shown: bool) -> Result {
    let before = match generated(MRS | number, 0) {
        Outcome::Done(value) if shown => value,
        Outcome::Done(value) => return Err(Wrong("not shown but there", value, 0)),
        outcome => return undefined(outcome, shown),
    };
    for value in [bit, 0, before] {
        let _ = generated(MSR | number, value);
        let Outcome::Done(found) = generated(MRS | number, 0) else {
            return Err(Wrong("cannot be read again", value, 0));
        };
        equal("value", found, value)?;
    }
    Ok(())
}

fn there(instruction: u32, shown: bool) -> Result {
    match generated(instruction, crate::cpu::scratch()) {
        Outcome::Done(_) if shown => Ok(()),
        Outcome::Done(value) => Err(Wrong("not shown but there", value, 0)),
        outcome => undefined(outcome, shown),
    }
}

fn undefined(outcome: Outcome, shown: bool) -> Result {
    let Outcome::Caught(caught) = outcome else { return Ok(()) };
    holds("class", outcome.is_undefined(), caught.class())?;
    holds("shown but undefined", !shown, caught.esr)
}
