// SPDX-License-Identifier: MIT OR Apache-2.0
//! Exclusive and atomic accesses where they have no meaning: at devices, at
//! nothing, unaligned. On memory of its own they work where the CPU has them.

use super::places::{self, Place};
use crate::Setting;
use crate::hostile::{Instruction, scratch};
use crate::tally::Tally;
use abi::platform;

pub(super) fn run(setting: &mut Setting, tally: &mut Tally) {
    let own = [
        Place { name: "own-memory", address: scratch() },
        Place { name: "distributor", address: platform::GICD + 0x100 },
        Place { name: "redistributor", address: platform::GICR + 0x1_0100 },
        Place { name: "uart-flags", address: platform::UART + 0x18 },
    ];
    let far = places::far(setting);
    for place in own.iter().chain(&far).chain(places::DEVICES) {
        for access in Instruction::ATOMICS {
            for offset in [0, 1, 4, 8] {
                tally.count(access.run([place.address.wrapping_add(offset), 0, 1, 0]));
            }
        }
        tally.part(format_args!("{}", place.name));
    }
}
