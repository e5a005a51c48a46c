// SPDX-License-Identifier: MIT OR Apache-2.0
//! Instructions that the assembler may not know, made at run time.

use core::arch::asm;
use core::cell::{Cell, UnsafeCell};
use guest_rt::machine::{Caught, probe};

/// RET.
const RET: u32 = 0xd65f_03c0;

/// How an instruction came back.
#[derive(Clone, Copy)]
pub(crate) enum Outcome {
    /// It left this in x0.
    Done(u64),
    /// It ended in this exception.
    Caught(Caught),
}

impl Outcome {
    /// Whether it was undefined: exception class 0.
    pub(crate) fn is_undefined(self) -> bool {
        matches!(self, Outcome::Caught(caught) if caught.class() == 0)
    }
}

/// An MRS of x0.
pub(crate) const fn mrs(op0: u32, op1: u32, crn: u32, crm: u32, op2: u32) -> u32 {
    0xd530_0000 | (op0 & 1) << 19 | op1 << 16 | crn << 12 | crm << 8 | op2 << 5
}

/// An MSR of x0.
pub(crate) const fn msr(op0: u32, op1: u32, crn: u32, crm: u32, op2: u32) -> u32 {
    mrs(op0, op1, crn, crm, op2) & !(1 << 21)
}

#[repr(C, align(64))]
struct Buffer(UnsafeCell<[u32; 2]>);

// SAFETY: CPU 0 generates and runs code, one instruction at a time.
unsafe impl Sync for Buffer {}

static BUFFER: Buffer = Buffer(UnsafeCell::new([0, RET]));

/// Runs one instruction, with `x0` in x0; it may use x0 to x17.
pub(crate) fn generated(instruction: u32, x0: u64) -> Outcome {
    let at = BUFFER.0.get();
    // SAFETY: only this function touches the buffer. The maintenance is the sequence of "Ordering and
    // completion of data and instruction cache instructions" in the Arm ARM.
    unsafe {
        at.cast::<u32>().write_volatile(instruction);
        asm!("dc cvau, {0}", "dsb ish", "ic ivau, {0}", "dsb ish", "isb", in(reg) at, options(nostack));
    }
    let value = Cell::new(0);
    let run = || {
        let result: u64;
        // SAFETY: the buffer holds one instruction and RET; the tests use instructions that change
        // nothing but x0 to x17, a register that Rust does not depend on, or the scratch memory.
        unsafe {
            asm!("blr {at}", at = in(reg) at, inout("x0") x0 => result, clobber_abi("C"));
        }
        value.set(result);
    };
    // SAFETY: `run` holds nothing; a fault leaves `value` as it was.
    match unsafe { probe(run) } {
        Ok(()) => Outcome::Done(value.get()),
        Err(caught) => Outcome::Caught(caught),
    }
}

/// Runs a program of 32 bits, which lies in the scratch memory, at EL0 with `r0`
/// in r0 and an address where nothing is in r3; the exception that ended it.
pub(crate) fn run_32(code: &[u32], r0: u64, thumb: bool) -> Option<Caught> {
    /// SPSR: User mode of AArch32, all masked; T32.
    const USER: u64 = 0x1d0;
    const T: u64 = 1 << 5;
    /// Nothing of the platform is there.
    const NOWHERE: u64 = 0x0b00_0000;
    let at = super::scratch();
    for (address, word) in (at..).step_by(4).zip(code) {
        // SAFETY: the scratch memory is larger than any program here, and nothing else uses it.
        unsafe { (address as *mut u32).write_volatile(*word) }
    }
    // SAFETY: maintenance, so that the program is fetched as it was written.
    unsafe { asm!("dsb ish", "ic iallu", "dsb ish", "isb", options(nostack)) };
    let spsr = USER | if thumb { T } else { 0 };
    let run = || {
        // SAFETY: the program reads a device's register and ends in an exception, which ends the probe.
        unsafe {
            asm!("msr elr_el1, {0}", "msr spsr_el1, {1}", "eret", in(reg) at, in(reg) spsr,
                in("x0") r0, in("x3") NOWHERE, options(noreturn, nostack));
        }
    };
    // SAFETY: `run` holds nothing.
    unsafe { probe(run) }.err()
}
