// SPDX-License-Identifier: MIT OR Apache-2.0
//! Model-specific registers: every one in the ranges where there are any, and
//! random ones: read, written with zero, ones and a random value, and put back.
//! Manual: Intel SDM, volume 4; AMD APM, volume 2, "MSR Cross-Reference".

use crate::Setting;
use crate::hostile::Instruction;
use crate::tally::Tally;
use core::ops::RangeInclusive;

/// Where MSRs are, and what belongs to hypervisors.
const RANGES: [(&str, RangeInclusive<u64>); 4] = [
    ("architectural", 0..=0x1fff),
    ("hypervisor", 0x4000_0000..=0x4000_00ff),
    ("extended", 0xc000_0000..=0xc000_1fff),
    ("of AMD", 0xc001_0000..=0xc001_1fff),
];
const RANDOM: u64 = 10_000;

/// What this guest itself stands on, or what ends it: IA32_APIC_BASE, EFER, and
/// of an x2APIC the interrupt command, which can send an INIT to this very CPU.
const STANDS_ON: [u64; 3] = [0x1b, 0xc000_0080, 0x830];

pub(super) fn run(setting: &mut Setting, tally: &mut Tally) {
    for (name, range) in &RANGES {
        for number in range.clone() {
            tally.count(Instruction::READ_MSR.run([number, 0, 0, 0]));
        }
        tally.part(format_args!("{name} read"));
        for number in range.clone().filter(|number| !STANDS_ON.contains(number)) {
            write(number, setting, tally);
        }
        tally.part(format_args!("{name} write"));
    }
    for _ in 0..RANDOM {
        let number = setting.random.next() >> 32;
        if !STANDS_ON.contains(&number) {
            tally.count(Instruction::READ_MSR.run([number, 0, 0, 0]));
            write(number, setting, tally);
        }
    }
    tally.part(format_args!("random"));
}

fn write(number: u64, setting: &mut Setting, tally: &mut Tally) {
    let old = Instruction::READ_MSR.run([number, 0, 0, 0]).value();
    for value in [0, u64::MAX, setting.random.next()] {
        tally.count(Instruction::WRITE_MSR.run([number, value, 0, 0]));
        let _ = old.map(|old| Instruction::WRITE_MSR.run([number, old, 0, 0]));
    }
}
