// SPDX-License-Identifier: MIT OR Apache-2.0
//! AArch64 at EL2, without the virtualization host extensions (HCR_EL2.E2H is 0).

mod boot;
mod caches;
mod calls;
mod debug;
mod features;
mod fetch;
mod float;
mod gic;
mod hide;
mod inject;
mod map;
mod memory;
mod mmio;
mod platform;
mod registers;
mod serial;
mod stage2;
mod state;
mod sysreg;
pub mod time;
mod vcpu;

pub use boot::Starter;
pub use calls::{answer as answer_call, power_result, vcpu_named};
pub use gic::{Kick, acknowledge};
pub use map::{kept, used as memory_used};
pub use memory::{clean, copy, crc32c, keep, peek, poke, poke32, publish_code, zero};
pub use platform::Platform;
pub use serial::Serial;
pub use stage2::{Purpose as Stage2Purpose, Stage2};
pub use state::Controls;
pub use vcpu::{Left, Vcpu, is_interrupt};

pub use abi::platform::virt::PLATFORM;

use crate::shared::Shared;
use aarch64_cpu::registers::{CNTHP_CTL_EL2, Writeable};
use core::sync::atomic::{AtomicU64, Ordering};
use paging::HostPhys;
use spin::{Mutex, Once};
use sysreg::mrs;

/// What each CPU knows of itself; TPIDR_EL2 points at it.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Local {
    /// Top of the stack for exceptions of the hypervisor itself; head.s reads it.
    emergency_stack: u64,
    /// Number of the CPU.
    number: usize,
}

/// MPIDR of each CPU, in the order the firmware lists them.
static NAMES: Once<&'static [u64]> = Once::new();
/// Physical address of the table of windows.
static WINDOWS: AtomicU64 = AtomicU64::new(0);

/// What the CPUs of this machine share.
static SHARED: Shared = Shared::new();

/// What the CPUs of this machine share.
#[inline]
#[must_use]
pub fn shared() -> &'static Shared {
    &SHARED
}

/// Number of the CPU that runs this.
#[must_use]
pub fn cpu_number() -> usize {
    let local = mrs!("tpidr_el2") as *const Local;
    // SAFETY: boot.rs points TPIDR_EL2 at a Local that lives for ever before anything asks.
    unsafe { local.as_ref() }.map_or(0, |local| local.number)
}

/// The table of windows.
fn windows() -> HostPhys {
    HostPhys::new(WINDOWS.load(Ordering::Relaxed))
}

/// The MPIDR of a CPU.
fn mpidr_of(cpu: u32) -> u64 {
    NAMES.get().and_then(|names| names.get(cpu as usize)).copied().unwrap_or(0)
}

/// Interrupts this CPU when something is typed.
pub fn route_console(cpu: u32) {
    gic::route_console(mpidr_of(cpu));
}

/// Waits until an interrupt is pending on this CPU.
pub fn wait() {
    sysreg::dsb_sy();
    // SAFETY: WFI ends when an interrupt is pending, even a masked one.
    unsafe { core::arch::asm!("wfi", options(nomem, nostack, preserves_flags)) }
}

/// Whether a physical interrupt waits to be acknowledged.
#[must_use]
pub fn interrupt_pending() -> bool {
    // ISR_EL1: I and F.
    mrs!("isr_el1") & 0b1100_0000 != 0
}

/// One turn of a loop that waits for another CPU.
pub fn relax() {
    // SAFETY: a hint.
    unsafe { core::arch::asm!("yield", options(nomem, nostack, preserves_flags)) }
}

/// Takes a lock from whoever holds it, on a CPU that panicked.
pub fn break_lock<T>(lock: &Mutex<T>) {
    // SAFETY: its holder is this CPU, which panicked, or has held it for 100,000 turns; what it
    // guards, the console's ring, is bounded by its own indexes in any state.
    unsafe { lock.force_unlock() }
}

/// Switches the machine off through the firmware.
pub fn power_off() -> ! {
    let _ = smccc::psci::system_off::<smccc::Smc>();
    stop_cpu()
}

/// Resets the machine through the firmware.
pub fn reboot() -> ! {
    let _ = smccc::psci::system_reset::<smccc::Smc>();
    stop_cpu()
}

/// This CPU does nothing any more.
pub fn stop_cpu() -> ! {
    CNTHP_CTL_EL2.set(0);
    loop {
        wait();
    }
}
