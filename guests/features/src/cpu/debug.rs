// SPDX-License-Identifier: MIT OR Apache-2.0
//! Code to stop at. Debug exceptions are let in (PSTATE.D) only around it.
//! Manual: Arm ARM, "AArch64 Self-hosted Debug".

use core::arch::{asm, global_asm};
use guest_rt::machine::{Caught, probe};

global_asm!(
    r#"
    .section .text.features_debug, "ax"
    .global features_target
features_target:
    nop
    ret

    // x0: a device's register. Between the BRKs each instruction is one step.
    .global features_steps
    .global features_steps_end
features_steps:
    mov x4, x0
    brk #1
    nop
    ldr w1, [x4, #0x18]             // traps: emulated device
    mrs x1, id_aa64pfr0_el1         // traps: register
    ldr w1, [x4], #0                // traps, and is decoded
    mov w0, #0x84000000             // PSCI_VERSION
    hvc #0
    mov w0, #0x84000000
    smc #0                          // traps before it is behind the guest
    isb
features_steps_end:
    brk #2
    ret
"#
);

unsafe extern "C" {
    fn features_target();
    fn features_steps(device: u64);
    static features_steps_end: u32;
}

/// Address that [`execute`] runs.
fn target() -> u64 {
    features_target as *const () as u64
}

/// Runs `f` with debug exceptions let in, until the first exception.
fn with_debug(f: impl FnOnce()) -> Option<Caught> {
    let f = || {
        // SAFETY: debug exceptions go to the vectors; none is enabled but the one under test.
        unsafe { asm!("msr daifclr, #8", "isb", options(nostack)) };
        f();
        // SAFETY: masks them again.
        unsafe { asm!("msr daifset, #8", options(nostack)) };
    };
    // SAFETY: what runs holds nothing.
    unsafe { probe(f) }.err()
}

/// Runs a function, whose address `before` is told; the exception that ended it.
pub(crate) fn execute(before: impl FnOnce(u64)) -> Option<Caught> {
    before(target());
    // SAFETY: the function is a NOP and a return.
    with_debug(|| unsafe { features_target() })
}

/// Stores a word at `address`, in the scratch memory; the exception that ended it.
pub(crate) fn store(address: u64) -> Option<Caught> {
    assert!((super::scratch()..super::scratch() + 0x1000).contains(&address));
    // SAFETY: inside the scratch memory, which nothing else uses.
    with_debug(|| unsafe { asm!("str xzr, [{}]", in(reg) address, options(nostack)) })
}

/// A BRK with this guest's own number; the exception that ended it.
pub(crate) fn brk() -> Option<Caught> {
    // SAFETY: an exception and nothing else.
    with_debug(|| unsafe { asm!("brk #0x123", options(nostack)) })
}

/// Runs the code that the handler of faults steps through, from its BRK #1 to its BRK #2.
pub(crate) fn step() {
    // SAFETY: the code changes x0 to x4 only and reads registers of the console; the handler
    // (debug.rs of this guest) resumes it.
    unsafe { asm!("bl {}", sym features_steps, in("x0") abi::platform::UART, clobber_abi("C")) };
}

/// Addresses between which each instruction is one step: the one after BRK #1, and BRK #2.
pub(crate) fn stepped_instructions() -> (u64, u64) {
    let start = features_steps as *const () as u64 + 8;
    (start, &raw const features_steps_end as u64)
}
