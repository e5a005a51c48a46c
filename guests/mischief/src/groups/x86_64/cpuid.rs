// SPDX-License-Identifier: MIT OR Apache-2.0
//! CPUID: every leaf and subleaf where there is one, and random ones.

use crate::Setting;
use crate::hostile::Instruction;
use crate::tally::Tally;
use core::ops::RangeInclusive;

const RANGES: [(&str, RangeInclusive<u64>); 3] = [
    ("basic", 0..=0x40),
    ("hypervisor", 0x4000_0000..=0x4000_00ff),
    ("extended", 0x8000_0000..=0x8000_0040),
];
const SUBLEAVES: u64 = 64;
const RANDOM: u64 = 10_000;

pub(super) fn run(setting: &mut Setting, tally: &mut Tally) {
    for (name, range) in &RANGES {
        for leaf in range.clone() {
            for subleaf in 0..SUBLEAVES {
                tally.count(Instruction::IDENTIFY.run([leaf, subleaf, 0, 0]));
            }
        }
        tally.part(format_args!("{name}"));
    }
    for _ in 0..RANDOM {
        let value = setting.random.next();
        tally.count(Instruction::IDENTIFY.run([value >> 32, value & 0xffff_ffff, 0, 0]));
    }
    tally.part(format_args!("random"));
}
