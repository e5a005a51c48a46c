// SPDX-License-Identifier: MIT OR Apache-2.0
//! Arm stage 2: from what a guest believes to be physical (IPA) to the machine.
//!
//! ```text
//!  VTTBR_EL2       level 1            level 2            level 3
//!  +-----------+   +------------+     +------------+     +------------+
//!  |VMID| BADDR|-->| 39..30     |---->| 29..21     |---->| 20..12     |--> 4 KiB
//!  +-----------+   | entries of |     | entries of |     | entries of |
//!                  | 1 GiB (x2) |     | 2 MiB      |     | 4 KiB      |
//!                  +------------+     +------------+
//!
//!  leaf   63..55  54 XN  53  52..48  47..12 output  11  10 AF  9..8 SH  7..6 S2AP  5..2 MemAttr  1..0
//!  table                             47..12 next                                                 11
//! ```
//!
//! The granule is 4 KiB. Forty bits of input start at level 1 with two
//! concatenated tables, because a start at level 0 needs 44 physical address
//! bits; the start moves to level 0 above 43 bits of input only.
//!
//! Arm ARM DDI 0487: "VMSAv8-64 translation table format descriptors",
//! "Concatenated translation tables for the initial stage 2 lookup", "Stage 2
//! memory type and Cacheability attributes when FEAT_S2FWB is disabled" and "… is
//! enabled", "VTCR_EL2, Virtualization Translation Control Register".

use crate::{Encode, Entry, Format, GuestPhys, HostPhys, Kind, Leaf, Level, Rights, Shape};

/// Stage 2 on one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage2 {
    pa_range: u8,
    input_bits: u32,
    force: bool,
}

impl Stage2 {
    /// The format for a CPU whose `ID_AA64MMFR0_EL1.PARange` is `pa_range` and,
    /// if `force` is set, whose `HCR_EL2.FWB` the kernel sets (FEAT_S2FWB). The
    /// input has 40 bits, or as many as the CPU's physical addresses if fewer.
    #[must_use]
    pub const fn new(pa_range: u8, force: bool) -> Self {
        let bits = pa_bits(pa_range);
        Self { pa_range, input_bits: if bits < 40 { bits } else { 40 }, force }
    }

    /// The same with another number of input bits; none if the architecture has
    /// no such stage 2 on this CPU.
    #[must_use]
    pub const fn with_input_bits(self, bits: u32) -> Option<Self> {
        if bits < 32 || bits > pa_bits(self.pa_range) {
            return None;
        }
        Some(Self { input_bits: bits, ..self })
    }

    /// What VTCR_EL2 must hold: 4 KiB granule, walks inner-shareable and
    /// write-back, VMIDs of eight bits.
    #[must_use]
    pub const fn vtcr(&self) -> u64 {
        const RES1: u64 = 1 << 31;
        const SH0_INNER: u64 = 0b11 << 12;
        const ORGN0_WRITE_BACK: u64 = 0b01 << 10;
        const IRGN0_WRITE_BACK: u64 = 0b01 << 8;
        let sl0 = if self.input_bits > 43 { 0b10 << 6 } else { 0b01 << 6 };
        let t0sz = 64u64.saturating_sub(self.input_bits as u64);
        RES1 | ps(self.pa_range) << 16
            | SH0_INNER
            | ORGN0_WRITE_BACK
            | IRGN0_WRITE_BACK
            | sl0
            | t0sz
    }

    /// What VTTBR_EL2 must hold for a root and a VMID.
    #[must_use]
    pub const fn vttbr(&self, root: HostPhys, vmid: u8) -> u64 {
        (vmid as u64) << 48 | root.get()
    }

    /// The kind of memory that two observers share without maintenance, whatever
    /// their own tables say: write-back forced where the CPU can, else not cached.
    #[must_use]
    pub const fn shared(&self) -> Kind {
        if self.force { Kind::WriteBack } else { Kind::NonCacheable }
    }

    const fn mem_attr(&self, kind: Kind) -> Option<u64> {
        let bits = match (kind, self.force) {
            (Kind::Device, _) => DEVICE_NGNRE,
            (Kind::Normal, false) => WRITE_BACK,
            (Kind::NonCacheable, false) => NON_CACHEABLE,
            (Kind::WriteBack, false) => return None,
            (Kind::Normal, true) => FORCE_NONE,
            (Kind::NonCacheable, true) => FORCE_NON_CACHEABLE,
            (Kind::WriteBack, true) => FORCE_WRITE_BACK,
        };
        Some(bits << 2)
    }
}

/// Physical address bits of a PARange. With a 4 KiB granule and 48-bit entries,
/// 52 bits count as 48.
pub(crate) const fn pa_bits(pa_range: u8) -> u32 {
    match pa_range {
        0 => 32,
        1 => 36,
        2 => 40,
        3 => 42,
        4 => 44,
        _ => 48,
    }
}

/// The field PS of a translation control register for a PARange.
pub(crate) const fn ps(pa_range: u8) -> u64 {
    if pa_range < 5 { pa_range as u64 } else { 5 }
}

// MemAttr without HCR_EL2.FWB: the weaker of both stages counts.
const DEVICE_NGNRE: u64 = 0b0001;
const NON_CACHEABLE: u64 = 0b0101;
const WRITE_BACK: u64 = 0b1111;
// MemAttr with it; Device is as above.
const FORCE_NON_CACHEABLE: u64 = 0b0101;
const FORCE_WRITE_BACK: u64 = 0b0110;
const FORCE_NONE: u64 = 0b0111;

const VALID: u64 = 1;
/// A table above level 3, a page at level 3; without it, a block.
const TABLE_OR_PAGE: u64 = 1 << 1;
const MEM_ATTR: u64 = 0b1111 << 2;
const READ: u64 = 1 << 6;
const WRITE: u64 = 1 << 7;
const INNER_SHAREABLE: u64 = 0b11 << 8;
const ACCESSED: u64 = 1 << 10;
const EXECUTE_NEVER: u64 = 1 << 54;
const ADDRESS: u64 = 0x0000_FFFF_FFFF_F000;

/// The entry for a leaf.
const fn encode(format: Stage2, level: Level, leaf: Leaf) -> Option<u64> {
    let Some(mem_attr) = format.mem_attr(leaf.kind) else { return None };
    let mut entry = leaf.host.get() | mem_attr;
    entry |= VALID | READ | INNER_SHAREABLE | ACCESSED;
    if matches!(level, Level::Three) {
        entry |= TABLE_OR_PAGE;
    }
    if leaf.rights.contains(Rights::WRITE) {
        entry |= WRITE;
    }
    if !leaf.rights.contains(Rights::EXECUTE) {
        entry |= EXECUTE_NEVER;
    }
    Some(entry)
}

impl Format for Stage2 {
    type Input = GuestPhys;
}

impl Encode for Stage2 {
    fn shape(&self) -> Shape {
        let start = if self.input_bits > 43 { Level::Zero } else { Level::One };
        let output_bits = pa_bits(self.pa_range);
        Shape { input_bits: self.input_bits, output_bits, start, largest: Level::One }
    }

    fn table(&self, next: HostPhys) -> u64 {
        next.get() | TABLE_OR_PAGE | VALID
    }

    fn leaf(&self, level: Level, leaf: Leaf) -> Option<u64> {
        encode(*self, level, leaf)
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
        rights.set(Rights::WRITE, entry & WRITE != 0);
        rights.set(Rights::EXECUTE, entry & EXECUTE_NEVER == 0);
        let kinds = [Kind::Normal, Kind::NonCacheable, Kind::WriteBack];
        let is = |kind: &Kind| self.mem_attr(*kind) == Some(entry & MEM_ATTR);
        let kind = kinds.into_iter().find(is).unwrap_or(Kind::Device);
        Entry::Leaf(Leaf { host, rights, kind })
    }
}

// KVM's and Hafnium's well-known value: 40 bits of input and of output.
const _: () = assert!(Stage2::new(2, false).vtcr() == 0x8002_3558);
// 48 bits of output (52 count as 48); the input stays at 40 bits.
const _: () = assert!(Stage2::new(6, true).vtcr() == 0x8005_3558);
// 36 physical address bits: the input shrinks with them.
const _: () = assert!(Stage2::new(1, false).vtcr() == 0x8001_355C);
// 48 bits of input start at level 0.
const _: () = assert!(Stage2::new(5, false).with_input_bits(48).unwrap().vtcr() == 0x8005_3590);
const _: () = assert!(Stage2::new(2, false).with_input_bits(41).is_none());
const _: () =
    assert!(Stage2::new(2, false).vttbr(HostPhys::new(0x4000_2000), 3) == 0x3_0000_4000_2000);
const _: () = {
    let free = Stage2::new(2, false);
    let forced = Stage2::new(2, true);
    let host = HostPhys::new(0x4000_0000);
    let ram = Leaf { host, rights: Rights::all(), kind: Kind::Normal };
    assert!(matches!(encode(free, Level::Three, ram), Some(0x4000_07FF)));
    assert!(matches!(encode(free, Level::One, ram), Some(0x4000_07FD)));
    assert!(matches!(encode(forced, Level::Two, ram), Some(0x4000_07DD)));
    let channel = Leaf { host, rights: Rights::READ, kind: free.shared() };
    assert!(matches!(encode(free, Level::Three, channel), Some(0x40_0000_4000_0757)));
    let channel = Leaf { host, rights: Rights::READ, kind: forced.shared() };
    assert!(matches!(encode(forced, Level::Three, channel), Some(0x40_0000_4000_075B)));
    let uart = Leaf { host, rights: Rights::READ.union(Rights::WRITE), kind: Kind::Device };
    assert!(matches!(encode(free, Level::Three, uart), Some(0x40_0000_4000_07C7)));
    assert!(matches!(encode(forced, Level::Three, uart), Some(0x40_0000_4000_07C7)));
};
