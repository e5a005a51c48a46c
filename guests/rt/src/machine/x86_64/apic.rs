// SPDX-License-Identifier: MIT OR Apache-2.0
//! The local APIC, as an x2APIC where the CPU is one, and the I/O APIC. An
//! interrupt's number is its vector:
//!
//! ```text
//! 0x30 + n line n of the I/O APIC   0xe0 timer   0xf0 + n from CPU to CPU   0xff spurious
//! ```
//! Manual: Intel SDM, "Advanced Programmable Interrupt Controller"; 82093AA, "Register description".

use super::boot::CPUS;
use super::ports::PIC_MASKS;
use super::{IO_APIC, LOCAL_APIC, cpu_index, timer};
use abi::platform::pc;
use core::arch::x86_64::__cpuid;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use x86_64::registers::model_specific::Msr;

pub(super) const LVT_TIMER: u64 = 0x320;
pub(super) const INITIAL: u64 = 0x380;
pub(super) const CURRENT: u64 = 0x390;
pub(super) const DIVIDE: u64 = 0x3e0;
const END: u64 = 0xb0;
const TASK_PRIORITY: u64 = 0x80;
const SPURIOUS: u64 = 0xf0;
const COMMAND: u64 = 0x300;
const COMMAND_HIGH: u64 = 0x310;
const LVT_LINT0: u64 = 0x350;

const IA32_APIC_BASE: u32 = 0x1b;
/// APIC on, x2APIC on.
const BASE_ENABLE: u64 = 1 << 11;
const BASE_EXTENDED: u64 = 1 << 10;
/// First MSR of an x2APIC; a register's is its offset over 16 from there.
const X2APIC: u32 = 0x800;
/// CPUID leaf 1, ECX.
const HAS_X2APIC: u32 = 1 << 21;
const MASKED: u32 = 1 << 16;
const SPURIOUS_VECTOR: u32 = 0xff;
const SOFTWARE_ENABLE: u32 = 1 << 8;
/// Interrupt command: level asserted, and the kinds.
const ASSERT: u32 = 1 << 14;
const KIND_INIT: u32 = 5 << 8;
const KIND_STARTUP: u32 = 6 << 8;
const COMMAND_BUSY: u32 = 1 << 12;

/// Vector of line 0 of the I/O APIC.
const LINES: u32 = 0x30;
/// Vector of the first interrupt from CPU to CPU.
const IPIS: u32 = 0xf0;
const IO_SELECT: u64 = 0x00;
const IO_WINDOW: u64 = 0x10;
const REDIRECTION: u32 = 0x10;
const LEVEL: u32 = 1 << 15;

/// What a line's device does to interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// A rising edge.
    Edge,
    /// A level, high.
    Level,
}

/// The interrupt that each CPU took and did not acknowledge; zero for none.
static TAKEN: [AtomicU32; CPUS] = [const { AtomicU32::new(0) }; CPUS];
/// Whether the local APICs are x2APICs: 1 no, 2 yes, 0 not yet known.
static EXTENDED: AtomicU32 = AtomicU32::new(0);

/// The interrupt number of line `line` of the I/O APIC.
#[must_use]
pub const fn line(line: u32) -> u32 {
    LINES + line
}

fn extended() -> bool {
    EXTENDED.load(Relaxed) == 2
}

fn msr(offset: u64) -> Msr {
    Msr::new(X2APIC + (offset >> 4) as u32)
}

/// Reads a register of this CPU's local APIC.
#[must_use]
pub fn read(offset: u64) -> u32 {
    if extended() {
        // SAFETY: the x2APIC is on and has what the APIC has; reading changes no memory.
        return unsafe { msr(offset).read() } as u32;
    }
    LOCAL_APIC.read32(offset)
}

/// Writes a register of this CPU's local APIC.
pub fn write(offset: u64, value: u32) {
    if extended() {
        // SAFETY: the x2APIC is on and has what the APIC has; writing changes no memory.
        return unsafe { msr(offset).write(value.into()) };
    }
    LOCAL_APIC.write32(offset, value);
}

/// Turns this CPU's local APIC and its timer on and, on CPU 0, the 8259s off. No line is enabled yet.
pub fn init() {
    if cpu_index() == 0 {
        PIC_MASKS.iter().for_each(|mask| mask.write8(0xff));
        let has = __cpuid(1).ecx & HAS_X2APIC != 0;
        EXTENDED.store(1 + u32::from(has), Relaxed);
    }
    let mut base = Msr::new(IA32_APIC_BASE);
    // SAFETY: the platform has a local APIC where it was at reset; it may go on and on to an x2APIC.
    unsafe {
        let on = base.read() | BASE_ENABLE;
        base.write(on);
        if extended() {
            base.write(on | BASE_EXTENDED);
        }
    }
    write(TASK_PRIORITY, 0);
    write(LVT_LINT0, MASKED);
    write(SPURIOUS, SOFTWARE_ENABLE | SPURIOUS_VECTOR);
    timer::init();
}

fn redirect(line: u32, low: u32, high: u32) {
    for (register, value) in [(1, high), (0, low)] {
        IO_APIC.write32(IO_SELECT, REDIRECTION + 2 * line + register);
        IO_APIC.write32(IO_WINDOW, value);
    }
}

/// Enables an interrupt of a line for this CPU; others have nothing to enable.
pub fn enable(intid: u32, trigger: Trigger) {
    if let Some(line) = line_of(intid) {
        let level = if trigger == Trigger::Level { LEVEL } else { 0 };
        redirect(line, intid | level, (cpu_index() as u32) << 24);
    }
}

/// Disables an interrupt of a line.
pub fn disable(intid: u32) {
    if let Some(line) = line_of(intid) {
        redirect(line, MASKED, 0);
    }
}

fn line_of(intid: u32) -> Option<u32> {
    intid.checked_sub(LINES).filter(|&line| line < pc::IO_APIC_PINS)
}

/// Notes the vector that this CPU came through.
pub(super) fn took(vector: u32) {
    TAKEN[cpu_index()].store(vector, Relaxed);
}

/// Ends an interrupt that nobody handles.
pub(super) fn drop_unhandled() {
    if let Some(intid) = acknowledge() {
        end(intid);
    }
}

/// Takes the interrupt that the handler runs for, once; pair it with [`end`].
#[must_use]
pub fn acknowledge() -> Option<u32> {
    let taken = TAKEN[cpu_index()].swap(0, Relaxed);
    (taken != 0 && taken != SPURIOUS_VECTOR).then_some(taken)
}

/// Ends an acknowledged interrupt.
pub fn end(_: u32) {
    write(END, 0);
}

/// Sends interrupt `number` (0 to 14) to CPU `cpu`.
pub fn send_ipi(number: u32, cpu: usize) {
    command(cpu as u32, ipi(number));
}

/// The interrupt that [`send_ipi`] gives to its receiver.
#[must_use]
pub const fn ipi(number: u32) -> u32 {
    IPIS + number % 15
}

pub(super) fn send_init(cpu: usize) {
    command(cpu as u32, KIND_INIT | ASSERT);
}

pub(super) fn send_startup(cpu: usize, page: u8) {
    command(cpu as u32, KIND_STARTUP | ASSERT | u32::from(page));
}

/// Whether a local APIC has 32 bits for the number of another: an x2APIC has, others have 8.
#[must_use]
pub fn has_wide_ids() -> bool {
    extended()
}

/// Writes the interrupt command register. Numbers that do not fit name nobody.
pub fn command(destination: u32, low: u32) {
    if extended() {
        // SAFETY: the x2APIC is on. What it sends, the receivers of this guest are ready for.
        return unsafe { msr(COMMAND).write(u64::from(destination) << 32 | u64::from(low)) };
    }
    if destination > 0xff {
        return;
    }
    LOCAL_APIC.write32(COMMAND_HIGH, destination << 24);
    LOCAL_APIC.write32(COMMAND, low);
    while LOCAL_APIC.read32(COMMAND) & COMMAND_BUSY != 0 {
        core::hint::spin_loop();
    }
}
