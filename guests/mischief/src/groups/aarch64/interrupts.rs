// SPDX-License-Identifier: MIT OR Apache-2.0
//! More interrupts than anybody wants.

use crate::Setting;
use crate::tally::Tally;
use guest_rt::machine::{self, gic, on_interrupt, unmask_interrupts};
use guest_rt::timer;

const INTERRUPTS: u64 = 100_000;

/// Interrupts as fast as they can be taken: to itself, to a vCPU that is absent or asleep, from a timer that is always due.
pub(in crate::groups) fn flood(setting: &Setting, tally: &mut Tally) {
    let sent = INTERRUPTS / setting.fewer;
    gic::init();
    gic::enable(1, gic::Trigger::Edge);
    on_interrupt(|| {
        while let Some(intid) = gic::acknowledge() {
            gic::end(intid);
        }
    });
    unmask_interrupts();
    for count in 0..sent {
        gic::send_sgi(1, (count % 16) as usize);
    }
    tally.count_done(sent);
    tally.part(format_args!("SGIs"));
    gic::enable(timer::INTID, gic::Trigger::Level);
    on_interrupt(|| {
        if let Some(intid) = gic::acknowledge() {
            // 20 microseconds later, so that the interrupted code gets something done.
            timer::arm(timer::now() + timer::frequency() / 50_000);
            gic::end(intid);
        }
    });
    timer::arm(timer::now());
    for _ in 0..sent {
        core::hint::black_box(timer::now());
    }
    timer::disarm();
    machine::mask_interrupts();
    tally.count_done(sent);
    tally.part(format_args!("timer interrupts"));
}
