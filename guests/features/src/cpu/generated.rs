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
