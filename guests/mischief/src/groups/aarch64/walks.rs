// SPDX-License-Identifier: MIT OR Apache-2.0
//! Translation tables that lie: at addresses nobody has, or with entries that
//! point there, on each level. The lower half keeps a good table, or no vector
//! could be fetched; the lies are in the upper half.
//!
//! ```text
//! TTBR1_EL1 -> level 1 (1 GiB an entry) -> level 2 (2 MiB) -> level 3 (4 KiB) -> page
//! ```
//! Manual: Arm ARM, "VMSAv8-64 translation table format descriptors".

use super::places;
use crate::Setting;
use crate::hostile::{Instruction, scratch, write};
use crate::tally::Tally;
use guest_rt::machine::enable_mmu;

/// First address of the upper half with 39 bits.
const UPPER: u64 = 0xffff_ff80_0000_0000;
const TABLE: u64 = 3;
const PAGE: u64 = 3;
const BLOCK: u64 = 1;
/// Access flag, Normal memory (attribute 1 of the runtime's MAIR_EL1), inner shareable.
const ATTRIBUTES: u64 = 1 << 10 | 3 << 8 | 1 << 2;

pub(super) fn run(setting: &mut Setting, tally: &mut Tally) {
    enable_mmu();
    tally.count(Instruction::UPPER_HALF[0].run([0; 4]));
    tally.part(format_args!("setting up"));
    let [first, second, third] = [0, 0x1000, 0x2000].map(|offset| scratch() + 0x4000 + offset);
    let far = places::far(setting);
    for place in far.iter().chain(places::DEVICES) {
        let bad = place.address & 0xffff_ffff_f000;
        access(bad, tally);
        tally.part(format_args!("{} as level 1 table", place.name));
        write(first, bad | TABLE);
        access(first, tally);
        tally.part(format_args!("{} as level 2 table", place.name));
        write(first, second | TABLE);
        write(second, bad | TABLE);
        access(first, tally);
        tally.part(format_args!("{} as level 3 table", place.name));
        write(second, third | TABLE);
        write(third, bad | ATTRIBUTES | PAGE);
        access(first, tally);
        write(second, bad & !0x1f_ffff | ATTRIBUTES | BLOCK);
        access(first, tally);
        write(first, bad & !0x3fff_ffff | ATTRIBUTES | BLOCK);
        access(first, tally);
        tally.part(format_args!("{} as page and block", place.name));
    }
    // A table that is its own next level, and reserved descriptors.
    write(first, first | TABLE);
    access(first, tally);
    for value in [0, 2, u64::MAX, u64::MAX << 2 | 1, setting.random.next() | 1] {
        write(first, second | TABLE);
        write(second, third | TABLE);
        write(third, value);
        access(first, tally);
    }
    tally.part(format_args!("loops and reserved bits"));
    access(u64::MAX, tally);
    access(u64::MAX << 47 | first, tally);
    tally.part(format_args!("reserved bits of TTBR1_EL1"));
}

/// Every kind of access through the tables at `table`.
fn access(table: u64, tally: &mut Tally) {
    for instruction in Instruction::WALKS {
        tally.count(instruction.run([table, UPPER, 0, 0]));
    }
}
