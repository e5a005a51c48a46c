// SPDX-License-Identifier: MIT OR Apache-2.0
//! Arm's instructions, at EL1 and EL0.

mod generated;
mod syndrome;
mod table;

pub(crate) use generated::generated;
pub(crate) use syndrome::{exception, name};
pub(crate) use table::{El0, Instruction};

use super::{Code, Outcome, attempt, scratch};
use guest_rt::machine::{mask_interrupts, probe_el0, wait_for_interrupt};

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

/// Readies what probes need: nothing.
pub(crate) fn prepare() {}

/// Waits for an interrupt that never comes.
pub(crate) fn idle_for_ever() -> ! {
    mask_interrupts();
    loop {
        wait_for_interrupt();
    }
}
