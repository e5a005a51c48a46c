// SPDX-License-Identifier: MIT OR Apache-2.0
//! All unsafe code of the runtime: entry and exception vectors in assembly,
//! device registers, stage 1 tables, and the device tree's bytes.
#![allow(unsafe_code, reason = "entry, vectors, registers and tables have no safe form")]

mod boot;
mod mmio;
mod stage1;
mod vectors;

pub(crate) use boot::tree_bytes;
pub use boot::{cpu_index, start_cpu};
pub(crate) use mmio::channel_window;
pub use mmio::{GICD, RTC, Registers, UART, redistributor};
pub use stage1::{enable_mmu, mmu_is_on};
pub use vectors::{Caught, Frame, Vector, on_fault, on_interrupt, probe, probe_el0};

use aarch64_cpu::registers::{DAIF, ReadWriteable, Readable, Writeable};

/// Lets interrupts in.
pub fn unmask_interrupts() {
    DAIF.modify(DAIF::I::Unmasked);
}

/// Keeps interrupts out.
pub fn mask_interrupts() {
    DAIF.modify(DAIF::I::Masked);
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
