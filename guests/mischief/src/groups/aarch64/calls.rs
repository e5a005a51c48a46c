// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hypercalls and secure monitor calls that nobody defines, and a million random ones.
//! Manual: SMC Calling Convention (DEN 0028), "Function identifiers".

use crate::Setting;
use crate::hostile::{Instruction, generated};
use crate::random::Random;
use crate::tally::Tally;

/// HVC and SMC with immediate zero; the immediate is in bits 20:5.
const HVC: u32 = 0xd400_0002;
const SMC: u32 = 0xd400_0003;
/// PSCI's functions by their number, 32-bit and 64-bit.
const PSCI: [u64; 2] = [0x8400_0000, 0xc400_0000];
/// PSCI functions that end or stop this vCPU or partition, or start another at a place of our choice:
/// CPU_SUSPEND, CPU_OFF, CPU_ON, SYSTEM_OFF, SYSTEM_RESET, CPU_DEFAULT_SUSPEND, SYSTEM_SUSPEND,
/// SYSTEM_RESET2, SYSTEM_OFF2.
const FINAL: [u64; 9] = [0x01, 0x02, 0x03, 0x08, 0x09, 0x0c, 0x0e, 0x12, 0x15];
const MILLION: u64 = 1_000_000;

pub(super) fn run(setting: &mut Setting, tally: &mut Tally) {
    for (name, base) in [("hvc", HVC), ("smc", SMC)] {
        for immediate in 0..=0xffff {
            tally.count_call(generated(base | immediate << 5, [0xdead_beef, 1, 2, 3]));
        }
        tally.part(format_args!("{name} with every immediate"));
    }
    for call in Instruction::CALLS {
        for function in functions() {
            let arguments =
                [function, setting.random.next(), setting.random.next(), setting.random.next()];
            tally.count_call(call.run(arguments));
        }
        tally.part(format_args!("{} of every owner", call.text));
        for function in PSCI.iter().flat_map(|base| (0..0x20).map(move |number| base + number)) {
            if !ends_us(function) {
                for argument in [0, 1, 0x8000_0000, u64::MAX] {
                    tally.count_call(call.run([function, argument, argument, argument]));
                }
            }
        }
        tally.part(format_args!("{} of PSCI", call.text));
    }
}

pub(super) fn million(setting: &mut Setting, tally: &mut Tally) {
    for _ in 0..MILLION {
        let function = function(&mut setting.random);
        let choice = setting.random.next();
        let call = &Instruction::CALLS[usize::from(choice.is_multiple_of(8))];
        let arguments =
            [function, setting.random.next(), choice >> 3, setting.random.next() & 0xffff];
        tally.count_call(call.run(arguments));
    }
    tally.part(format_args!("random calls"));
}

/// A function number: one in four PSCI's, one in four of a defined range, else anything.
fn function(random: &mut Random) -> u64 {
    loop {
        let value = random.next();
        let function = match value >> 62 {
            0 => PSCI[(value & 1) as usize] + (value >> 8 & 0x1f),
            1 => 0x8000_0000 | value & 0x7f00_0000 | value & 0xff,
            _ => value.rotate_left(7),
        };
        if !ends_us(function) {
            return function;
        }
    }
}

fn ends_us(function: u64) -> bool {
    let number = function & 0xffff_ffff;
    PSCI.iter().any(|base| FINAL.iter().any(|&last| base + last == number))
}

/// Fast and yielding calls, 32-bit and 64-bit, of each of the 64 owners.
fn functions() -> impl Iterator<Item = u64> {
    (0..4u64)
        .flat_map(|kind| {
            (0..64u64).flat_map(move |owner| {
                [0, 1, 0x10, 0xff00, 0xff01, 0xff03, 0xffff]
                    .map(move |number| kind << 30 | owner << 24 | number)
            })
        })
        .filter(|&function| !ends_us(function))
}
