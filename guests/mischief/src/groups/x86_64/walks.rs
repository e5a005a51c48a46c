// SPDX-License-Identifier: MIT OR Apache-2.0
//! Translation tables that lie: at addresses nobody has, or with entries that
//! point there, on each level, and with bits that are reserved.

use super::places;
use crate::Setting;
use crate::hostile::{Instruction, Level, entry, lie, scratch};
use crate::tally::Tally;
use guest_rt::machine::call::under_bulkhead;

const LEVELS: [(&str, Level); 4] = [
    ("level 4", Level::Fourth),
    ("level 3", Level::Third),
    ("level 2", Level::Second),
    ("level 1", Level::First),
];
/// A large page.
const LARGE: u64 = 1 << 7;
const RANDOM: u64 = 200;

pub(super) fn run(setting: &mut Setting, tally: &mut Tally) {
    let far = places::far(setting);
    for place in far.iter().chain(places::DEVICES) {
        for (name, level) in LEVELS {
            access(lie(level, entry(place.address)), tally);
            if !matches!(level, Level::First) {
                access(lie(level, entry(place.address & !0x3fff_ffff) | LARGE), tally);
            }
            tally.part(format_args!("{} from {name}", place.name));
        }
    }
    for (name, level) in LEVELS {
        for bit in 0..64 {
            access(lie(level, entry(scratch() + 0xb000) ^ 1 << bit), tally);
        }
        for _ in 0..RANDOM / setting.fewer {
            access(lie(level, setting.random.next()), tally);
        }
        tally.part(format_args!("bits of {name}"));
    }
    lie(Level::Fourth, 0);
}

/// Every kind of access through the tables. A random page may be this guest's own: nothing is written there.
fn access(at: u64, tally: &mut Tally) {
    for instruction in Instruction::LOADS.iter().take(4) {
        tally.count(instruction.run([at, 0, 0, 0]));
    }
    if under_bulkhead() {
        tally.count(Instruction::MOVES[0].run([at, scratch(), 0, 0]));
    }
}
