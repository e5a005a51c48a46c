// SPDX-License-Identifier: MIT OR Apache-2.0
//! The generic timer as the kernel uses it: the physical counter, and EL2's own
//! timer for deadlines (Arm ARM, "The Generic Timer in AArch64 state").

use super::sysreg::{isb, mrs, msr};
use aarch64_cpu::registers::{
    CNTFRQ_EL0, CNTHP_CTL_EL2, CNTPCT_EL0, CNTV_CVAL_EL0, CNTVCT_EL0, Readable, Writeable,
};

/// Ticks of the counter since the machine started.
#[inline(always)]
#[must_use]
pub fn now() -> u64 {
    isb();
    CNTPCT_EL0.get()
}

/// The same, where it does not matter whether that is read some instructions early or late.
#[inline(always)]
#[must_use]
pub fn glance() -> u64 {
    CNTPCT_EL0.get()
}

/// Ticks since the resident guest's virtual timer was due, by what the guest wrote.
#[inline(always)]
#[must_use]
pub(super) fn virtual_timer_lateness() -> u64 {
    CNTVCT_EL0.get().wrapping_sub(CNTV_CVAL_EL0.get())
}

/// Ticks that `nanoseconds` last, rounded down.
#[must_use]
pub fn ticks(nanoseconds: u64) -> u64 {
    let frequency = CNTFRQ_EL0.get();
    let whole = nanoseconds / 1_000_000_000 * frequency;
    whole + nanoseconds % 1_000_000_000 * frequency / 1_000_000_000
}

/// Ticks of a second.
#[must_use]
pub fn frequency() -> u64 {
    CNTFRQ_EL0.get()
}

/// Nothing: the firmware tells the counter's frequency.
pub fn tell() {}

/// Interrupts this CPU at `deadline`, unless it is to be interrupted earlier.
pub fn arm(deadline: u64) {
    let armed = CNTHP_CTL_EL2.get() & 1 != 0;
    if !armed || deadline < mrs!("cnthp_cval_el2") {
        msr!("cnthp_cval_el2", deadline);
        CNTHP_CTL_EL2.set(1);
        isb();
    }
}

/// Does not interrupt this CPU any more.
pub fn disarm() {
    CNTHP_CTL_EL2.set(0);
    isb();
}
