// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads, writes and executes where this partition has nothing.

use super::places::{self, Place};
use crate::Setting;
use crate::hostile::{Instruction, execute};
use crate::tally::Tally;

/// Bytes between two addresses of the sweep.
const STRIDE: u64 = 0x20_0000;
/// End of the sweep.
const SWEEP_END: u64 = 0x4_0000_0000;

pub(super) fn run(setting: &mut Setting, tally: &mut Tally) {
    for place in &places::far(setting) {
        everything(place, tally);
    }
    for place in places::DEVICES {
        everything(place, tally);
    }
    sweep(setting, tally);
}

/// Every kind of access at one place.
fn everything(place: &Place, tally: &mut Tally) {
    let at = place.address;
    for load in Instruction::LOADS {
        tally.count(load.run([at, 0, 0, 0]));
    }
    tally.part(format_args!("{} read", place.name));
    for store in Instruction::STORES {
        tally.count(store.run([at, u64::MAX, 0, 0]));
    }
    tally.part(format_args!("{} write", place.name));
    for vector in Instruction::VECTORS {
        tally.count(vector.run([at, 0, 0, 0]));
    }
    tally.part(format_args!("{} vector", place.name));
    // The last one stays inside its page with every form's own offset.
    for offset in [1, 2, 3, 7, 0xfdd] {
        for access in Instruction::LOADS.iter().chain(Instruction::STORES) {
            tally.count(access.run([at.wrapping_add(offset), 0, 0, 0]));
        }
    }
    tally.part(format_args!("{} unaligned", place.name));
    for offset in [0, 4, 0xffc, 2] {
        tally.count(execute(at.wrapping_add(offset)));
    }
    tally.part(format_args!("{} execute", place.name));
}

/// One load, one store and one jump every two megabytes.
fn sweep(setting: &Setting, tally: &mut Tally) {
    let foreign =
        || (0..SWEEP_END).step_by(STRIDE as usize).filter(|&at| !places::own(setting, at));
    for at in foreign() {
        tally.count(Instruction::LOADS[2].run([at, 0, 0, 0]));
    }
    tally.part(format_args!("sweep read"));
    for at in foreign() {
        tally.count(Instruction::STORES[2].run([at, u64::MAX, 0, 0]));
    }
    tally.part(format_args!("sweep write"));
    for at in foreign() {
        tally.count(execute(at));
    }
    tally.part(format_args!("sweep execute"));
}
