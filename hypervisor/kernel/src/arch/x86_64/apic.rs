// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine's interrupt controllers: each CPU's local APIC, which takes
//! interrupts, kicks other CPUs and has the timer for deadlines, and the I/O
//! APICs, which give the console's and the partitions' lines to a CPU.
//!
//! An interrupt's entry (head.s) only sets a bit of the CPU's own word; the end
//! of interrupt is signalled when the bit is taken, the highest first, so that
//! the in-service interrupts are always those whose bits are set.
//!
//! Intel SDM, volume 3: "Advanced Programmable Interrupt Controller (APIC)".

use super::map::Frame;
use super::sysreg::{APIC_BASE, TSC_DEADLINE, cpuid, outb, rdmsr, take_interrupts, tsc, wrmsr};
use super::tables::{FIRST_VECTOR, SPURIOUS_VECTOR};
use super::{Local, apic_id_of, has_arrived, local};
use crate::acpi::{Facts, Override};
use crate::console::Line;
use crate::interrupt::Interrupt;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use spin::Once;

mod io;

pub(super) use io::{IoApics, LINES, Trigger};

/// Bit of an interrupt of another CPU.
const KICK: u32 = 63;
/// Bit of the timer.
const DEADLINE: u32 = 62;
/// Bit of the console's UART.
const CONSOLE: u32 = 61;
/// Bit of what no interrupt stands for: a vCPU wants to look at its platform.
const REFRESH: u32 = 60;
/// The line that stands for the timer of a vCPU's own local APIC.
pub(super) const TIMER_LINE: u32 = 59;

/// Registers, by their offset in the frame; x2APIC has them at 0x800 + offset / 16.
mod register {
    pub(super) const ID: u32 = 0x20;
    pub(super) const TPR: u32 = 0x80;
    pub(super) const EOI: u32 = 0xb0;
    pub(super) const SPURIOUS: u32 = 0xf0;
    pub(super) const COMMAND: u32 = 0x300;
    pub(super) const COMMAND_HIGH: u32 = 0x310;
    pub(super) const TIMER: u32 = 0x320;
    pub(super) const THERMAL: u32 = 0x330;
    pub(super) const PERFORMANCE: u32 = 0x340;
    pub(super) const LINT0: u32 = 0x350;
    pub(super) const LINT1: u32 = 0x360;
    pub(super) const ERROR: u32 = 0x370;
    pub(super) const INITIAL: u32 = 0x380;
    pub(super) const CURRENT: u32 = 0x390;
    pub(super) const DIVIDE: u32 = 0x3e0;
}

const MASKED: u32 = 1 << 16;
const TIMER_DEADLINE_MODE: u32 = 2 << 17;
/// Ticks of the TSC from its reading to where the count begins that was worked out from it: a tick
/// for each instruction, which a CPU's slow ones there (RDTSC, and the write that starts) exceed.
const STARTING: u64 = 20;
const BUSY: u32 = 1 << 12;
const ASSERT: u32 = 1 << 14;
const DELIVER_INIT: u32 = 5 << 8;
const DELIVER_STARTUP: u32 = 6 << 8;

/// How the local APICs of this machine are driven.
#[derive(Debug)]
struct Driver {
    /// The frame, where there is no x2APIC.
    frame: Option<Frame>,
    /// The timer takes a time of the TSC.
    deadline: bool,
}

static DRIVER: Once<Driver> = Once::new();
/// The I/O APICs.
static IO: Once<IoApics> = Once::new();
/// Timer ticks of 2^32 TSC ticks, where the timer counts down; no more than those.
static TIMER_RATE: AtomicU64 = AtomicU64::new(0);
/// Lines that are not as on an ISA bus.
static OVERRIDES: Once<Vec<Override>> = Once::new();
/// GSIs of the console's UART and of the host's own; zero is none.
static CONSOLES: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];

impl Driver {
    #[inline(always)]
    fn read(&self, register: u32) -> u32 {
        match &self.frame {
            Some(frame) => frame.read32(register as usize),
            None => rdmsr(0x800 + register / 16) as u32,
        }
    }

    #[inline(always)]
    fn write(&self, register: u32, value: u32) {
        match &self.frame {
            Some(frame) => frame.write32(register as usize, value),
            // SAFETY: CPUID says that the register exists, and `start_cpu` has turned x2APIC on.
            None => unsafe { wrmsr(0x800 + register / 16, value.into()) },
        }
    }

    /// Sends an interrupt command to the local APIC with this number.
    fn command(&self, id: u32, command: u32) {
        if self.frame.is_none() {
            // SAFETY: as in `write`; what a command does to the other CPU is its caller's to know.
            unsafe { wrmsr(0x830, u64::from(id) << 32 | u64::from(command)) }
            return;
        }
        self.write(register::COMMAND_HIGH, id << 24);
        self.write(register::COMMAND, command);
        while self.read(register::COMMAND) & BUSY != 0 {
            super::relax();
        }
    }
}

fn driver() -> Option<&'static Driver> {
    DRIVER.get()
}

/// Whether the local APICs have the x2APIC interface; else `start` wants their frame.
#[must_use]
pub(super) fn has_x2apic() -> bool {
    cpuid(1, 0).ecx & 1 << 21 != 0
}

/// Chooses how local APICs are driven; `console` is the line of the console's UART.
pub(super) fn start(frame: Option<Frame>, io: IoApics, facts: &Facts, console: u32) {
    let deadline = cpuid(1, 0).ecx & 1 << 24 != 0;
    DRIVER.call_once(|| Driver { frame, deadline });
    IO.call_once(|| io);
    OVERRIDES.call_once(|| facts.overrides.clone());
    add_console(Line::Console, console);
    silence_legacy();
}

/// The I/O APICs.
fn io() -> Option<&'static IoApics> {
    IO.get()
}

/// Moves the two 8259s' vectors out of the exceptions' way and masks them.
fn silence_legacy() {
    for (port, offset) in [(0x20, 0x20), (0xa0, 0x28)] {
        outb(port, 0x11);
        outb(port + 1, offset);
        outb(port + 1, if port == 0x20 { 4 } else { 2 });
        outb(port + 1, 1);
        outb(port + 1, 0xff);
    }
}

/// Starts this CPU's local APIC: all its lines masked, no interrupt blocked.
pub(super) fn start_cpu() {
    const ENABLE: u64 = 1 << 11;
    const X2APIC: u64 = 1 << 10;
    let Some(driver) = driver() else { return };
    let base = rdmsr(APIC_BASE) | ENABLE;
    // SAFETY: turns the local APIC on, in the mode that all code here uses.
    unsafe {
        wrmsr(APIC_BASE, base);
        if driver.frame.is_none() {
            wrmsr(APIC_BASE, base | X2APIC);
        }
    }
    for line in [
        register::THERMAL,
        register::PERFORMANCE,
        register::LINT0,
        register::LINT1,
        register::ERROR,
    ] {
        driver.write(line, MASKED);
    }
    driver.write(register::TPR, 0);
    driver.write(register::SPURIOUS, 1 << 8 | u32::from(SPURIOUS_VECTOR));
    driver.write(register::DIVIDE, 0b1011);
    quiet();
}

/// This CPU's own number.
pub(super) fn id() -> u32 {
    driver().map_or(0, |driver| {
        let id = driver.read(register::ID);
        if driver.frame.is_some() { id >> 24 } else { id }
    })
}

/// Measures the timer, while `wait` lets some time pass.
pub(super) fn calibrate(wait: impl FnOnce()) {
    let Some(driver) = driver().filter(|driver| !driver.deadline) else { return wait() };
    driver.write(register::TIMER, MASKED);
    driver.write(register::INITIAL, u32::MAX);
    let begun = tsc();
    wait();
    let counted = u64::from(u32::MAX - driver.read(register::CURRENT));
    let rate = (counted << 32) / (tsc() - begun).max(1);
    driver.write(register::INITIAL, 0);
    TIMER_RATE.store(rate.min(1 << 32), Ordering::Relaxed);
}

/// What was measured: ticks of the timer in 2^32 of the TSC; none if it takes a time of the TSC.
pub(super) fn timer_rate() -> Option<u64> {
    driver().filter(|driver| !driver.deadline).map(|_| TIMER_RATE.load(Ordering::Relaxed))
}

/// The timer interrupts this CPU at a time of the TSC, or earlier if that is
/// further away than it counts.
pub(super) fn arm(deadline: u64) {
    let Some(driver) = driver() else { return };
    let vector = u32::from(FIRST_VECTOR) + DEADLINE;
    if driver.deadline {
        driver.write(register::TIMER, TIMER_DEADLINE_MODE | vector);
        // SAFETY: the register exists where the mode does. MFENCE: the mode is set before, also
        // where it is a store to memory. A time of zero would disarm it.
        unsafe {
            core::arch::asm!("mfence", options(nostack, preserves_flags));
            wrmsr(TSC_DEADLINE, deadline.max(1));
        }
        return;
    }
    driver.write(register::TIMER, vector);
    let rate = TIMER_RATE.load(Ordering::Relaxed);
    let left = deadline.saturating_sub(tsc() + STARTING).min(u32::MAX.into());
    driver.write(register::INITIAL, (((left * rate) >> 32) as u32).max(1));
}

/// The timer does not interrupt this CPU any more.
pub(super) fn quiet() {
    if let Some(driver) = driver() {
        driver.write(register::TIMER, MASKED);
    }
}

/// Lets the local APIC look once more at what it has for this CPU, before the CPU sleeps. QEMU
/// 10.0 can forget to tell a CPU of an interrupt that comes in the moment of a VM exit (its
/// `do_vmexit` clears a bit of a word that another thread sets bits in); asked, it tells.
pub(super) fn look_again() {
    if let Some(driver) = driver() {
        driver.write(register::TPR, 0);
    }
}

/// Tells the other CPU to begin at the page below 1 MiB, from reset.
pub(super) fn start_other(id: u32, page: u32, mut wait: impl FnMut(u64)) {
    let Some(driver) = driver() else { return };
    driver.command(id, DELIVER_INIT | ASSERT);
    wait(10_000_000);
    for _ in 0..2 {
        driver.command(id, DELIVER_STARTUP | ASSERT | page >> 12);
        wait(200_000);
    }
}

/// How to make another CPU exit from its guest.
#[derive(Debug)]
pub struct Kick {
    id: u32,
}

impl Kick {
    /// The kick for a CPU.
    #[must_use]
    pub fn new(cpu: u32) -> Self {
        Self { id: apic_id_of(cpu) }
    }

    /// Sends it. A command register of x2APIC may be written before earlier stores are seen
    /// (Intel SDM, "MSR Access in x2APIC Mode"), so a fence comes first.
    #[inline(always)]
    pub fn send(&self) {
        // SAFETY: orders memory.
        unsafe { core::arch::asm!("mfence", "lfence", options(nostack, preserves_flags)) }
        if let Some(driver) = driver() {
            driver.command(self.id, ASSERT | (u32::from(FIRST_VECTOR) + KICK));
        }
    }
}

/// Whether an interrupt came to this CPU.
#[must_use]
pub fn interrupt_pending() -> bool {
    if !has_arrived() {
        take_interrupts();
    }
    has_arrived()
}

/// Takes the interrupt of highest priority that came.
#[inline(always)]
pub fn acknowledge() -> Interrupt {
    let local = local();
    let mut arrived = local.arrived.load(Ordering::Relaxed);
    if arrived == 0 {
        take_interrupts();
        arrived = local.arrived.load(Ordering::Relaxed);
    }
    // The most frequent ones. A kick is answered last: it is also what comes for what is left.
    if arrived == 1 << KICK {
        answered(local, 0);
        return Interrupt::Kick;
    }
    // Read once more: what is known of the first one would cost the loop a register for a constant.
    let arrived = local.arrived.load(Ordering::Relaxed);
    if arrived & 1 << DEADLINE != 0 {
        answered(local, arrived & !(1 << DEADLINE));
        return super::time::due();
    }
    acknowledge_rare(local, arrived)
}

/// What comes less often than those of the other CPUs and the timer.
#[inline(never)]
fn acknowledge_rare(local: &Local, arrived: u64) -> Interrupt {
    let Some(bit) = (arrived & !(1 << KICK)).checked_ilog2() else { return Interrupt::None };
    let left = arrived & !(1 << bit);
    if bit == REFRESH {
        local.arrived.store(left, Ordering::Relaxed);
        if left != 0 {
            come_again();
        }
        return Interrupt::Refresh;
    }
    answered(local, left);
    if bit == CONSOLE { Interrupt::Console } else { Interrupt::Guest(bit) }
}

/// Makes this CPU exit once more for what else came: a guest that was entered meanwhile would
/// keep it waiting.
#[cold]
#[inline(never)]
fn come_again() {
    Kick::new(super::cpu_number() as u32).send();
}

/// One that came is over, those are left; the local APIC may tell of the next one.
#[inline(always)]
fn answered(local: &Local, left: u64) {
    // Only this CPU writes the word, and its interrupts are masked.
    local.arrived.store(left, Ordering::Relaxed);
    if let Some(driver) = driver() {
        driver.write(register::EOI, 0);
        if left != 0 {
            come_again();
        }
    }
}

/// The next interrupt that this CPU takes is [`Interrupt::Refresh`].
pub(super) fn refresh_later() {
    let local = local();
    let arrived = local.arrived.load(Ordering::Relaxed);
    local.arrived.store(arrived | 1 << REFRESH, Ordering::Relaxed);
}

/// A line of a partition's device interrupts the CPU with this local APIC.
pub(super) fn connect(line: u32, id: u32) {
    if let Some(io) = io() {
        io.route(line, FIRST_VECTOR + line as u8, id, trigger(line));
    }
}

/// The line is masked, or not any more.
pub(super) fn mask(line: u32, masked: bool) {
    if let Some(io) = io() {
        io.mask(line, masked);
    }
}

/// Whether the line stays raised until its device is served.
pub(super) fn is_level(line: u32) -> bool {
    trigger(line).is_level()
}

/// How a line tells: what ACPI says of it, else as the ISA bus does below 16 and PCI above.
fn trigger(line: u32) -> Trigger {
    const PCI: u16 = 0b1111;
    let told = OVERRIDES.get().and_then(|all| all.iter().find(|one| one.line == line));
    let flags = told.map_or(if line < 16 { 0 } else { PCI }, |one| one.flags);
    Trigger::from_acpi(flags)
}

/// A UART has this line.
pub(super) fn add_console(line: Line, gsi: u32) {
    CONSOLES[line as usize].store(gsi, Ordering::Relaxed);
}

/// Console input interrupts this CPU.
pub fn route_console(cpu: u32) {
    let lines = CONSOLES.iter().map(|known| known.load(Ordering::Relaxed));
    for line in lines.filter(|line| *line != 0) {
        if let Some(io) = io() {
            io.route(line, FIRST_VECTOR + CONSOLE as u8, apic_id_of(cpu), Trigger::LEVEL);
        }
    }
}
