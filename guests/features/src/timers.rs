// SPDX-License-Identifier: MIT OR Apache-2.0
//! The generic timer. Manual: Arm ARM, "The Generic Timer in AArch64 state".

use crate::cpu::Register;
use crate::cpu::registers::{CNTP_CTL, CNTP_CVAL, CNTPCT, CNTV_CTL, CNTV_CVAL, CNTVCT};
use crate::interrupts::{comes, count};
use crate::report::{Report, Result, equal, holds};
use abi::platform::{PHYSICAL_TIMER_INTID, VIRTUAL_TIMER_INTID};
use guest_rt::timer::frequency;

pub(crate) fn run(report: &mut Report) {
    report.item("counters agree", agree());
    report.item("virtual timer, interrupt 27", fires(VIRTUAL_TIMER_INTID, CNTV_CTL, CNTV_CVAL));
    report.item("physical timer, interrupt 30", fires(PHYSICAL_TIMER_INTID, CNTP_CTL, CNTP_CVAL));
}

/// CNTVCT and CNTPCT are the same counter.
fn agree() -> Result {
    for _ in 0..1000 {
        let before = CNTPCT.get();
        let now = CNTVCT.get();
        let after = CNTPCT.get();
        holds("virtual count", (before..=after).contains(&now), now.wrapping_sub(before))?;
    }
    holds("frequency", frequency() > 0, frequency())
}

fn fires(intid: u32, control: Register, compare: Register) -> Result {
    for turn in 0..3 {
        let before = count(intid);
        let deadline = CNTPCT.get() + frequency() / 1000;
        compare.set(deadline);
        control.set(1);
        let came = comes(intid, before);
        let now = CNTPCT.get();
        control.set(0);
        holds("no interrupt", came, turn)?;
        holds("too early", now >= deadline, deadline.wrapping_sub(now))?;
        equal("interrupts", (count(intid) - before).into(), 1)?;
    }
    Ok(())
}
