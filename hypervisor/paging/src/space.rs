// SPDX-License-Identifier: MIT OR Apache-2.0
//! An address space: a format and a root, with the operations that the kernel
//! calls.
//!
//! The order of writes and maintenance (Arm ARM DDI 0487, "TLB maintenance
//! requirements and the TLB maintenance instructions", break-before-make):
//!
//! ```text
//!   map     empty -> leaf       needs no invalidation, only a barrier (DSB; at stage 1 also
//!                               ISB) before the new translation is used
//!   unmap   leaf  -> empty      the caller invalidates `Broken::range`, then calls `make`
//!           block -> table      as above: empty first, the table is written by `make`
//! ```

use crate::walk::{Span, Walk, Write};
use crate::{Address, Error, Format, HostPhys, Kind, OutOfTables, Rights};
use core::marker::PhantomData;

/// The store of tables: pages of 512 entries by host address.
pub trait Tables {
    /// Contiguous zeroed pages, aligned to their size together. `pages` is 1 but
    /// for a root of concatenated tables, and a power of two.
    ///
    /// # Errors
    /// When the store is exhausted.
    fn allocate(&mut self, pages: usize) -> Result<HostPhys, OutOfTables>;
    /// The entry at `index`, below 512, of a page that `allocate` gave.
    fn read(&self, table: HostPhys, index: usize) -> u64;
    /// Writes it so that the hardware's walker sees it: one aligned 64-bit store,
    /// after all earlier ones, and the cache maintenance that the walker needs.
    fn write(&mut self, table: HostPhys, index: usize, entry: u64);
}

/// What to map. All numbers are multiples of 4 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping<A> {
    /// First input address.
    pub input: A,
    /// The host address it translates to.
    pub host: HostPhys,
    /// Bytes.
    pub len: u64,
    /// What may be done.
    pub rights: Rights,
    /// What kind of memory it is.
    pub kind: Kind,
}

/// What an input address translates to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The host address of exactly that input address.
    pub host: HostPhys,
    /// What may be done.
    pub rights: Rights,
    /// What kind of memory it is.
    pub kind: Kind,
    /// Size of the entry that says so: 4 KiB, 2 MiB or 1 GiB.
    pub size: u64,
}

/// Entries were emptied and the TLBs may still hold them. Invalidate
/// [`Broken::range`] on every CPU, wait for it, then call [`Broken::make`].
///
/// Where a block was split, all of it is untranslated until then, also the
/// parts that stay mapped: nothing may run in the space meanwhile that cannot
/// take a fault there.
#[must_use = "invalidate the range in the TLBs, then call make"]
#[derive(Debug)]
pub struct Broken<A> {
    span: Span,
    writes: [Option<Write>; 2],
    space: PhantomData<A>,
}

impl<A: Address> Broken<A> {
    /// First input address and length of what to invalidate, split blocks included.
    #[must_use]
    pub fn range(&self) -> (A, u64) {
        (A::new(self.span.start), self.span.len())
    }

    /// Whether a block was split, so that [`Broken::make`] has something to write.
    #[must_use]
    pub fn is_split(&self) -> bool {
        self.writes.iter().any(Option::is_some)
    }

    /// Writes the tables that replace split blocks. Call it after the
    /// invalidation.
    pub fn make(self, tables: &mut dyn Tables) {
        for write in self.writes.into_iter().flatten() {
            tables.write(write.table, write.index, write.entry);
        }
    }
}

/// An address space: a format and its root table.
#[derive(Debug)]
pub struct Space<F> {
    format: F,
    root: HostPhys,
}

impl<F: Format> Space<F> {
    /// An empty space.
    ///
    /// # Errors
    /// When the store has no pages for the root.
    pub fn new(format: F, tables: &mut dyn Tables) -> Result<Self, OutOfTables> {
        let root = tables.allocate(format.shape().root_pages())?;
        Ok(Self { format, root })
    }

    /// The root table, for the register that the hardware's walk starts from.
    #[must_use]
    pub fn root(&self) -> HostPhys {
        self.root
    }

    /// The format.
    #[must_use]
    pub fn format(&self) -> &F {
        &self.format
    }

    /// Maps a range that is not mapped, with the largest entries that the
    /// alignment of both addresses and the length allow. Tables that an earlier
    /// mapping needed are used again: entries there are no larger than theirs.
    ///
    /// # Errors
    /// As [`Error`] says; nothing is mapped then.
    pub fn map(
        &mut self,
        tables: &mut dyn Tables,
        mapping: Mapping<F::Input>,
    ) -> Result<(), Error> {
        let Mapping { input, host, len, rights, kind } = mapping;
        self.walk().map(tables, Mapping { input: input.get(), host, len, rights, kind })
    }

    /// Unmaps a range, splitting the blocks that reach over its ends. Parts of
    /// it that are not mapped are left alone.
    ///
    /// # Errors
    /// As [`Error`] says; nothing is unmapped then.
    pub fn unmap(
        &mut self,
        tables: &mut dyn Tables,
        input: F::Input,
        len: u64,
    ) -> Result<Broken<F::Input>, Error> {
        let (span, writes) = self.walk().unmap(tables, input.get(), len)?;
        Ok(Broken { span, writes, space: PhantomData })
    }

    /// What an input address translates to.
    #[must_use]
    pub fn find(&self, tables: &dyn Tables, input: F::Input) -> Option<Found> {
        self.walk().find(tables, input.get())
    }

    fn walk(&self) -> Walk<'_> {
        Walk { format: &self.format, root: self.root }
    }
}
