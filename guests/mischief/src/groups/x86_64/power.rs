// SPDX-License-Identifier: MIT OR Apache-2.0
//! INIT and SIPI: to the second vCPU again and again, and to vCPUs that are
//! absent or another's.

use crate::Setting;
use crate::tally::Tally;
use guest_rt::interrupts;
use guest_rt::machine::start_cpu;
use guest_rt::power::cpu_off;

/// Times the second vCPU is started.
const ROUNDS: u32 = 100;
/// INIT, INIT de-asserted, SIPI with a page.
const INIT: u32 = 0x4500;
const INIT_END: u32 = 0x8500;
const STARTUP: u32 = 0x4600;
/// Absent in every partition, or another's.
const STRANGERS: [u32; 10] = [2, 3, 7, 8, 15, 0x10, 0xfe, 0x100, 0x8000_0000, 0xffff_fffe];

pub(super) fn run(_: &mut Setting, tally: &mut Tally) {
    interrupts::init();
    for target in STRANGERS {
        for command in [INIT, INIT_END, STARTUP, STARTUP | 8, STARTUP | 0xff] {
            interrupts::command(target, command);
            tally.count_done(1);
        }
    }
    tally.part(format_args!("absent vCPUs"));
    let started = (0..ROUNDS).filter(|_| start_cpu(1, |_| cpu_off()).is_ok()).count();
    tally.count_done(started as u64);
    tally.part(format_args!("on and off"));
}

/// The second vCPU starts at pages without code of ours, and ends in whatever exceptions it meets there.
pub(super) fn pages(setting: &mut Setting, tally: &mut Tally) {
    interrupts::init();
    for _ in 0..ROUNDS {
        interrupts::command(1, INIT);
        interrupts::command(1, STARTUP | (setting.random.next() & 0xff) as u32);
        tally.count_done(2);
    }
    interrupts::command(1, INIT);
    tally.part(format_args!("pages without code"));
}
