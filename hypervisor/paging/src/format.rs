// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a format must say about itself: its shape and how its entries are
//! encoded. The walker knows nothing else about an architecture.
//!
//! Every format here has tables of 512 entries of eight bytes and leaves of
//! 4 KiB, 2 MiB and (mostly) 1 GiB. Levels are counted as Arm does, from the
//! root down; the x86 manuals count the other way:
//!
//! ```text
//!   level   one entry   input bits   x86 name
//!   Zero    512 GiB     47..39       PML4E
//!   One       1 GiB     38..30       PDPTE
//!   Two       2 MiB     29..21       PDE
//!   Three     4 KiB     20..12       PTE
//! ```

use crate::{Address, HostPhys};
use core::fmt;

bitflags::bitflags! {
    /// What may be done with a mapped address. A mapping is always readable.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Rights: u8 {
        /// Loads.
        const READ = 1;
        /// Stores.
        const WRITE = 2;
        /// Instruction fetches.
        const EXECUTE = 4;
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (right, letter) in [(Self::READ, "r"), (Self::WRITE, "w"), (Self::EXECUTE, "x")] {
            f.write_str(if self.contains(right) { letter } else { "-" })?;
        }
        Ok(())
    }
}

/// What kind of memory it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Cacheable; a guest may still choose something weaker in its own tables.
    Normal,
    /// Never cached, so that observers with caches on and off agree.
    NonCacheable,
    /// Cached write-back whatever the guest's own tables say.
    WriteBack,
    /// Registers: neither cached, gathered nor reordered, and never executed.
    Device,
}

/// A level of the walk, from the root down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Entries of 512 GiB.
    Zero,
    /// Entries of 1 GiB.
    One,
    /// Entries of 2 MiB.
    Two,
    /// Entries of 4 KiB.
    Three,
}

impl Level {
    /// Number of input bits below this level's index.
    #[must_use]
    pub const fn shift(self) -> u32 {
        match self {
            Self::Zero => 39,
            Self::One => 30,
            Self::Two => 21,
            Self::Three => 12,
        }
    }

    /// Bytes that one entry of this level translates.
    #[must_use]
    pub const fn size(self) -> u64 {
        1u64.wrapping_shl(self.shift())
    }

    /// The next level down.
    #[must_use]
    pub const fn below(self) -> Option<Self> {
        match self {
            Self::Zero => Some(Self::One),
            Self::One => Some(Self::Two),
            Self::Two => Some(Self::Three),
            Self::Three => None,
        }
    }
}

/// The measures of a format on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Input addresses have this many bits, at most 48.
    pub input_bits: u32,
    /// Host addresses have this many bits, at most 52.
    pub output_bits: u32,
    /// The level of the root.
    pub start: Level,
    /// The level of the largest leaf.
    pub largest: Level,
}

impl Shape {
    /// Pages in the root: more than one where root tables are concatenated.
    #[must_use]
    pub const fn root_pages(&self) -> usize {
        let one_table = self.start.shift().saturating_add(9);
        1usize.wrapping_shl(self.input_bits.saturating_sub(one_table))
    }
}

/// What a valid last entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Host address of its first byte.
    pub host: HostPhys,
    /// What may be done.
    pub rights: Rights,
    /// What kind of memory it is.
    pub kind: Kind,
}

/// An entry, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Nothing is mapped. Its encoding is zero in every format.
    Empty,
    /// The walk goes on in this table.
    Table(HostPhys),
    /// The walk ends.
    Leaf(Leaf),
}

/// How entries are encoded. The walker asks only for leaves at levels between
/// the shape's largest and [`Level::Three`], with aligned addresses in range.
pub trait Encode {
    /// The measures.
    fn shape(&self) -> Shape;
    /// The entry that points to a table.
    fn table(&self, next: HostPhys) -> u64;
    /// The entry that ends the walk at `level`; none if rights and kind cannot
    /// be expressed, which must not depend on level or address.
    fn leaf(&self, level: Level, leaf: Leaf) -> Option<u64>;
    /// What an entry of `level` says.
    fn decode(&self, level: Level, entry: u64) -> Entry;
}

/// A format: an encoding and the space it translates from.
pub trait Format: Encode {
    /// The space it translates from.
    type Input: Address;
}

/// Rights that no format can or should express: without read, or executing
/// from device registers.
#[must_use]
pub(crate) fn sensible(leaf: &Leaf) -> bool {
    leaf.rights.contains(Rights::READ)
        && !(leaf.kind == Kind::Device && leaf.rights.contains(Rights::EXECUTE))
}

const _: () = assert!(Level::One.size() == 1 << 30 && Level::Three.size() == crate::PAGE);
const _: () = {
    // Two concatenated tables of 512 GiB each make 40 bits.
    let shape = Shape { input_bits: 40, output_bits: 48, start: Level::One, largest: Level::One };
    assert!(shape.root_pages() == 2);
};
