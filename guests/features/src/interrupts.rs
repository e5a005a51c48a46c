// SPDX-License-Identifier: MIT OR Apache-2.0
//! Counts this CPU's own interrupts and silences what raised them.

use crate::cpu::registers::{CNTP_CTL, CNTV_CTL, CNTVCT, PMOVSCLR};
use abi::platform::{PHYSICAL_TIMER_INTID, PMU_INTID, VIRTUAL_TIMER_INTID};
use core::sync::atomic::{AtomicU32, Ordering};
use guest_rt::machine::{gic, on_interrupt};
use guest_rt::timer;

/// SGI that the tests send to themselves.
pub(crate) const SGI: u32 = 3;

static COUNTS: [AtomicU32; 32] = [const { AtomicU32::new(0) }; 32];
/// Overflow bits that the last PMU interrupt found.
static OVERFLOWS: AtomicU32 = AtomicU32::new(0);

/// Takes and enables them.
pub(crate) fn init() {
    on_interrupt(take);
    gic::enable(SGI, gic::Trigger::Edge);
    for intid in [VIRTUAL_TIMER_INTID, PHYSICAL_TIMER_INTID, PMU_INTID] {
        gic::enable(intid, gic::Trigger::Level);
    }
}

fn take() {
    let Some(intid) = gic::acknowledge() else { return };
    match intid {
        VIRTUAL_TIMER_INTID => CNTV_CTL.set(0),
        PHYSICAL_TIMER_INTID => CNTP_CTL.set(0),
        PMU_INTID => {
            OVERFLOWS.store(PMOVSCLR.get() as u32, Ordering::Relaxed);
            PMOVSCLR.set(0xffff_ffff);
        }
        _ => {}
    }
    if let Some(count) = COUNTS.get(intid as usize) {
        count.fetch_add(1, Ordering::Relaxed);
    }
    gic::end(intid);
}

/// How often an interrupt came.
pub(crate) fn count(intid: u32) -> u32 {
    COUNTS.get(intid as usize).map_or(0, |count| count.load(Ordering::Relaxed))
}

/// Overflow bits that the last PMU interrupt found.
pub(crate) fn overflows() -> u32 {
    OVERFLOWS.load(Ordering::Relaxed)
}

/// Waits up to a tenth of a second until an interrupt came more than `before` times.
pub(crate) fn comes(intid: u32, before: u32) -> bool {
    let end = CNTVCT.get() + timer::frequency() / 10;
    while count(intid) <= before {
        if CNTVCT.get() > end {
            return false;
        }
        core::hint::spin_loop();
    }
    true
}
