// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads, writes and executes where this partition has nothing.

use super::places::{self, Place};
use crate::Setting;
use crate::hostile::{Instruction, execute, scratch, window};
use crate::tally::Tally;
use guest_rt::machine::call::under_bulkhead;

/// Bytes between two addresses of the sweep.
const STRIDE: u64 = 0x20_0000;
/// End of the sweep.
const SWEEP_END: u64 = 0x4_0000_0000;

pub(super) fn run(setting: &mut Setting, tally: &mut Tally) {
    for place in places::far(setting).iter().chain(places::DEVICES) {
        everything(place, tally);
    }
    sweep(setting, tally);
}

/// Every kind of access at one place.
fn everything(place: &Place, tally: &mut Tally) {
    let at = window(place.address);
    for load in Instruction::LOADS {
        tally.count(load.run([at, 0, 0, 0]));
    }
    tally.part(format_args!("{} read", place.name));
    for store in Instruction::STORES {
        tally.count(store.run([at, u64::MAX, 0, 0]));
    }
    tally.part(format_args!("{} write", place.name));
    for access in Instruction::MOVES.iter().filter(|_| under_bulkhead()) {
        tally.count(access.run([at, scratch(), 0, 0]));
        tally.count(access.run([scratch(), at, 0, 0]));
        tally.count(access.run([at, at + 0x800, 0, 0]));
    }
    for offset in [1, 2, 3, 7, 0xffd, 0xfff] {
        for access in Instruction::LOADS.iter().chain(Instruction::STORES) {
            tally.count(access.run([at + offset, 0, 0, 0]));
        }
    }
    tally.part(format_args!("{} moved and unaligned", place.name));
    // Bare QEMU ends where code is fetched from nothing.
    for offset in [0, 4, 0xffe, 0x7ff].into_iter().filter(|_| under_bulkhead()) {
        tally.count(execute(at + offset));
    }
    tally.part(format_args!("{} execute", place.name));
}

/// One load, one store and one jump every two megabytes.
fn sweep(setting: &Setting, tally: &mut Tally) {
    let foreign =
        || (0..SWEEP_END).step_by(STRIDE as usize).filter(|&at| !places::own(setting, at));
    for at in foreign() {
        tally.count(Instruction::LOADS[2].run([window(at), 0, 0, 0]));
    }
    tally.part(format_args!("sweep read"));
    for at in foreign() {
        tally.count(Instruction::STORES[2].run([window(at), u64::MAX, 0, 0]));
    }
    tally.part(format_args!("sweep write"));
    for at in foreign().filter(|_| under_bulkhead()) {
        tally.count(execute(window(at)));
    }
    tally.part(format_args!("sweep execute"));
}
