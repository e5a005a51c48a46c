// SPDX-License-Identifier: MIT OR Apache-2.0
//! The generic timer as the kernel uses it: the physical counter, and EL2's own
//! timer for deadlines (Arm ARM, "The Generic Timer in AArch64 state").

use super::sysreg::{isb, mrs, msr};

/// Ticks of the counter since the machine started.
#[inline]
#[must_use]
pub fn now() -> u64 {
    isb();
    mrs!("cntpct_el0")
}

/// Ticks that `nanoseconds` last, rounded down.
#[must_use]
pub fn ticks(nanoseconds: u64) -> u64 {
    let frequency = mrs!("cntfrq_el0");
    let whole = nanoseconds / 1_000_000_000 * frequency;
    whole + nanoseconds % 1_000_000_000 * frequency / 1_000_000_000
}

/// Interrupts this CPU at `deadline`, unless it is to be interrupted earlier.
pub fn arm(deadline: u64) {
    let armed = mrs!("cnthp_ctl_el2") & 1 != 0;
    if !armed || deadline < mrs!("cnthp_cval_el2") {
        msr!("cnthp_cval_el2", deadline);
        msr!("cnthp_ctl_el2", 1);
        isb();
    }
}

/// Does not interrupt this CPU any more.
pub fn disarm() {
    msr!("cnthp_ctl_el2", 0);
    isb();
}
