// SPDX-License-Identifier: MIT OR Apache-2.0
//! Arm: QEMU's `virt` platform at EL1.

mod boot;
pub mod call;
pub mod facts;
pub mod gic;
mod mmio;
pub mod power;
mod stage1;
pub mod timer;
pub(crate) mod uart;
mod vectors;

pub use boot::{cpu_index, start_cpu};
pub use gic as interrupts;
pub use mmio::{GICD, RTC, Registers, UART, redistributor};
pub use stage1::{enable_mmu, mmu_is_on};
pub use vectors::{Caught, Frame, Vector, on_fault, on_interrupt, probe, probe_el0};

use aarch64_cpu::asm::barrier::{SY, dmb};
use aarch64_cpu::registers::{DAIF, ReadWriteable, Readable, Writeable};

/// Lets interrupts in.
pub fn unmask_interrupts() {
    DAIF.modify(DAIF::I::Unmasked);
}

/// Keeps interrupts out.
pub fn mask_interrupts() {
    DAIF.modify(DAIF::I::Masked);
}

/// Whether interrupts are kept out.
#[must_use]
pub fn interrupts_are_masked() -> bool {
    DAIF.is_set(DAIF::I)
}

/// Runs `f` with interrupts masked and then restores the mask.
pub fn without_interrupts<T>(f: impl FnOnce() -> T) -> T {
    let mask = DAIF.get();
    mask_interrupts();
    let value = f();
    DAIF.set(mask);
    value
}

/// Waits until an interrupt is pending, masked or not.
pub fn wait_for_interrupt() {
    aarch64_cpu::asm::wfi();
}

/// Lets a peer see what was written before before what is written after, and the same for reads.
pub(crate) fn barrier() {
    dmb(SY);
}
