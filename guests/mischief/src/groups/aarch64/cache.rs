// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cache and TLB maintenance: by set and way, by addresses that are not ours, and of everything.

use super::places::{self, Place};
use crate::Setting;
use crate::hostile::{Instruction, scratch};
use crate::tally::Tally;
use abi::platform;

/// Values of the set/way operand: level in bits 3:1, set from bit 4, way from the top.
const LEVELS: u64 = 8;
const SETS: u64 = 64;
const WAYS: u64 = 4;

pub(super) fn run(setting: &mut Setting, tally: &mut Tally) {
    for operation in Instruction::BY_SET_AND_WAY {
        for operand in set_and_way() {
            tally.count(operation.run([operand, 0, 0, 0]));
        }
        for _ in 0..SETS {
            tally.count(operation.run([setting.random.next(), 0, 0, 0]));
        }
        tally.part(format_args!("{}", operation.text));
    }
    let own = [
        Place { name: "own-memory", address: scratch() },
        Place { name: "distributor", address: platform::GICD },
        Place { name: "uart", address: platform::UART },
    ];
    let far = places::far(setting);
    for place in own.iter().chain(&far).chain(places::DEVICES) {
        for operation in Instruction::BY_ADDRESS {
            tally.count(operation.run([place.address, 0, 0, 0]));
        }
        tally.part(format_args!("{}", place.name));
    }
    for operation in Instruction::OF_EVERYTHING {
        tally.count(operation.run([0; 4]));
        tally.part(format_args!("{}", operation.text));
    }
}

fn set_and_way() -> impl Iterator<Item = u64> {
    (0..LEVELS).flat_map(|level| {
        (0..SETS).flat_map(move |set| (0..WAYS).map(move |way| way << 30 | set << 6 | level << 1))
    })
}
