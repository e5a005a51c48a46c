// SPDX-License-Identifier: MIT OR Apache-2.0
//! AMD nested page tables: from guest-physical to host-physical addresses.
//!
//! ```text
//!  nCR3        PML4            PDP             PD              PT
//!  +------+    +----------+    +----------+    +----------+    +----------+
//!  | root |--->| 47..39   |--->| 38..30   |--->| 29..21   |--->| 20..12   |--> 4 KiB
//!  +------+    +----------+    | or 1 GiB |    | or 2 MiB |    +----------+
//!                              +----------+    +----------+
//!
//!  leaf   63 NX  51..12 output  7 PS  6 D  5 A  4 PCD  3 PWT  2 U/S  1 R/W  0 P
//!  table         51..12 next               1                  1      1      1
//! ```
//!
//! The entries are those of ordinary long-mode paging. Every nested access
//! counts as a user access, so U/S is always set. A and D are set beforehand,
//! to spare the hardware a locked write. Nothing here can force a guest to
//! write-back.
//!
//! AMD APM, volume 2: "Nested Paging", "Combining Memory Types, MTRRs",
//! "Page-Translation-Table Entry Fields", "Page-Attribute Table Mechanism".

use crate::{Encode, Entry, Format, GuestPhys, HostPhys, Kind, Leaf, Level, Rights, Shape};

/// Nested page tables on one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Npt {
    output_bits: u32,
    gigabyte: bool,
}

impl Npt {
    /// What the host's PAT MSR must hold: from entry 0 up write-back,
    /// write-combining, UC-, uncacheable, and the same again. The hardware reads
    /// the memory types of nested entries through it.
    pub const PAT: u64 = 0x0007_0106_0007_0106;

    /// The format for a CPU with `output_bits` physical address bits (CPUID
    /// 8000_0008 EAX) that has 1 GiB pages if `gigabyte` is set (CPUID 8000_0001
    /// EDX bit 26).
    #[must_use]
    pub const fn new(output_bits: u32, gigabyte: bool) -> Self {
        Self { output_bits: if output_bits < 52 { output_bits } else { 52 }, gigabyte }
    }
}

const PRESENT: u64 = 1;
const WRITE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const PWT: u64 = 1 << 3;
const PCD: u64 = 1 << 4;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000F_FFFF_FFFF_F000;

/// The bits that choose a kind's entry of [`Npt::PAT`].
const fn pat_index(kind: Kind) -> Option<u64> {
    match kind {
        Kind::Normal => Some(0),
        Kind::NonCacheable => Some(PWT),
        Kind::Device => Some(PCD | PWT),
        Kind::WriteBack => None,
    }
}

/// The entry for a leaf.
const fn encode(level: Level, leaf: Leaf) -> Option<u64> {
    let Some(pat_index) = pat_index(leaf.kind) else { return None };
    let mut entry = leaf.host.get() | pat_index;
    entry |= DIRTY | ACCESSED | USER | PRESENT;
    if !matches!(level, Level::Three) {
        entry |= LARGE;
    }
    if leaf.rights.contains(Rights::WRITE) {
        entry |= WRITE;
    }
    if !leaf.rights.contains(Rights::EXECUTE) {
        entry |= NO_EXECUTE;
    }
    Some(entry)
}

impl Format for Npt {
    type Input = GuestPhys;
}

impl Encode for Npt {
    fn shape(&self) -> Shape {
        let largest = if self.gigabyte { Level::One } else { Level::Two };
        Shape { input_bits: 48, output_bits: self.output_bits, start: Level::Zero, largest }
    }

    fn table(&self, next: HostPhys) -> u64 {
        next.get() | ACCESSED | USER | WRITE | PRESENT
    }

    fn leaf(&self, level: Level, leaf: Leaf) -> Option<u64> {
        encode(level, leaf)
    }

    fn decode(&self, level: Level, entry: u64) -> Entry {
        let host = HostPhys::new(entry & ADDRESS);
        if entry & PRESENT == 0 {
            return Entry::Empty;
        }
        if level != Level::Three && entry & LARGE == 0 {
            return Entry::Table(host);
        }
        let mut rights = Rights::READ;
        rights.set(Rights::WRITE, entry & WRITE != 0);
        rights.set(Rights::EXECUTE, entry & NO_EXECUTE == 0);
        let kinds = [Kind::Normal, Kind::NonCacheable];
        let is = |kind: &Kind| pat_index(*kind) == Some(entry & (PCD | PWT));
        let kind = kinds.into_iter().find(is).unwrap_or(Kind::Device);
        Entry::Leaf(Leaf { host, rights, kind })
    }
}

// PAT entry 0 is write-back (6), entry 1 write-combining (1), entry 3 uncacheable (0).
const _: () = assert!(Npt::PAT & 0xFF == 6);
const _: () = assert!(Npt::PAT >> 8 & 0xFF == 1);
const _: () = assert!(Npt::PAT >> 24 & 0xFF == 0);
const _: () = {
    let host = HostPhys::new(0x4000_0000);
    let ram = Leaf { host, rights: Rights::all(), kind: Kind::Normal };
    assert!(matches!(encode(Level::Three, ram), Some(0x4000_0067)));
    assert!(matches!(encode(Level::Two, ram), Some(0x4000_00E7)));
    let rights = Rights::READ.union(Rights::WRITE);
    let hpet = Leaf { host, rights, kind: Kind::Device };
    assert!(matches!(encode(Level::Three, hpet), Some(0x8000_0000_4000_007F)));
    assert!(encode(Level::Three, Leaf { host, rights, kind: Kind::WriteBack }).is_none());
};
