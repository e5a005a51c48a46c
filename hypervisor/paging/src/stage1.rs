// SPDX-License-Identifier: MIT OR Apache-2.0
//! AArch64 stage 1 of the EL2 regime: the hypervisor's own map. No mapping is
//! both writable and executable.
//!
//! ```text
//!  TTBR0_EL2   level 0         level 1         level 2         level 3
//!  +-------+   +----------+    +----------+    +----------+    +----------+
//!  | BADDR |-->| 47..39   |--->| 38..30   |--->| 29..21   |--->| 20..12   |--> 4 KiB
//!  +-------+   +----------+    | or 1 GiB |    | or 2 MiB |    +----------+
//!                              +----------+    +----------+
//!
//!  leaf   63..55  54 XN  53..48  47..12 output  11  10 AF  9..8 SH  7..6 AP[2:1]  5 NS  4..2 AttrIndx  1..0
//!  table                         47..12 next                                                           11
//! ```
//!
//! The granule is 4 KiB, the input has 48 bits. HCR_EL2.E2H is 0, so there is
//! one range of addresses and AP\[1\] is RES1.
//!
//! Arm ARM DDI 0487: "VMSAv8-64 translation table format descriptors", "Stage 1
//! data accesses using Direct permissions", "TCR_EL2, Translation Control
//! Register (EL2)", "MAIR_EL2, Memory Attribute Indirection Register (EL2)".

use crate::stage2::{pa_bits, ps};
use crate::{Encode, Entry, Format, HostPhys, HostVirt, Kind, Leaf, Level, Rights, Shape};

/// Stage 1 of the EL2 regime on one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage1 {
    pa_range: u8,
}

impl Stage1 {
    /// What MAIR_EL2 must hold: from attribute 0 up write-back, non-cacheable,
    /// Device-nGnRE, write-back.
    pub const MAIR: u64 = 0xFF_04_44_FF;

    /// The format for a CPU whose `ID_AA64MMFR0_EL1.PARange` is `pa_range`.
    #[must_use]
    pub const fn new(pa_range: u8) -> Self {
        Self { pa_range }
    }

    /// What TCR_EL2 must hold: 4 KiB granule, 48 bits of input, walks
    /// inner-shareable and write-back.
    #[must_use]
    pub const fn tcr(&self) -> u64 {
        const RES1: u64 = 1 << 31 | 1 << 23;
        const SH0_INNER: u64 = 0b11 << 12;
        const ORGN0_WRITE_BACK: u64 = 0b01 << 10;
        const IRGN0_WRITE_BACK: u64 = 0b01 << 8;
        const T0SZ: u64 = 64 - 48;
        RES1 | ps(self.pa_range) << 16 | SH0_INNER | ORGN0_WRITE_BACK | IRGN0_WRITE_BACK | T0SZ
    }
}

/// AttrIndx of a kind: its place in [`Stage1::MAIR`].
const fn attr_index(kind: Kind) -> u64 {
    match kind {
        Kind::Normal => 0,
        Kind::NonCacheable => 1 << 2,
        Kind::Device => 2 << 2,
        Kind::WriteBack => 3 << 2,
    }
}

const VALID: u64 = 1;
/// A table above level 3, a page at level 3; without it, a block.
const TABLE_OR_PAGE: u64 = 1 << 1;
const ATTR_INDEX: u64 = 0b111 << 2;
const AP1_RES1: u64 = 1 << 6;
const READ_ONLY: u64 = 1 << 7;
const INNER_SHAREABLE: u64 = 0b11 << 8;
const ACCESSED: u64 = 1 << 10;
const EXECUTE_NEVER: u64 = 1 << 54;
const ADDRESS: u64 = 0x0000_FFFF_FFFF_F000;

/// The entry for a leaf.
const fn encode(level: Level, leaf: Leaf) -> Option<u64> {
    if leaf.rights.contains(Rights::WRITE.union(Rights::EXECUTE)) {
        return None;
    }
    let mut entry = leaf.host.get() | attr_index(leaf.kind);
    entry |= VALID | AP1_RES1 | INNER_SHAREABLE | ACCESSED;
    if matches!(level, Level::Three) {
        entry |= TABLE_OR_PAGE;
    }
    if !leaf.rights.contains(Rights::WRITE) {
        entry |= READ_ONLY;
    }
    if !leaf.rights.contains(Rights::EXECUTE) {
        entry |= EXECUTE_NEVER;
    }
    Some(entry)
}

impl Format for Stage1 {
    type Input = HostVirt;
}

impl Encode for Stage1 {
    fn shape(&self) -> Shape {
        let output_bits = pa_bits(self.pa_range);
        Shape { input_bits: 48, output_bits, start: Level::Zero, largest: Level::One }
    }

    fn table(&self, next: HostPhys) -> u64 {
        next.get() | TABLE_OR_PAGE | VALID
    }

    fn leaf(&self, level: Level, leaf: Leaf) -> Option<u64> {
        encode(level, leaf)
    }

    fn decode(&self, level: Level, entry: u64) -> Entry {
        let host = HostPhys::new(entry & ADDRESS);
        if entry & VALID == 0 {
            return Entry::Empty;
        }
        if level != Level::Three && entry & TABLE_OR_PAGE != 0 {
            return Entry::Table(host);
        }
        let mut rights = Rights::READ;
        rights.set(Rights::WRITE, entry & READ_ONLY == 0);
        rights.set(Rights::EXECUTE, entry & EXECUTE_NEVER == 0);
        let kinds = [Kind::Normal, Kind::NonCacheable, Kind::WriteBack];
        let is = |kind: &Kind| attr_index(*kind) == entry & ATTR_INDEX;
        let kind = kinds.into_iter().find(is).unwrap_or(Kind::Device);
        Entry::Leaf(Leaf { host, rights, kind })
    }
}

const _: () = assert!(Stage1::new(2).tcr() == 0x8082_3510);
const _: () = assert!(Stage1::new(6).tcr() == 0x8085_3510);
// Each kind's place in MAIR holds its attribute.
const _: () = assert!(Stage1::MAIR >> (attr_index(Kind::Normal) * 2) & 0xFF == 0xFF);
const _: () = assert!(Stage1::MAIR >> (attr_index(Kind::NonCacheable) * 2) & 0xFF == 0x44);
const _: () = assert!(Stage1::MAIR >> (attr_index(Kind::Device) * 2) & 0xFF == 0x04);
const _: () = assert!(Stage1::MAIR >> (attr_index(Kind::WriteBack) * 2) & 0xFF == 0xFF);
const _: () = {
    let host = HostPhys::new(0x4020_0000);
    let text = Leaf { host, rights: Rights::READ.union(Rights::EXECUTE), kind: Kind::Normal };
    assert!(matches!(encode(Level::Three, text), Some(0x4020_07C3)));
    let data = Leaf { host, rights: Rights::READ.union(Rights::WRITE), kind: Kind::Normal };
    assert!(matches!(encode(Level::Two, data), Some(0x40_0000_4020_0741)));
    let uart = Leaf { kind: Kind::Device, ..data };
    assert!(matches!(encode(Level::Three, uart), Some(0x40_0000_4020_074B)));
    assert!(encode(Level::Three, Leaf { rights: Rights::all(), ..data }).is_none());
};
