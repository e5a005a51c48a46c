// SPDX-License-Identifier: MIT OR Apache-2.0
//! The virtual timer, INTID 27. Manual: Arm ARM, "The Generic Timer".

use aarch64_cpu::asm::barrier::{SY, isb};
use aarch64_cpu::registers::{
    CNTFRQ_EL0, CNTV_CTL_EL0, CNTV_CVAL_EL0, CNTVCT_EL0, Readable, Writeable,
};

/// INTID of the virtual timer.
pub const INTID: u32 = abi::platform::VIRTUAL_TIMER_INTID;

/// The counter, read in program order.
#[must_use]
pub fn now() -> u64 {
    isb(SY);
    CNTVCT_EL0.get()
}

/// Counts per second.
#[must_use]
pub fn frequency() -> u64 {
    CNTFRQ_EL0.get()
}

/// Counts as microseconds.
#[must_use]
pub fn microseconds(counts: u64) -> u64 {
    let wide = u128::from(counts) * 1_000_000 / u128::from(frequency().max(1));
    u64::try_from(wide).unwrap_or(u64::MAX)
}

/// Asks for the interrupt when the counter reaches `deadline`.
pub fn arm(deadline: u64) {
    CNTV_CVAL_EL0.set(deadline);
    CNTV_CTL_EL0.write(CNTV_CTL_EL0::ENABLE::SET);
    isb(SY);
}

/// Stops the timer.
pub fn disarm() {
    CNTV_CTL_EL0.write(CNTV_CTL_EL0::ENABLE::CLEAR);
    isb(SY);
}
