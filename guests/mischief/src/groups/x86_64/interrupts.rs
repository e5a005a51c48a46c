// SPDX-License-Identifier: MIT OR Apache-2.0
//! More interrupts than anybody wants: to itself, to a vCPU that is absent or
//! asleep, in every delivery mode to foreign local APICs, and from a timer that
//! is always due.

use crate::Setting;
use crate::tally::Tally;
use guest_rt::machine::{self, on_interrupt, unmask_interrupts};
use guest_rt::{interrupts, timer};

const INTERRUPTS: u64 = 100_000;
/// First local APIC id that is not this partition's.
const FOREIGN: u64 = 2;
/// What names all local APICs, where the number has 8 bits.
const EVERYBODY: u64 = 0xff;
/// Interrupt command: logical destination, and shorthands.
const LOGICAL: u32 = 1 << 11;
const OTHERS: u32 = 3 << 18;

pub(super) fn run(setting: &mut Setting, tally: &mut Tally) {
    interrupts::init();
    for id in FOREIGN..EVERYBODY {
        for mode in 0..8 {
            for vector in [0, 0x0f, 0x10, 0x20, 0x80, 0xff] {
                interrupts::command(id as u32, mode << 8 | 1 << 14 | vector);
                tally.count_done(1);
            }
        }
    }
    tally.part(format_args!("foreign local APICs"));
    for _ in 0..INTERRUPTS {
        let random = setting.random.next();
        let limit = if interrupts::has_wide_ids() { u64::from(u32::MAX) } else { EVERYBODY };
        let id = ((random >> 32) % limit).max(FOREIGN) as u32;
        // Logical destinations without this CPU: its bit is the lowest one.
        let (id, logical) = if random & 1 << 11 == 0 { (id, 0) } else { (id & !3, LOGICAL) };
        interrupts::command(id, random as u32 & 0xc7ff | logical);
        tally.count_done(1);
    }
    tally.part(format_args!("random local APICs"));
    for mode in [0, 1, 4] {
        interrupts::command(0, OTHERS | mode << 8 | 1 << 14 | 0x80);
        tally.count_done(1);
    }
    tally.part(format_args!("all others"));
}

/// Interrupts as fast as they can be taken.
pub(in crate::groups) fn flood(tally: &mut Tally) {
    interrupts::init();
    on_interrupt(|| {
        while let Some(intid) = interrupts::acknowledge() {
            interrupts::end(intid);
        }
    });
    unmask_interrupts();
    for count in 0..INTERRUPTS {
        interrupts::send_ipi(1, (count % 16) as usize);
    }
    tally.count_done(INTERRUPTS);
    tally.part(format_args!("IPIs"));
    on_interrupt(|| {
        if let Some(intid) = interrupts::acknowledge() {
            // 20 microseconds later, so that the interrupted code gets something done.
            timer::arm(timer::now() + timer::frequency() / 50_000);
            interrupts::end(intid);
        }
    });
    timer::arm(timer::now());
    for _ in 0..INTERRUPTS {
        core::hint::black_box(timer::now());
    }
    timer::disarm();
    machine::mask_interrupts();
    tally.count_done(INTERRUPTS);
    tally.part(format_args!("timer interrupts"));
}
