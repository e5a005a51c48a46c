// SPDX-License-Identifier: MIT OR Apache-2.0
//! Features that come with a register or an instruction of their own and that
//! the ID registers may show: there if they are shown, else undefined.

use crate::cpu::registers::CPACR;
use crate::cpu::{Outcome, generated, mrs, msr};
use crate::identity::field;
use crate::report::{Report, Result, Wrong, equal, holds};
use abi::platform::UART;

/// A bit of PSTATE that is a register: its name, how it is read and written, its bit, and
/// whether it is shown.
type Bit = (&'static str, [u32; 2], u64, fn() -> bool);

/// How a register with op0 = 3, CRn = 4 and CRm = 2 is read and written.
const fn register(op1: u32, op2: u32) -> [u32; 2] {
    [mrs(3, op1, 4, 2, op2), msr(3, op1, 4, 2, op2)]
}

const BITS: [Bit; 3] = [
    ("PAN", register(0, 3), 1 << 22, || field(7, 1, 20) > 0),
    ("UAO", register(0, 4), 1 << 23, || field(7, 2, 4) > 0),
    ("DIT", register(3, 5), 1 << 24, || field(4, 0, 48) > 0),
];

/// SSBS, in the same way. Where its field is 1 the bit is there and the register need not be.
const SSBS: ([u32; 2], u64) = (register(3, 6), 1 << 12);

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

/// CPACR_EL1.FPEN, which the runtime has set.
const FLOATING_POINT: u64 = 0b11 << 20;

pub(crate) fn run(report: &mut Report) {
    report
        .item("CPACR_EL1 has floating point only", equal("CPACR_EL1", CPACR.get(), FLOATING_POINT));
    for (name, register, bit, shown) in BITS {
        report.item(format_args!("PSTATE.{name}"), pstate(register, bit, shown()));
    }
    match field(4, 1, 4) {
        1 => report.absent("PSTATE.SSBS as a register"),
        ssbs => report.item("PSTATE.SSBS", pstate(SSBS.0, SSBS.1, ssbs > 1)),
    }
    for (name, instruction, shown) in INSTRUCTIONS {
        report.item(name, there(instruction, shown()));
    }
}

/// That it keeps both values, or is undefined.
fn pstate([read, write]: [u32; 2], bit: u64, shown: bool) -> Result {
    let before = match generated(read, 0) {
        Outcome::Done(value) if shown => value,
        Outcome::Done(value) => return Err(Wrong("not shown but there", value, 0)),
        outcome @ Outcome::Caught(_) => return undefined(outcome, shown),
    };
    for value in [bit, 0, before] {
        let _ = generated(write, value);
        let Outcome::Done(found) = generated(read, 0) else {
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
        outcome @ Outcome::Caught(_) => undefined(outcome, shown),
    }
}

/// Programs of 32 bits at EL0, if they are shown: exits of theirs end behind the instruction,
/// which may have two bytes and be one of an IT block. Before the MMU is on, when EL0 may do all.
pub(crate) fn thirty_two_bits(report: &mut Report) {
    if field(4, 0, 0) < 2 {
        return report.absent("32-bit EL0");
    }
    report.item("32-bit EL0, A32", program(&A32, 8, false));
    report.item("32-bit EL0, T32", program(&T32, 12, true));
}

/// LDR r1, [r0, #0x18]; SVC #1.
const A32: [u32; 2] = [0xe590_1018, 0xef00_0001];
/// CMP r0, r0; ITE EQ; LDREQ r1, [r0, #0x18]; LDRNE r1, [r3]; NOP; SVC #1.
const T32: [u32; 3] = [0xbf0c_4280, 0x6819_6981, 0xdf01_bf00];

/// That it ends at its SVC, with the address behind it.
fn program(code: &[u32], length: u64, thumb: bool) -> Result {
    /// Exception class of SVC from AArch32.
    const SVC: u64 = 0x11;
    let Some(caught) = crate::cpu::run_32(code, UART, thumb) else {
        return Err(Wrong("no exception", 0, SVC));
    };
    equal("class", caught.class(), SVC)?;
    equal("number", caught.esr & 0xffff, 1)?;
    equal("address", caught.elr, crate::cpu::scratch() + length)
}

fn undefined(outcome: Outcome, shown: bool) -> Result {
    let Outcome::Caught(caught) = outcome else { return Ok(()) };
    holds("class", outcome.is_undefined(), caught.class())?;
    holds("shown but undefined", !shown, caught.esr)
}
