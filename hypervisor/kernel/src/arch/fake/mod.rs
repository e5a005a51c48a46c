// SPDX-License-Identifier: MIT OR Apache-2.0
//! A machine of no manufacturer, for tests on the host: it plays back exits
//! from a script, and everything the kernel does to it can be looked at.
//!
//! Names, register numbers and results differ from every real architecture's on
//! purpose, so that generic code which knows too much fails here. The machine
//! is the test's ([`Machine::enter`]); each thread has its own, or joins one.
//! Two things end a CPU's loop on real machines, and unwind here: power off and
//! a CPU that stops ([`Stopped`]).

extern crate std;

mod events;
mod machine;
mod memory;
mod platform;
mod serial;
mod stage2;
pub mod time;
mod vcpu;

pub use events::{Event, Reply, Stopped};
pub use machine::{Machine, Starter};
pub use memory::{
    GARBAGE, clean, copy, crc32c, keep, kept, peek, poke, poke32, publish_code, zero,
};
pub use platform::{Platform, device};
pub use serial::Serial;
pub use stage2::{Controls, Stage2, Stage2Purpose};
pub use vcpu::{Left, Vcpu, is_interrupt};

pub use abi::platform::virt::PLATFORM;

use crate::exit::{Call, CpuState, PowerAnswer};
use crate::interrupt::Interrupt;
use crate::shared::Shared;
use spin::Mutex;

/// What the CPUs of this thread's machine share.
#[must_use]
pub fn shared() -> &'static Shared {
    &Machine::current().shared
}

/// The CPU that this thread plays.
#[must_use]
pub fn cpu_number() -> usize {
    machine::cpu()
}

/// How to make one CPU exit from its guest.
#[derive(Clone, Copy, Debug)]
pub struct Kick(u32);

impl Kick {
    /// For the CPU with this number.
    #[must_use]
    pub fn new(cpu: u32) -> Self {
        Self(cpu)
    }

    /// Makes it exit.
    pub fn send(&self) {
        Machine::current().interrupt(self.0 as usize, Interrupt::Kick);
    }
}

/// Interrupts this CPU when something is typed.
pub fn route_console(cpu: u32) {
    Machine::current().with(|state| state.console_cpu = cpu as usize);
}

/// Takes a physical interrupt of this CPU.
#[must_use]
pub fn acknowledge() -> Interrupt {
    let cpu = cpu_number();
    Machine::current().with(|state| state.acknowledge(cpu))
}

/// Whether a physical interrupt waits to be acknowledged.
#[must_use]
pub fn interrupt_pending() -> bool {
    let cpu = cpu_number();
    Machine::current().with(|state| state.is_pending(cpu))
}

/// Returns at once: a test advances the time between turns.
pub fn wait() {
    let cpu = cpu_number();
    if Machine::current().with(|state| state.wait(cpu)) {
        machine::unwind(Stopped::Waiting);
    }
}

/// One turn of a loop that waits for another CPU.
pub fn relax() {
    core::hint::spin_loop();
}

/// Takes a lock from whoever holds it, on a CPU that panicked.
pub fn break_lock<T>(lock: &Mutex<T>) {
    // SAFETY: the test that panics with the lock held forgot its guard, so nobody holds it.
    unsafe { lock.force_unlock() }
}

/// Switches the machine off.
pub fn power_off() -> ! {
    Machine::current().with(|state| state.off = true);
    machine::unwind(Stopped::Machine)
}

/// Resets the machine.
pub fn reboot() -> ! {
    Machine::current().with(|state| state.off = true);
    machine::unwind(Stopped::Reset)
}

/// This CPU does nothing any more.
pub fn stop_cpu() -> ! {
    let cpu = cpu_number();
    Machine::current().with(|state| state.cpu(cpu).stopped = true);
    machine::unwind(Stopped::Cpu)
}

/// Bytes of tables in use.
#[must_use]
pub fn memory_used() -> u64 {
    Machine::current().with(|state| state.tables.used())
}

/// Where names of vCPUs begin: they count downwards, by threes.
const FIRST_NAME: u64 = 0xface_0000_0000;

/// The name by which a guest calls its vCPU number `index`.
#[must_use]
pub fn name_of_vcpu(index: usize) -> u64 {
    FIRST_NAME - 3 * index as u64
}

/// The number of the vCPU with this name.
#[must_use]
pub fn vcpu_named(name: u64) -> Option<usize> {
    let below = FIRST_NAME.checked_sub(name)?;
    below.is_multiple_of(3).then(|| usize::try_from(below / 3).ok()).flatten()
}

/// The answer to a call: its number and argument, mixed.
#[must_use]
pub fn answer_call(call: Call) -> u64 {
    u64::from(call.function).rotate_left(40) ^ call.argument
}

/// What a power request came to, in this machine's own numbers.
#[must_use]
pub fn power_result(answer: PowerAnswer) -> u64 {
    match answer {
        PowerAnswer::Success => 0x600d,
        PowerAnswer::InvalidParameters => 0xbad1,
        PowerAnswer::InvalidAddress => 0xbad2,
        PowerAnswer::AlreadyOn => 0xbad3,
        PowerAnswer::OnPending => 0xbad4,
        PowerAnswer::State(CpuState::On) => 0x57a7_0003,
        PowerAnswer::State(CpuState::Off) => 0x57a7_0005,
        PowerAnswer::State(CpuState::OnPending) => 0x57a7_0007,
    }
}
