// SPDX-License-Identifier: MIT OR Apache-2.0
//! The time stamp counter, and the local APIC's timer against it: by deadline
//! where the CPU can, else by counting down at a rate that was measured.
//!
//! Under Bulkhead CPUID says the counter's frequency. Elsewhere that leaf may
//! lie (Bochs 2.7), so it is measured against the PIT.
//! Manual: Intel SDM, "APIC Timer", "Time-Stamp Counter".

use super::apic::{self, CURRENT, DIVIDE, INITIAL, LVT_TIMER};
use super::call;
use super::ports::{PIT_CONTROL, PIT_COUNTER_2, PIT_GATE};
use core::arch::x86_64::{__cpuid, _mm_lfence, _rdtsc};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use x86_64::registers::model_specific::Msr;

/// Interrupt of the timer.
pub const INTID: u32 = 0xe0;

/// LVT: masked; by TSC deadline.
const MASKED: u32 = 1 << 16;
const BY_DEADLINE: u32 = 2 << 17;
/// Divide configuration: by one.
const BY_ONE: u32 = 0b1011;
const IA32_TSC_DEADLINE: u32 = 0x6e0;
/// CPUID leaf 1, ECX.
const HAS_DEADLINE: u32 = 1 << 24;
const PIT_HERTZ: u64 = 1_193_182;
/// PIT counts that are measured, about 10 ms, and how often; the shortest is the least disturbed.
const PIT_COUNTS: u16 = 11_932;
/// Counts of the counter during which the APIC's timer is measured: a 64th of a second.
const APIC_SHARE: u64 = 64;

/// Counts per second.
static FREQUENCY: AtomicU64 = AtomicU64::new(1);
/// APIC timer counts per second; zero where it takes deadlines.
static APIC_FREQUENCY: AtomicU64 = AtomicU64::new(0);

/// The counter, read in program order.
#[must_use]
pub fn now() -> u64 {
    // SAFETY: every 64-bit CPU has both instructions.
    unsafe {
        _mm_lfence();
        _rdtsc()
    }
}

/// Counts per second.
#[must_use]
pub fn frequency() -> u64 {
    FREQUENCY.load(Relaxed)
}

/// Counts as microseconds.
#[must_use]
pub fn microseconds(counts: u64) -> u64 {
    scaled(counts, 1_000_000, frequency())
}

/// Microseconds as counts.
#[must_use]
pub fn counts(microseconds: u64) -> u64 {
    scaled(microseconds, frequency(), 1_000_000)
}

fn scaled(value: u64, by: u64, over: u64) -> u64 {
    let wide = u128::from(value) * u128::from(by) / u128::from(over.max(1));
    u64::try_from(wide).unwrap_or(u64::MAX)
}

/// Spins for some microseconds.
pub fn wait(microseconds: u64) {
    let end = now() + counts(microseconds);
    while now() < end {
        core::hint::spin_loop();
    }
}

/// Asks for the interrupt when the counter reaches `deadline`. The interrupts must be on.
pub fn arm(deadline: u64) {
    match APIC_FREQUENCY.load(Relaxed) {
        0 => write_deadline(deadline.max(1)),
        rate => {
            let ahead = scaled(deadline.saturating_sub(now()), rate, frequency());
            apic::write(INITIAL, u32::try_from(ahead).unwrap_or(u32::MAX).max(1));
        }
    }
}

/// Stops the timer.
pub fn disarm() {
    match APIC_FREQUENCY.load(Relaxed) {
        0 => write_deadline(0),
        _ => apic::write(INITIAL, 0),
    }
}

fn write_deadline(value: u64) {
    // SAFETY: the CPU has the register, or `init` had measured a rate; it changes no memory.
    unsafe { Msr::new(IA32_TSC_DEADLINE).write(value) };
}

/// Finds the counter's frequency; CPU 0, once.
pub(super) fn calibrate() {
    let told = if call::under_bulkhead() { told() } else { None };
    FREQUENCY.store(told.unwrap_or_else(measured).max(1), Relaxed);
}

/// CPUID leaf 0x15: denominator and numerator of counter over crystal, and the crystal in hertz.
fn told() -> Option<u64> {
    let known = __cpuid(0).eax >= 0x15;
    let leaf = known.then(|| __cpuid(0x15))?;
    let [denominator, numerator, crystal] = [leaf.eax, leaf.ebx, leaf.ecx].map(u64::from);
    Some(crystal * numerator / denominator.max(1)).filter(|&hertz| hertz > 0)
}

/// The counter against the PIT's counter 2 in mode 0, whose output rises at its end.
fn measured() -> u64 {
    let counts = (0..3).map(|_| {
        PIT_GATE.write8(PIT_GATE.read8() & !3 | 1);
        PIT_CONTROL.write8(0xb0);
        PIT_COUNTER_2.write8(PIT_COUNTS as u8);
        PIT_COUNTER_2.write8((PIT_COUNTS >> 8) as u8);
        let before = now();
        while PIT_GATE.read8() & 1 << 5 == 0 {
            core::hint::spin_loop();
        }
        now() - before
    });
    counts.min().map_or(1, |least| scaled(least, PIT_HERTZ, PIT_COUNTS.into()))
}

/// Readies this CPU's timer; the local APIC is on.
pub(super) fn init() {
    if __cpuid(1).ecx & HAS_DEADLINE != 0 {
        apic::write(LVT_TIMER, INTID | BY_DEADLINE);
        return;
    }
    apic::write(DIVIDE, BY_ONE);
    if APIC_FREQUENCY.load(Relaxed) == 0 {
        apic::write(LVT_TIMER, INTID | MASKED);
        apic::write(INITIAL, u32::MAX);
        let before = now();
        while now() - before < frequency() / APIC_SHARE {
            core::hint::spin_loop();
        }
        let (counted, elapsed) = (u32::MAX - apic::read(CURRENT), now() - before);
        apic::write(INITIAL, 0);
        APIC_FREQUENCY.store(scaled(counted.into(), frequency(), elapsed).max(1), Relaxed);
    }
    apic::write(LVT_TIMER, INTID);
}
