// SPDX-License-Identifier: MIT OR Apache-2.0
//! More interrupts than anybody wants: to itself, to a vCPU that is absent or
//! asleep, in every delivery mode to foreign local APICs, and from a timer that
//! is always due. And one by level, which comes again until its device is served.

use crate::Setting;
use crate::tally::Tally;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use guest_rt::interrupts::Trigger;
use guest_rt::machine::ports::{COM1, Port};
use guest_rt::machine::{self, on_interrupt, unmask_interrupts};
use guest_rt::{interrupts, timer};

const INTERRUPTS: u64 = 100_000;
/// Ticks from one timer interrupt to the next, at least.
const SHORTEST: u64 = 1_000;
/// First local APIC id that is not this partition's.
const FOREIGN: u64 = 2;
/// What names all local APICs, where the number has 8 bits.
const EVERYBODY: u64 = 0xff;
/// Interrupt command: logical destination, and shorthands.
const LOGICAL: u32 = 1 << 11;
const OTHERS: u32 = 3 << 18;

/// COM1's interrupt enable register, its transmitter's bit there, and its line.
const ENABLE: Port = COM1.at(1);
const TRANSMITTER: u8 = 1 << 1;
const COM1_LINE: u32 = 4;
/// How often an interrupt by level is ended before its device is served.
const IGNORED: u64 = 5;

/// Interrupts by level that came.
static CAME: AtomicU64 = AtomicU64::new(0);

/// COM1's interrupt by level: its end must reach the I/O APIC, which sends it again until the
/// device is served, and then no more.
pub(super) fn level(name: &str, tally: &mut Tally) {
    let line = interrupts::line(COM1_LINE);
    CAME.store(0, Relaxed);
    on_interrupt(|| {
        if let Some(intid) = interrupts::acknowledge() {
            if CAME.fetch_add(1, Relaxed) == IGNORED {
                ENABLE.write8(0);
            }
            interrupts::end(intid);
        }
    });
    interrupts::enable(line, Trigger::Level);
    ENABLE.write8(TRANSMITTER);
    unmask_interrupts();
    for _ in 0..INTERRUPTS {
        core::hint::black_box(timer::now());
    }
    machine::mask_interrupts();
    ENABLE.write8(0);
    interrupts::disable(line);
    let came = CAME.load(Relaxed);
    assert_eq!(came, IGNORED + 1, "{name}: interrupts by level");
    tally.count_done(came);
    tally.part(format_args!("interrupts by level, {name}"));
}

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
pub(in crate::groups) fn flood(setting: &Setting, tally: &mut Tally) {
    let sent = INTERRUPTS / setting.fewer;
    interrupts::init();
    on_interrupt(|| {
        while let Some(intid) = interrupts::acknowledge() {
            interrupts::end(intid);
        }
    });
    unmask_interrupts();
    for count in 0..sent {
        interrupts::send_ipi(1, (count % 16) as usize);
    }
    tally.count_done(sent);
    tally.part(format_args!("IPIs"));
    on_interrupt(|| {
        if let Some(intid) = interrupts::acknowledge() {
            // 20 microseconds later, on a slow CPU more, so that the interrupted code gets something done.
            timer::arm(timer::now() + (timer::frequency() / 50_000).max(SHORTEST));
            interrupts::end(intid);
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
