// SPDX-License-Identifier: MIT OR Apache-2.0
//! Intel extended page tables: from guest-physical to host-physical addresses.
//!
//! ```text
//!  EPTP        PML4            PDPT            PD              PT
//!  +------+    +----------+    +----------+    +----------+    +----------+
//!  | root |--->| 47..39   |--->| 38..30   |--->| 29..21   |--->| 20..12   |--> 4 KiB
//!  +------+    +----------+    | or 1 GiB |    | or 2 MiB |    +----------+
//!                              +----------+    +----------+
//!
//!  leaf   51..12 output  7 large  6 ignore PAT  5..3 memory type  2 X  1 W  0 R
//!  table  51..12 next                                             1    1    1
//! ```
//!
//! An entry whose bits 2..0 are all clear is not present. Write without read is
//! a misconfiguration, which the walker rules out: every mapping is readable.
//!
//! Intel SDM, volume 3: "The Extended Page Table Mechanism (EPT)", "EPT and
//! Memory Typing", "Extended-Page-Table Pointer (EPTP)".

use crate::{Encode, Entry, Format, GuestPhys, HostPhys, Kind, Leaf, Level, Rights, Shape};

/// Extended page tables on one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ept {
    output_bits: u32,
    gigabyte: bool,
}

impl Ept {
    /// The format for a CPU with `output_bits` physical address bits
    /// (MAXPHYADDR) that has 1 GiB EPT pages if `gigabyte` is set
    /// (IA32_VMX_EPT_VPID_CAP bit 17). Every such CPU has 2 MiB pages.
    #[must_use]
    pub const fn new(output_bits: u32, gigabyte: bool) -> Self {
        Self { output_bits: if output_bits < 52 { output_bits } else { 52 }, gigabyte }
    }

    /// What the EPTP field of the VMCS must hold: tables are write-back, the
    /// walk has four levels, accessed and dirty flags are off.
    #[must_use]
    pub const fn eptp(&self, root: HostPhys) -> u64 {
        const FOUR_LEVELS: u64 = (4 - 1) << 3;
        root.get() | FOUR_LEVELS | WRITE_BACK
    }
}

const READ: u64 = 1;
const WRITE: u64 = 1 << 1;
const EXECUTE: u64 = 1 << 2;
const IGNORE_PAT: u64 = 1 << 6;
const LARGE: u64 = 1 << 7;
const ADDRESS: u64 = 0x000F_FFFF_FFFF_F000;

// Memory types.
const UNCACHEABLE: u64 = 0;
const WRITE_COMBINING: u64 = 1;
const WRITE_BACK: u64 = 6;

/// Memory type and whether the guest's PAT is ignored.
const fn memory_type(kind: Kind) -> u64 {
    match kind {
        Kind::Normal => WRITE_BACK << 3,
        Kind::NonCacheable => WRITE_COMBINING << 3,
        Kind::WriteBack => WRITE_BACK << 3 | IGNORE_PAT,
        Kind::Device => UNCACHEABLE << 3,
    }
}

/// The entry for a leaf.
const fn encode(level: Level, leaf: Leaf) -> u64 {
    let mut entry = leaf.host.get() | memory_type(leaf.kind) | READ;
    if !matches!(level, Level::Three) {
        entry |= LARGE;
    }
    if leaf.rights.contains(Rights::WRITE) {
        entry |= WRITE;
    }
    if leaf.rights.contains(Rights::EXECUTE) {
        entry |= EXECUTE;
    }
    entry
}

impl Format for Ept {
    type Input = GuestPhys;
}

impl Encode for Ept {
    fn shape(&self) -> Shape {
        let largest = if self.gigabyte { Level::One } else { Level::Two };
        Shape { input_bits: 48, output_bits: self.output_bits, start: Level::Zero, largest }
    }

    fn table(&self, next: HostPhys) -> u64 {
        next.get() | EXECUTE | WRITE | READ
    }

    fn leaf(&self, level: Level, leaf: Leaf) -> Option<u64> {
        Some(encode(level, leaf))
    }

    fn decode(&self, level: Level, entry: u64) -> Entry {
        let host = HostPhys::new(entry & ADDRESS);
        if entry & (READ | WRITE | EXECUTE) == 0 {
            return Entry::Empty;
        }
        if level != Level::Three && entry & LARGE == 0 {
            return Entry::Table(host);
        }
        let mut rights = Rights::READ;
        rights.set(Rights::WRITE, entry & WRITE != 0);
        rights.set(Rights::EXECUTE, entry & EXECUTE != 0);
        let kinds = [Kind::Normal, Kind::NonCacheable, Kind::WriteBack];
        let is = |kind: &Kind| memory_type(*kind) == entry & (7 << 3 | IGNORE_PAT);
        let kind = kinds.into_iter().find(is).unwrap_or(Kind::Device);
        Entry::Leaf(Leaf { host, rights, kind })
    }
}

// Four levels, write-back.
const _: () = assert!(Ept::new(46, true).eptp(HostPhys::new(0x7000)) == 0x701E);
const _: () = {
    let host = HostPhys::new(0x4000_0000);
    let ram = Leaf { host, rights: Rights::all(), kind: Kind::Normal };
    assert!(encode(Level::Three, ram) == 0x4000_0037);
    assert!(encode(Level::One, ram) == 0x4000_00B7);
    // Shared memory ignores the guest's PAT; registers are uncacheable.
    let rights = Rights::READ.union(Rights::WRITE);
    assert!(encode(Level::Two, Leaf { host, rights, kind: Kind::WriteBack }) == 0x4000_00F3);
    assert!(encode(Level::Three, Leaf { host, rights, kind: Kind::Device }) == 0x4000_0003);
};
