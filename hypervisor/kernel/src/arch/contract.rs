// SPDX-License-Identifier: MIT OR Apache-2.0
//! What every architecture promises: each type and function that the rest of
//! the kernel uses of `arch`, written down with its type. One that is missing
//! or different fails at its line here, for every architecture alike.
//!
//! What always holds:
//! - The kernel runs with interrupts masked. Only [`Vcpu::enter`] lets one
//!   through, as an exit, and only [`wait`] sleeps until one is pending.
//! - Nothing here panics on a guest's account: a guest chose every number in an
//!   [`Exit`], and the worst that it can get is a [`GuestFault`].
//! - Nothing here allocates after boot.
//! - A [`Vcpu`] is entered, loaded and parked on the CPU that it has its seat
//!   on; a [`Platform`] may be reached from every CPU of its partition.

use super::{
    Controls, Kick, Left, PLATFORM, Platform, Serial, Stage2, Stage2Purpose, Starter, Vcpu,
    acknowledge, answer_call, break_lock, clean, copy, cpu_number, crc32c, interrupt_pending,
    is_interrupt, keep, kept, memory_used, peek, poke, poke32, power_off, power_result,
    publish_code, reboot, relax, route_console, shared, stop_cpu, time, vcpu_named, wait, zero,
};
use crate::cpu::Cpu;
use crate::exit::{Call, Exit, MemoryAccess, PortAccess, PowerAnswer, RegisterAccess};
use crate::fault::{GuestFault, Why};
use crate::interrupt::Interrupt;
use crate::partition::Partition;
use crate::run::Next;
use crate::shared::Shared;
use crate::statistics::Counters;
use crate::terminal::Terminal;
use abi::records::DeviceRecord;
use core::array::IntoIter;
use core::fmt::Arguments;
use core::sync::atomic::AtomicU64;
use paging::{Error, GuestPhys, HostPhys};
use spin::Mutex;

/// Who is told lines.
type Told<'a> = &'a mut dyn FnMut(Arguments<'_>);
/// Who looks at a terminal.
type Looks<'a> = &'a mut dyn FnMut(&Terminal);
/// A fallible access to a platform.
type Accessed<A, T> = fn(&Platform, &A, &mut Vcpu, &Partition) -> Result<T, GuestFault>;

/// The machine.
mod machine {
    use super::*;

    /// What the guests of this architecture see at fixed addresses.
    const _: &abi::platform::Platform = &PLATFORM;
    /// What the CPUs of this machine share. There is one in a machine.
    const _: fn() -> &'static Shared = shared;
    /// The number of the CPU that runs this, in the order the firmware lists them.
    const _: fn() -> usize = cpu_number;
    /// Starts another CPU, which serves that [`Cpu`] for ever. To be called once for each.
    const _: fn(&mut Starter, usize, &'static mut Cpu) -> Result<(), &'static str> = Starter::start;
    /// The UART of a device that is kept for the host, with its receive interrupt; none if nothing
    /// answers. To be called before the console is routed.
    const _: fn(&mut Starter, &DeviceRecord) -> Option<Serial> = Starter::serial;
    /// How to make the CPU with this number exit from its guest.
    const _: fn(u32) -> Kick = Kick::new;
    /// Makes it exit, soon: it acknowledges [`Interrupt::Kick`] after this call. All that this
    /// CPU wrote before is visible to it then. Several kicks may become one.
    const _: fn(&Kick) = Kick::send;
    /// Sleeps until an interrupt is pending on this CPU, which stays pending. One that was
    /// pending already ends it at once, so that nothing is lost between a look and a sleep.
    /// It may end for no reason.
    const _: fn() = wait;
    /// Whether an interrupt is pending on this CPU.
    const _: fn() -> bool = interrupt_pending;
    /// Takes the pending interrupt of highest priority. All but [`Interrupt::Guest`] are over
    /// then, and may come again; a deadline is disarmed.
    const _: fn() -> Interrupt = acknowledge;
    /// Console input interrupts this CPU from now on, and no other.
    const _: fn(u32) = route_console;
    /// One turn of a loop that waits for another CPU.
    const _: fn() = relax;
    /// Takes a lock from whoever holds it. Only for a CPU that panicked, and for a lock whose
    /// content is sound in every state.
    const _: fn(&Mutex<u8>) = break_lock;
    /// Switches the machine off.
    const _: fn() -> ! = power_off;
    /// Resets the machine; what [`kept`] gives survives.
    const _: fn() -> ! = reboot;
    /// This CPU does nothing any more, not even for a kick.
    const _: fn() -> ! = stop_cpu;
    /// Bytes of memory that the hypervisor itself uses.
    const _: fn() -> u64 = memory_used;
}

/// Time: a counter that all CPUs agree on, and one deadline on each.
mod clock {
    use super::*;

    /// Ticks since the machine started. Never goes back.
    const _: fn() -> u64 = time::now;
    /// The same, where it does not matter whether that is read some instructions early or late.
    const _: fn() -> u64 = time::glance;
    /// Ticks that so many nanoseconds last, rounded down.
    const _: fn(u64) -> u64 = time::ticks;
    /// Ticks of a second.
    const _: fn() -> u64 = time::frequency;
    /// Says on the console what was measured of time, if anything had to be.
    const _: fn() = time::tell;
    /// [`Interrupt::Deadline`] comes to this CPU at that time, unless one is armed that comes
    /// earlier: whoever is told looks at all that it waits for. One in the past comes at once.
    const _: fn(u64) = time::arm;
}

/// Memory of partitions, which the kernel does not map.
mod memory {
    use super::*;

    /// Writes zeros, and cleans them to the point of coherency: a guest with its caches off
    /// reads them. Address and length are multiples of 4 KiB; a step is at most 64 KiB.
    const _: fn(HostPhys, usize) = zero;
    /// Copies bytes, and cleans them in the same way. A step is at most 64 KiB.
    const _: fn(HostPhys, &[u8]) = copy;
    /// Writes what caches hold of a range back to memory. Changes no value.
    const _: fn(HostPhys, usize) = clean;
    /// Loads the eight bytes at a multiple of eight at once, whether or not a guest wrote them with
    /// its caches on.
    const _: fn(HostPhys) -> u64 = peek;
    /// Stores eight bytes at once, and cleans them in the same way.
    const _: fn(HostPhys, u64) = poke;
    /// Stores the four bytes at a multiple of four in the same way.
    const _: fn(HostPhys, u32) = poke32;
    /// Every CPU fetches instructions that were copied before this call anew.
    const _: fn() = publish_code;
    /// Memory of the hypervisor that a warm reset and a boot leave alone: whole 2 KiB pieces.
    const _: fn() -> &'static [AtomicU64] = kept;
    /// What was stored there is in memory from now.
    const _: fn(&[AtomicU64]) = keep;
    /// CRC-32C of bytes, continuing another one's.
    const _: fn(u32, &[u8]) -> u32 = crc32c;

    /// An empty translation for the partition with this number, and with an address space
    /// identifier of its own.
    const _: fn(usize) -> Result<Stage2, Error> = Stage2::new;
    /// Maps a range that is not mapped, before any vCPU is entered. What each purpose may do:
    const _: fn(&mut Stage2, GuestPhys, HostPhys, u64, Stage2Purpose) -> Result<(), Error> =
        Stage2::map;
    const _: [Stage2Purpose; 4] = [
        // read, write and execute; cacheable;
        Stage2Purpose::Ram,
        // read and execute; cacheable;
        Stage2Purpose::Flash,
        // read and write; both partitions see the same bytes, whatever their caches are;
        Stage2Purpose::Channel,
        // read and write; never cached, gathered or executed.
        Stage2Purpose::Device,
    ];
    /// Lets the partition reach so many I/O ports from the first on by itself (x86 alone has them).
    const _: fn(&mut Stage2, u32, u32) -> Result<(), Error> = Stage2::grant_ports;
    /// What governs the vCPU with this number; whether its waiting for interrupts is an exit.
    const _: fn(&Stage2, usize, bool) -> Controls = Stage2::controls;
}

/// vCPUs.
mod vcpu {
    use super::*;

    /// The vCPU with this number in its partition, not started. It counts there what it does.
    const _: fn(usize, Controls, &'static Counters) -> Vcpu = Vcpu::new;
    /// There. The architecture counts the interrupts that the vCPU was handed and how late its
    /// timers were, the kernel its exits.
    const _: fn(&Vcpu) -> &'static Counters = Vcpu::counters;
    /// That number.
    const _: fn(&Vcpu) -> usize = Vcpu::index;
    /// Puts the state after reset into this CPU, nothing of an earlier guest left, to start at
    /// an address with an argument.
    const _: fn(&mut Vcpu, u64, u64) = Vcpu::load;
    /// Runs the guest until it exits.
    const _: fn(&mut Vcpu) -> Left = Vcpu::enter;
    /// Whether it exited for an interrupt, and that is known before it is decoded.
    const _: fn(&Left) -> bool = is_interrupt;
    /// Why it exited, in words that name no manufacturer. What it does not know is a fault. An
    /// instruction that needs several accesses exits several times.
    const _: fn(&mut Vcpu, Left) -> Exit = Vcpu::decode;
    /// Ends the instruction of [`Exit::Memory`]: a loaded value reaches its register, and the
    /// program counter goes on.
    const _: fn(&mut Vcpu, &MemoryAccess, u64) = Vcpu::complete_memory;
    /// Ends the instruction of [`Exit::Port`] in the same way.
    const _: fn(&mut Vcpu, &PortAccess, u64) = Vcpu::complete_port;
    /// Ends the instruction of [`Exit::Register`] in the same way.
    const _: fn(&mut Vcpu, &RegisterAccess, u64) = Vcpu::complete_register;
    /// Gives the result of [`Exit::Call`] or [`Exit::Power`] to the guest, which goes on.
    const _: fn(&mut Vcpu, u64) = Vcpu::complete_call;
    /// Ends the instruction of [`Exit::Idle`].
    const _: fn(&mut Vcpu) = Vcpu::skip;
    /// Takes the exception that the architecture prescribes, inside the guest; or tells why its
    /// partition must stop, and changes nothing.
    const _: fn(&mut Vcpu, GuestFault, &Partition) -> Result<(), Why> = Vcpu::inject;
    /// Tells in lines what the guest looked like when its partition was stopped.
    const _: fn(&Vcpu, Why, Told<'_>) = Vcpu::record;
    /// The guest is to dump itself: it gets the interrupt that it cannot mask, an NMI or SError.
    const _: fn(&mut Vcpu) = Vcpu::dump;
    /// Whether the partition's memory must be cleaned before the vCPU goes on; asked when a
    /// register access ended in [`Next::Yield`].
    const _: fn(&mut Vcpu) -> bool = Vcpu::take_clean;
    /// Nothing of the vCPU acts on this CPU any more: no timer, no pending interrupt.
    const _: fn(&mut Vcpu) = Vcpu::park;
    /// The number of the vCPU that a guest calls by this name; not whether there is one.
    const _: fn(u64) -> Option<usize> = vcpu_named;
    /// The result of a call that changes nothing; an unknown one has one too.
    const _: fn(Call) -> u64 = answer_call;
    /// The result of a power request, in the numbers of the architecture's firmware.
    const _: fn(PowerAnswer) -> u64 = power_result;
}

/// What a guest sees beside its memory.
mod platform {
    use super::*;

    /// The devices of a partition with so many vCPUs and interrupts, which owns these lines and
    /// may have a read-only flash.
    const _: fn(usize, u32, IntoIter<u32, 4>, bool) -> Platform = Platform::new;
    /// All devices come out of reset; no vCPU of the partition runs.
    const _: fn(&Platform) = Platform::reset;
    /// Lets the partition's physical lines interrupt vCPU 0's CPU.
    const _: fn(&Platform, &Partition) = Platform::connect;
    /// A load or store where no memory is; the value is what a load gives.
    const _: Accessed<MemoryAccess, u64> = Platform::memory;
    /// An IN or OUT; the value is what an IN gives.
    const _: Accessed<PortAccess, u64> = Platform::port;
    /// A trapped register; the value is what a read gives.
    const _: Accessed<RegisterAccess, (u64, Next)> = Platform::register;
    /// A physical interrupt of the vCPU's own came, and stays active until the guest ends it.
    const _: fn(&Platform, u32, &mut Vcpu, &Partition) = Platform::raise_hardware;
    /// An edge of an emulated device.
    const _: fn(&Platform, u32, &mut Vcpu, &Partition) = Platform::pulse;
    /// The vCPU finds what the partition's interrupt controller has for it.
    const _: fn(&Platform, &mut Vcpu, &Partition) = Platform::refresh;
    /// Whether an interrupt waits for the vCPU, masked or not: then it must not sleep.
    const _: fn(&Platform, &mut Vcpu, &Partition) -> bool = Platform::has_pending;
    /// A deadline came, which its terminal may have asked for ([`crate::terminal`]).
    const _: fn(&Platform, &mut Vcpu, &Partition) = Platform::terminal_deadline;
    /// A byte was typed for the partition; false if it has no room. Any CPU may call it.
    const _: fn(&Platform, u8, &Partition) -> bool = Platform::typed;
    /// Shows the terminal to somebody. Any CPU may call it.
    const _: fn(&Platform, Looks<'_>) = Platform::terminal;
    /// The partition is, or is no longer, in focus.
    const _: fn(&Platform, bool) = Platform::set_focus;
    /// The vCPU goes off: nothing is in flight to it any more, and with vCPU 0 the partition's
    /// physical lines fall silent, whatever state its guest left them in.
    const _: fn(&Platform, &mut Vcpu, &Partition) = Platform::park;
}

/// The physical console UART.
mod serial {
    use super::*;

    /// Sends a byte; false if there is no room.
    const _: fn(&mut Serial, u8) -> bool = Serial::send;
    /// Whether the last byte has left.
    const _: fn(&Serial) -> bool = Serial::sent;
    /// Takes a received byte. [`Interrupt::Console`] is pending as long as one waits.
    const _: fn(&mut Serial) -> Option<u8> = Serial::receive;
}
