// SPDX-License-Identifier: MIT OR Apache-2.0
//! A format of no machine, for tests on the host. Whatever the real ones have
//! in common is different here on purpose, so that code which knows too much
//! about an encoding fails.
//!
//! ```text
//!  root: eight      level 1         level 2         level 3
//!  concatenated --> +----------+    +----------+    +----------+
//!  tables           | 41..30   |--->| 29..21   |--->| 20..12   |--> 4 KiB
//!                   +----------+    | or 2 MiB |    +----------+
//!                                   +----------+
//!
//!  leaf   63 0  61..28 host bits 45..12  27 valid  21..20 level  11..10 kind  6 no X  5 no W
//!  table  63 1  61..28 next bits 45..12  27 valid
//! ```
//!
//! A leaf carries the level it was made for and means nothing at another.

use crate::{Encode, Entry, Format, GuestPhys, HostPhys, Kind, Leaf, Level, Rights, Shape};

/// The format of no machine: 42 bits of input, 46 of output, no 1 GiB blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fake;

const NO_WRITE: u64 = 1 << 5;
const NO_EXECUTE: u64 = 1 << 6;
const VALID: u64 = 1 << 27;
const TABLE: u64 = 1 << 63;
const LEVEL: u64 = 0b11 << 20;
const KIND: u64 = 0b11 << 10;
const ADDRESS: u64 = 0x3FFF_FFFF_F000_0000;

const fn level_bits(level: Level) -> u64 {
    match level {
        Level::Zero => 3 << 20,
        Level::One => 1 << 20,
        Level::Two => 0,
        Level::Three => 2 << 20,
    }
}

const fn kind_bits(kind: Kind) -> u64 {
    match kind {
        Kind::Normal => 2 << 10,
        Kind::NonCacheable => 0,
        Kind::WriteBack => 1 << 10,
        Kind::Device => 3 << 10,
    }
}

impl Format for Fake {
    type Input = GuestPhys;
}

impl Encode for Fake {
    fn shape(&self) -> Shape {
        Shape { input_bits: 42, output_bits: 46, start: Level::One, largest: Level::Two }
    }

    fn table(&self, next: HostPhys) -> u64 {
        TABLE | next.get() << 16 | VALID
    }

    fn leaf(&self, level: Level, leaf: Leaf) -> Option<u64> {
        let mut entry = leaf.host.get() << 16 | VALID | level_bits(level) | kind_bits(leaf.kind);
        if !leaf.rights.contains(Rights::WRITE) {
            entry |= NO_WRITE;
        }
        if !leaf.rights.contains(Rights::EXECUTE) {
            entry |= NO_EXECUTE;
        }
        Some(entry)
    }

    fn decode(&self, level: Level, entry: u64) -> Entry {
        let host = HostPhys::new((entry & ADDRESS) >> 16);
        if entry & VALID == 0 {
            return Entry::Empty;
        }
        if entry & TABLE != 0 {
            return Entry::Table(host);
        }
        if entry & LEVEL != level_bits(level) {
            return Entry::Empty;
        }
        let mut rights = Rights::READ;
        rights.set(Rights::WRITE, entry & NO_WRITE == 0);
        rights.set(Rights::EXECUTE, entry & NO_EXECUTE == 0);
        let kinds = [Kind::Normal, Kind::NonCacheable, Kind::WriteBack];
        let is = |kind: &Kind| kind_bits(*kind) == entry & KIND;
        let kind = kinds.into_iter().find(is).unwrap_or(Kind::Device);
        Entry::Leaf(Leaf { host, rights, kind })
    }
}

// The highest page of 46 bits lands below the table flag.
const _: () = assert!(0x3FFF_FFFF_F000 << 16 == ADDRESS);
