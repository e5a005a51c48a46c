// SPDX-License-Identifier: MIT OR Apache-2.0
//! All unsafe code of this guest: instructions that may fault, written or
//! generated, at EL1 and EL0, each with its outcome.
//!
//! What they do is wrong on purpose; what keeps Rust's own state sound is that
//! every address comes from a group, and groups keep out of this guest's memory
//! but for [`SCRATCH`].
#![allow(unsafe_code, reason = "forbidden things have no safe form")]

mod generated;
mod table;

pub(crate) use generated::generated;
pub(crate) use table::{El0, Instruction};

use core::cell::Cell;
use guest_rt::machine::{Caught, probe, probe_el0};

/// How a probe came back.
#[derive(Clone, Copy)]
pub(crate) enum Outcome {
    /// It returned with this value in x0.
    Done(u64),
    /// It ended in this exception.
    Caught(Caught),
}

impl Outcome {
    /// What it returned.
    pub(crate) fn value(self) -> Option<u64> {
        match self {
            Outcome::Done(value) => Some(value),
            Outcome::Caught(_) => None,
        }
    }
}

/// Memory of this guest that probes may change: 64 KiB, aligned to 4 KiB.
#[repr(C, align(4096))]
struct Scratch([Cell<u8>; 0x1_0000]);

// SAFETY: only probes touch it, through its address, and one CPU runs probes.
unsafe impl Sync for Scratch {}

static SCRATCH: Scratch = Scratch([const { Cell::new(0) }; 0x1_0000]);

/// Address of the memory that probes may change.
pub(crate) fn scratch() -> u64 {
    SCRATCH.0.as_ptr() as u64
}

/// Code that takes x0 to x3 and leaves its result in x0.
pub(crate) type Code = unsafe extern "C" fn(u64, u64, u64, u64) -> u64;

/// Runs `code` at EL1.
pub(crate) fn attempt(code: Code, [a, b, c, d]: [u64; 4]) -> Outcome {
    let value = Cell::new(0);
    // SAFETY: the code is a few instructions of a group, which holds no lock; a fault leaves `value` as it was.
    match unsafe { probe(|| value.set(code(a, b, c, d))) } {
        Ok(()) => Outcome::Done(value.get()),
        Err(caught) => Outcome::Caught(caught),
    }
}

/// Jumps to `address`; comes back only through a fault or a return instruction there.
pub(crate) fn execute(address: u64) -> Outcome {
    // SAFETY: a `fn` pointer is any non-zero address here; groups pass addresses outside this guest's memory.
    let code = unsafe { core::mem::transmute::<u64, Code>(address.max(4)) };
    attempt(code, [0; 4])
}

/// Runs `code` at EL0, where an SVC ends it.
pub(crate) fn attempt_el0(code: Code, argument: u64) -> Outcome {
    /// Exception class of SVC from AArch64.
    const SVC: u64 = 0x15;
    let stack = scratch() + 0x1000;
    // SAFETY: the code is a few instructions that touch what the argument names, and the stack is scratch memory.
    match unsafe { probe_el0(code as *const () as u64, stack, argument) } {
        Ok(()) => Outcome::Done(0),
        Err(caught) if caught.class() == SVC => Outcome::Done(0),
        Err(caught) => Outcome::Caught(caught),
    }
}

/// Writes a word of the scratch memory, which the walker reads uncached.
pub(crate) fn write(address: u64, value: u64) {
    assert!((scratch()..scratch() + 0x1_0000).contains(&address), "outside the scratch memory");
    // SAFETY: inside the scratch memory, which nothing else uses; the maintenance makes the walker see it.
    unsafe {
        core::arch::asm!("str {1}, [{0}]", "dc cvac, {0}", "dsb sy", in(reg) address, in(reg) value, options(nostack));
    }
}

/// Lets the emulator run another CPU.
pub(crate) fn pause() {
    // SAFETY: YIELD changes nothing.
    unsafe { core::arch::asm!("yield", options(nomem, nostack, preserves_flags)) };
}
