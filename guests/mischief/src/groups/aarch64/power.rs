// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starts, stops and asks about vCPUs that are absent, foreign, running, or itself.

use crate::Setting;
use crate::hostile::{Instruction, pause};
use crate::tally::Tally;
use guest_rt::machine::{gic, start_cpu};
use guest_rt::power::{AffinityState, affinity_info, cpu_off};
use guest_rt::timer;

const CPU_SUSPEND: u64 = 0xc400_0001;
const CPU_ON: u64 = 0xc400_0003;
const CPU_ON_32: u64 = 0x8400_0003;
const AFFINITY_INFO: u64 = 0xc400_0004;
/// Absent in every partition, or another's: single numbers, clusters, reserved bits.
const STRANGERS: [u64; 12] = [
    8,
    9,
    15,
    16,
    0xff,
    0x100,
    0x101,
    0x1_0000,
    0x1_0000_0000,
    0x8000_0008,
    0xff_00ff_ffff,
    u64::MAX,
];
/// Times the second vCPU is started.
const ROUNDS: u32 = 100;
/// Times it is asked whether it went off again.
const PATIENCE: u32 = 100_000;

pub(super) fn run(setting: &mut Setting, tally: &mut Tally) {
    let (start, end) = setting.memory;
    for target in STRANGERS {
        for call in Instruction::CALLS {
            tally.count_call(call.run([CPU_ON, target, start, 0]));
            tally.count_call(call.run([CPU_ON_32, target, start, 0]));
            tally.count_call(call.run([AFFINITY_INFO, target, 0, 0]));
            tally.count_call(call.run([AFFINITY_INFO, target, 3, 0]));
        }
    }
    tally.part(format_args!("absent vCPUs"));
    for target in [0, 0x8000_0000] {
        for entry in [start, start + 2, end, 0, 0x0900_0000, u64::MAX] {
            tally.count_call(Instruction::CALLS[0].run([CPU_ON, target, entry, 0]));
        }
    }
    tally.part(format_args!("itself"));
    gic::init();
    gic::enable(timer::INTID, gic::Trigger::Level);
    // An interrupt that is due ends each suspension.
    for state in [0, 1, 0x1_0000, 0x4000_0000, 0xffff_ffff] {
        timer::arm(timer::now());
        tally.count_call(Instruction::CALLS[0].run([CPU_SUSPEND, state, end, 0]));
        timer::disarm();
    }
    tally.part(format_args!("suspension"));
    for _ in 0..ROUNDS {
        if start_cpu(1, |_| cpu_off()).is_ok() {
            tally.count_done(1);
        }
        let off = || affinity_info(1).is_ok_and(|state| state == AffinityState::Off);
        (0..PATIENCE).take_while(|_| !off()).for_each(|_| pause());
    }
    tally.part(format_args!("on and off"));
    for entry in [end, 0x0900_0000, 1 << 39, u64::MAX] {
        tally.count_call(Instruction::CALLS[0].run([CPU_ON, 1, entry, 0]));
    }
    tally.part(format_args!("entries outside"));
}
