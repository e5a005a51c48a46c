// SPDX-License-Identifier: MIT OR Apache-2.0
//! x86: a PC, in 64-bit mode.

pub mod apic;
mod boot;
pub mod call;
pub mod descriptors;
pub mod facts;
mod mmio;
pub mod ports;
pub mod power;
pub mod timer;
pub(crate) mod uart;
mod vectors;

pub use apic as interrupts;
pub use boot::{cpu_index, start_cpu};
pub use mmio::{IO_APIC, LOCAL_APIC, Registers};
pub use vectors::{
    Caught, Frame, Vector, exception_name, on_fault, on_interrupt, probe, probe_user,
};

use core::sync::atomic::{Ordering, fence};
use x86_64::instructions::interrupts as flag;

/// Lets interrupts in.
pub fn unmask_interrupts() {
    flag::enable();
}

/// Keeps interrupts out.
pub fn mask_interrupts() {
    flag::disable();
}

/// Whether interrupts are kept out.
#[must_use]
pub fn interrupts_are_masked() -> bool {
    !flag::are_enabled()
}

/// Runs `f` with interrupts masked and then restores the mask.
pub fn without_interrupts<T>(f: impl FnOnce() -> T) -> T {
    flag::without_interrupts(f)
}

/// Waits for an interrupt. Where they are masked they are let in for this one moment:
/// the handler has run when this returns.
pub fn wait_for_interrupt() {
    let masked = !flag::are_enabled();
    flag::enable_and_hlt();
    if masked {
        flag::disable();
    }
}

/// The map is on from the entry code on, so there is nothing to do.
pub fn enable_mmu() {}

/// Whether this CPU translates addresses: always, in 64-bit mode.
#[must_use]
pub fn mmu_is_on() -> bool {
    true
}

/// Lets a peer see what was written before before what is written after, and the same for reads.
pub(crate) fn barrier() {
    fence(Ordering::SeqCst);
}
