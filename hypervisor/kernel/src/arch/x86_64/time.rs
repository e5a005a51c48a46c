// SPDX-License-Identifier: MIT OR Apache-2.0
//! Time: the time stamp counter, measured once against the HPET or else ACPI's PM
//! timer, and the local APIC's timer for deadlines.
//!
//! IA-PC HPET Specification, "Register Overview"; ACPI, "Power Management Timer";
//! Intel SDM, volume 3: "Time-Stamp Counter".

use super::map::Frame;
use super::sysreg::{inl, tsc, tsc_unordered};
use super::{apic, knows_itself, local};
use crate::console;
use crate::interrupt::Interrupt;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use spin::Once;

mod clock;

/// Ticks of the PM timer in a second.
const PM_TIMER_HZ: u64 = 3_579_545;
/// Measurements in a second: each lasts 20 ms.
const MEASUREMENTS: u64 = 50;

/// TSC ticks in a second; written once, before other CPUs start.
static FREQUENCY: AtomicU64 = AtomicU64::new(1_000_000_000);

/// Ticks since the machine started.
#[inline(always)]
#[must_use]
pub fn now() -> u64 {
    tsc()
}

/// The same, where it does not matter whether that is read some instructions early or late.
#[inline(always)]
#[must_use]
pub fn glance() -> u64 {
    tsc_unordered()
}

/// Ticks in a second.
#[inline(always)]
#[must_use]
pub fn frequency() -> u64 {
    FREQUENCY.load(Ordering::Relaxed)
}

/// Ticks that `nanoseconds` last, rounded down.
#[must_use]
pub fn ticks(nanoseconds: u64) -> u64 {
    let whole = nanoseconds / 1_000_000_000 * frequency();
    whole + nanoseconds % 1_000_000_000 * frequency() / 1_000_000_000
}

/// Says the frequencies that were measured: of the TSC, and of the local APIC's timer unless that
/// goes by the TSC.
pub fn tell() {
    let tsc = Megahertz(frequency());
    match apic::timer_rate() {
        None => console::say(format_args!("time: TSC {tsc} MHz")),
        Some(rate) => {
            let timer = Megahertz(((u128::from(tsc.0) * u128::from(rate)) >> 32) as u64);
            console::say(format_args!("time: TSC {tsc} MHz, timer {timer} MHz"));
        }
    }
}

/// A frequency, to be shown to the thousandth.
struct Megahertz(u64);

impl fmt::Display for Megahertz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1_000_000, self.0 / 1000 % 1000)
    }
}

/// Interrupts this CPU at `deadline`, unless it is to be interrupted earlier. Before this CPU
/// knows itself nothing is asked for that could not wait.
pub fn arm(deadline: u64) {
    if !knows_itself() {
        return;
    }
    let local = local();
    let armed = local.armed.load(Ordering::Relaxed);
    if deadline < armed {
        local.armed.store(deadline, Ordering::Relaxed);
        if deadline < local.guest.load(Ordering::Relaxed) {
            apic::arm(deadline);
        }
    }
}

/// The timer of the vCPU's local APIC is due at `deadline`; never for the largest number.
#[inline(always)]
pub(super) fn arm_guest(deadline: u64) {
    let local = local();
    let before = local.guest.load(Ordering::Relaxed);
    local.guest.store(deadline, Ordering::Relaxed);
    let armed = local.armed.load(Ordering::Relaxed);
    // A timer that comes too early finds nothing due, and is armed again then.
    if deadline < armed && deadline != before {
        apic::arm(deadline);
    }
}

/// When the guest's timer was due, after [`due`] has told that it was.
#[inline(always)]
pub(super) fn guest_due() -> u64 {
    local().due.load(Ordering::Relaxed)
}

/// What the timer's interrupt stands for: the guest's timer, or the kernel's deadline. What is
/// not due yet is armed again.
#[inline(always)]
pub(super) fn due() -> Interrupt {
    let local = local();
    let (armed, guest) = (local.armed.load(Ordering::Relaxed), local.guest.load(Ordering::Relaxed));
    let now = now();
    if guest <= now {
        // Its owner arms it anew; the kernel's deadline must not be forgotten.
        local.guest.store(u64::MAX, Ordering::Relaxed);
        local.due.store(guest, Ordering::Relaxed);
        if armed != u64::MAX {
            apic::arm(armed);
        }
        return Interrupt::Guest(apic::TIMER_LINE);
    }
    if armed <= now {
        local.armed.store(u64::MAX, Ordering::Relaxed);
        if guest != u64::MAX {
            apic::arm(guest);
        }
        return Interrupt::Deadline;
    }
    let next = armed.min(guest);
    if next != u64::MAX {
        apic::arm(next);
    }
    Interrupt::None
}

/// A counter of a known frequency.
#[derive(Debug)]
pub(super) enum Reference {
    /// The HPET's main counter, of so many ticks in a second.
    Hpet(Frame, u64),
    /// The PM timer at this port.
    PmTimer(u16),
}

impl Reference {
    /// The HPET with these registers, its counter running; none if its frequency makes no sense.
    pub(super) fn hpet(registers: Frame) -> Option<Self> {
        const PERIOD: usize = 0x04;
        const CONFIGURATION: usize = 0x10;
        const ENABLE: u32 = 1;
        const FEMTOSECONDS: u64 = 1_000_000_000_000_000;
        const LONGEST_PERIOD: u32 = 100_000_000;
        let period = registers.read32(PERIOD);
        if !(1..=LONGEST_PERIOD).contains(&period) {
            return None;
        }
        registers.write32(CONFIGURATION, registers.read32(CONFIGURATION) | ENABLE);
        Some(Self::Hpet(registers, FEMTOSECONDS / u64::from(period)))
    }

    /// Ticks in a second.
    const fn frequency(&self) -> u64 {
        match self {
            Self::Hpet(_, frequency) => *frequency,
            Self::PmTimer(_) => PM_TIMER_HZ,
        }
    }

    fn read(&self) -> u32 {
        const COUNTER: usize = 0xf0;
        match self {
            Self::Hpet(registers, _) => registers.read32(COUNTER),
            Self::PmTimer(port) => inl(*port),
        }
    }

    /// Ticks from one reading to a later one: the PM timer may have 24 bits only.
    fn passed(&self, from: u32, to: u32) -> u64 {
        let passed = to.wrapping_sub(from);
        match self {
            Self::Hpet(..) => passed.into(),
            Self::PmTimer(_) => (passed & 0xff_ffff).into(),
        }
    }
}

/// Measures the TSC, and the local APIC's timer, against the first of these counters that moves.
///
/// # Errors
/// When none does.
pub(super) fn calibrate(references: [Option<Reference>; 2]) -> Result<(), &'static str> {
    for reference in references.into_iter().flatten() {
        let mut frequency = 0;
        apic::calibrate(|| frequency = measure(&reference).unwrap_or(0));
        if frequency != 0 {
            FREQUENCY.store(frequency, Ordering::Relaxed);
            return Ok(());
        }
    }
    Err("neither a HPET nor a PM timer counts; switch one of them on in the firmware's setup")
}

/// TSC ticks in a second; none if the other counter does not move.
fn measure(reference: &Reference) -> Option<u64> {
    let wanted = reference.frequency() / MEASUREMENTS;
    let first = edge(reference)?;
    let begun = tsc();
    let mut passed = 0;
    for _ in 0..100_000_000_u64 {
        passed = reference.passed(first, reference.read());
        if passed >= wanted {
            break;
        }
    }
    let ticks = tsc() - begun;
    (passed >= wanted).then(|| ticks * reference.frequency() / passed.max(1))
}

/// Waits until the counter moves: a tick lasts 280 ns at most, and a reading not less than one.
fn edge(reference: &Reference) -> Option<u32> {
    let before = reference.read();
    (0..1_000_000).map(|_| reference.read()).find(|now| *now != before)
}

/// Lets so many nanoseconds pass.
pub(super) fn pause(nanoseconds: u64) {
    let end = now() + ticks(nanoseconds);
    while now() < end {
        super::relax();
    }
}

/// Seconds from 1970 to when the TSC read zero, by the machine's clock, which runs in UTC.
pub(super) fn epoch() -> u64 {
    static EPOCH: Once<u64> = Once::new();
    *EPOCH.call_once(|| clock::read().saturating_sub(now() / frequency().max(1)))
}
