// SPDX-License-Identifier: MIT OR Apache-2.0
//! Long-mode paging on x86-64: the hypervisor's own map. No mapping is both
//! writable and executable.
//!
//! ```text
//!  CR3         PML4            PDPT            PD              PT
//!  +------+    +----------+    +----------+    +----------+    +----------+
//!  | root |--->| 47..39   |--->| 38..30   |--->| 29..21   |--->| 20..12   |--> 4 KiB
//!  +------+    +----------+    | or 1 GiB |    | or 2 MiB |    +----------+
//!                              +----------+    +----------+
//!
//!  leaf   63 XD  51..12 output  8 G  7 PS  6 D  5 A  4 PCD  3 PWT  1 R/W  0 P
//!  table         51..12 next                    1                  1      1
//! ```
//!
//! An input address is the low 48 bits of a canonical one. EFER.NXE and CR0.WP
//! must be set. Nothing is a user page, and A and D are set beforehand, to spare
//! the hardware a locked write. The memory types are read through a PAT of
//! [`crate::npt::Npt::PAT`]'s value, so that both maps have the same one.
//!
//! Intel SDM, volume 3: "4-Level Paging and 5-Level Paging", "Access Rights",
//! "Page Attribute Table (PAT)".

use crate::{Encode, Entry, Format, HostPhys, HostVirt, Kind, Leaf, Level, Rights, Shape};

/// Long-mode paging on one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Long {
    output_bits: u32,
    gigabyte: bool,
}

impl Long {
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
const PWT: u64 = 1 << 3;
const PCD: u64 = 1 << 4;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
const LARGE: u64 = 1 << 7;
const EXECUTE_DISABLE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000F_FFFF_FFFF_F000;

/// The bits that choose a kind's entry of the PAT. What this map caches is
/// write-back, so [`Kind::WriteBack`] is the same as [`Kind::Normal`] here and is refused.
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
    if leaf.rights.contains(Rights::WRITE.union(Rights::EXECUTE)) {
        return None;
    }
    let Some(pat_index) = pat_index(leaf.kind) else { return None };
    let mut entry = leaf.host.get() | pat_index;
    entry |= DIRTY | ACCESSED | PRESENT;
    if !matches!(level, Level::Three) {
        entry |= LARGE;
    }
    if leaf.rights.contains(Rights::WRITE) {
        entry |= WRITE;
    }
    if !leaf.rights.contains(Rights::EXECUTE) {
        entry |= EXECUTE_DISABLE;
    }
    Some(entry)
}

impl Format for Long {
    type Input = HostVirt;
}

impl Encode for Long {
    fn shape(&self) -> Shape {
        let largest = if self.gigabyte { Level::One } else { Level::Two };
        Shape { input_bits: 48, output_bits: self.output_bits, start: Level::Zero, largest }
    }

    fn table(&self, next: HostPhys) -> u64 {
        next.get() | ACCESSED | WRITE | PRESENT
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
        rights.set(Rights::EXECUTE, entry & EXECUTE_DISABLE == 0);
        let kinds = [Kind::Normal, Kind::NonCacheable];
        let is = |kind: &Kind| pat_index(*kind) == Some(entry & (PCD | PWT));
        let kind = kinds.into_iter().find(is).unwrap_or(Kind::Device);
        Entry::Leaf(Leaf { host, rights, kind })
    }
}

const _: () = {
    let host = HostPhys::new(0x20_0000);
    let text = Leaf { host, rights: Rights::READ.union(Rights::EXECUTE), kind: Kind::Normal };
    assert!(matches!(encode(Level::Three, text), Some(0x20_0061)));
    let data = Leaf { host, rights: Rights::READ.union(Rights::WRITE), kind: Kind::Normal };
    assert!(matches!(encode(Level::Two, data), Some(0x8000_0000_0020_00E3)));
    let apic = Leaf { kind: Kind::Device, ..data };
    assert!(matches!(encode(Level::Three, apic), Some(0x8000_0000_0020_007B)));
    assert!(encode(Level::Three, Leaf { rights: Rights::all(), ..data }).is_none());
};
