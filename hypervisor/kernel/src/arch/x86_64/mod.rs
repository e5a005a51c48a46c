// SPDX-License-Identifier: MIT OR Apache-2.0
//! x86-64: VT-x with EPT and AMD-V with NPT in one program, chosen at boot.

mod apic;
mod boot;
mod calls;
mod control;
mod exits;
mod features;
mod fetch;
mod float;
mod inject;
mod map;
mod memory;
mod mmio;
mod pci;
mod platform;
mod serial;
mod stage2;
mod state;
mod svm;
mod sysreg;
mod tables;
pub mod time;
mod vcpu;
mod vmx;

pub use apic::{Kick, acknowledge, interrupt_pending, route_console};
pub use boot::Starter;
pub use calls::{answer as answer_call, power_result, vcpu_named};
pub use map::{kept, used as memory_used};
pub use memory::{clean, copy, crc32c, keep, peek, poke, poke32, publish_code, zero};
pub use platform::Platform;
pub use serial::Serial;
pub use stage2::{Purpose as Stage2Purpose, Stage2};
pub use state::Controls;
pub use vcpu::{Left, Vcpu, is_interrupt};

pub use abi::platform::pc::PLATFORM;

use crate::shared::Shared;
use core::arch::{asm, global_asm};
use core::mem::offset_of;
use core::sync::atomic::{AtomicU64, Ordering};
use spin::{Mutex, Once};

/// What each CPU knows of itself; GS points at it.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Local {
    /// Its own address.
    this: u64,
    /// One bit for each interrupt that came; head.s sets them.
    arrived: AtomicU64,
    /// When the kernel wants the timer's interrupt.
    armed: AtomicU64,
    /// When the timer of the vCPU's own local APIC is due.
    guest: AtomicU64,
    /// When it was due whose interrupt is being answered.
    due: AtomicU64,
    /// Number of the CPU.
    number: usize,
    /// Its segments.
    tables: tables::Tables,
}

impl Local {
    /// The facts of CPU `number`.
    fn new(number: usize, tables: tables::Tables) -> Self {
        Self {
            this: 0,
            arrived: AtomicU64::new(0),
            armed: AtomicU64::new(u64::MAX),
            guest: AtomicU64::new(u64::MAX),
            due: AtomicU64::new(0),
            number,
            tables,
        }
    }
}

global_asm!(
    ".equ LOCAL_ARRIVED, {arrived}",
    include_str!("head.s"),
    arrived = const offset_of!(Local, arrived),
);

/// Local APIC id of each CPU, in the order ACPI lists them.
static NAMES: Once<&'static [u32]> = Once::new();
/// What each of them knows.
static LOCALS: Once<&'static [&'static Local]> = Once::new();
/// Port and value that switch the machine off.
static SOFT_OFF: Once<Option<(u16, u16)>> = Once::new();

/// What the CPUs of this machine share.
static SHARED: Shared = Shared::new();

/// What the CPUs of this machine share.
#[inline]
#[must_use]
pub fn shared() -> &'static Shared {
    &SHARED
}

/// What this CPU knows of itself.
#[inline(always)]
fn local() -> &'static Local {
    let local: *const Local;
    // SAFETY: boot.rs points GS at a Local that lives for ever before anything asks, whose first
    // word is its own address.
    unsafe {
        asm!("mov {}, gs:[0]", out(reg) local, options(pure, readonly, nostack, preserves_flags));
        &*local
    }
}

/// Whether [`local`] may be asked: the first CPU has loaded its own tables, and others do so
/// before anything else.
#[inline]
fn knows_itself() -> bool {
    LOCALS.is_completed()
}

/// Number of the CPU that runs this.
#[must_use]
#[inline]
pub fn cpu_number() -> usize {
    if knows_itself() { local().number } else { 0 }
}

/// The local APIC id of a CPU.
fn apic_id_of(cpu: u32) -> u32 {
    NAMES.get().and_then(|names| names.get(cpu as usize)).copied().unwrap_or(0)
}

/// Whether this CPU has taken an interrupt that nobody has answered.
#[inline(always)]
fn has_arrived() -> bool {
    local().arrived.load(Ordering::Relaxed) != 0
}

/// Waits until an interrupt is pending on this CPU.
pub fn wait() {
    if !has_arrived() {
        apic::look_again();
        sysreg::halt();
    }
}

/// One turn of a loop that waits for another CPU.
pub fn relax() {
    core::hint::spin_loop();
}

/// Takes a lock from whoever holds it, on a CPU that panicked.
pub fn break_lock<T>(lock: &Mutex<T>) {
    // SAFETY: its holder is this CPU, which panicked, or has held it for 100,000 turns; what it
    // guards, the console's ring, is bounded by its own indexes in any state.
    unsafe { lock.force_unlock() }
}

/// Switches the machine off through ACPI's soft off.
pub fn power_off() -> ! {
    if let Some(Some((port, value))) = SOFT_OFF.get() {
        sysreg::outw(*port, *value);
    }
    stop_cpu()
}

/// Resets the machine: by the chipset's reset register, else by the keyboard controller (Intel's
/// ICH data sheet, "RST_CNT"; IBM PC/AT technical reference, "Keyboard controller").
pub fn reboot() -> ! {
    const RESET_CONTROL: u16 = 0xcf9;
    const KEYBOARD: u16 = 0x64;
    for (port, value) in [(RESET_CONTROL, 0x02), (RESET_CONTROL, 0x06), (KEYBOARD, 0xfe)] {
        sysreg::outb(port, value);
    }
    stop_cpu()
}

/// This CPU does nothing any more.
pub fn stop_cpu() -> ! {
    loop {
        // SAFETY: interrupts are masked: only an NMI or a reset ends this.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) }
    }
}
