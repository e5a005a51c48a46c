// SPDX-License-Identifier: MIT OR Apache-2.0
//! Time that stands still until a test moves it. A tick lasts eight
//! nanoseconds, so that ticks and nanoseconds cannot be confused.

use super::cpu_number;
use super::machine::Machine;

/// Nanoseconds of a tick.
const TICK_NS: u64 = 8;

/// Ticks since the machine started.
#[must_use]
pub fn now() -> u64 {
    Machine::current().with(|state| state.now)
}

/// The same, where it does not matter whether that is read some instructions early or late.
#[inline(always)]
#[must_use]
pub fn glance() -> u64 {
    now()
}

/// Ticks that `nanoseconds` last, rounded down.
#[must_use]
pub fn ticks(nanoseconds: u64) -> u64 {
    nanoseconds / TICK_NS
}

/// Nothing is measured here.
pub fn tell() {}

/// Ticks of a second.
#[must_use]
pub fn frequency() -> u64 {
    1_000_000_000 / TICK_NS
}

/// Interrupts this CPU at `deadline`, unless it is to be interrupted earlier.
pub fn arm(deadline: u64) {
    let cpu = cpu_number();
    Machine::current().with(|state| {
        let armed = &mut state.cpu(cpu).deadline;
        *armed = Some(armed.map_or(deadline, |earlier| earlier.min(deadline)));
    });
}
