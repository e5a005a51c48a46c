// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hypercalls: the small numbers, other hypervisors', and random ones.

use crate::Setting;
use crate::hostile::Instruction;
use crate::tally::Tally;

const SMALL: u64 = 0x1000;
const RANDOM: u64 = 100_000;
const CALLS: [&Instruction; 2] = [&Instruction::VMCALL, &Instruction::VMMCALL];

pub(super) fn run(setting: &mut Setting, tally: &mut Tally) {
    for call in CALLS {
        for function in 0..SMALL {
            for argument in [0, u64::MAX, setting.random.next()] {
                tally.count_call(call.run([function, argument, 0, 0]));
            }
        }
        tally.part(format_args!("{} of small numbers", call.text));
    }
    for _ in 0..RANDOM {
        let function = setting.random.next();
        let shift = function & 0x3f;
        let call = CALLS[usize::from(function & 0x40 != 0)];
        tally.count_call(call.run([function >> shift, setting.random.next(), 0, 0]));
    }
    tally.part(format_args!("random calls"));
}
