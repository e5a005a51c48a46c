// SPDX-License-Identifier: MIT OR Apache-2.0
//! The walker, once for all formats.
//!
//! ```text
//!  root (2^n pages where concatenated)
//!  +-------+    table
//!  | entry | -> +-------+    table
//!  +-------+    | entry | -> +-------+
//!               +-------+    | leaf  | -> 4 KiB of host memory
//!               | leaf  | -> 2 MiB ------+
//!               +-------+
//! ```
//!
//! A [`Slot`] is one entry and where it stands. Each operation goes through its
//! range slot by slot, from the root each time: tables are few and boot is not
//! in a hurry. Whatever can fail (checks, allocation) comes before the first
//! write that changes a translation.

use crate::format::sensible;
use crate::space::Tables;
use crate::{Encode, Entry, Error, Found, HostPhys, Leaf, Level, Mapping, OutOfTables, PAGE};

/// Mask of one table's index.
const INDEX: u64 = 511;

/// A range of input addresses, not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u64,
    /// One past the last byte; input addresses have at most 48 bits.
    pub(crate) end: u64,
}

impl Span {
    pub(crate) fn len(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    fn covers(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    fn meets(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    fn hull(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// A write that waits for the invalidation of what it replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Write {
    pub(crate) table: HostPhys,
    pub(crate) index: usize,
    pub(crate) entry: u64,
}

/// One entry and where it stands.
struct Slot {
    table: HostPhys,
    index: usize,
    level: Level,
    /// What it translates.
    span: Span,
    entry: Entry,
}

/// A format and the root of its tables.
pub(crate) struct Walk<'a> {
    pub(crate) format: &'a dyn Encode,
    pub(crate) root: HostPhys,
}

impl Walk<'_> {
    pub(crate) fn map(&self, tables: &mut dyn Tables, new: Mapping<u64>) -> Result<(), Error> {
        let span = self.check_input(new.input, new.len)?;
        self.check_output(&new)?;
        let mut at = span.start;
        while at < span.end {
            let slot = self.last(tables, at);
            self.check_vacant(tables, &slot, span.end)?;
            at = slot.row(span.end).end;
        }
        // Tables first, leaves after: running out of tables maps nothing.
        self.fill(tables, span, &new, false)?;
        self.fill(tables, span, &new, true)
    }

    pub(crate) fn unmap(
        &self,
        tables: &mut dyn Tables,
        input: u64,
        len: u64,
    ) -> Result<(Span, [Option<Write>; 2]), Error> {
        let gone = self.check_input(input, len)?;
        let head = self.split(tables, gone.start, gone)?;
        let in_head = head.is_some_and(|(span, _)| gone.end <= span.end);
        let last_page = gone.end.saturating_sub(PAGE);
        let tail = if in_head { None } else { self.split(tables, last_page, gone)? };
        let mut at = gone.start;
        while at < gone.end {
            let slot = self.last(tables, at);
            if matches!(slot.entry, Entry::Leaf(_)) {
                tables.write(slot.table, slot.index, 0);
            }
            at = slot.span.end;
        }
        let hull = [head, tail].into_iter().flatten().fold(gone, |all, (span, _)| all.hull(span));
        Ok((hull, [head.map(|(_, write)| write), tail.map(|(_, write)| write)]))
    }

    pub(crate) fn find(&self, tables: &dyn Tables, input: u64) -> Option<Found> {
        if input.checked_shr(self.format.shape().input_bits)? != 0 {
            return None;
        }
        let slot = self.last(tables, input);
        let Entry::Leaf(leaf) = slot.entry else { return None };
        let host = leaf.host.checked_add(input.checked_sub(slot.span.start)?)?;
        Some(Found { host, rights: leaf.rights, kind: leaf.kind, size: slot.level.size() })
    }

    /// The range, if it is aligned, not empty and within the format's input.
    fn check_input(&self, input: u64, len: u64) -> Result<Span, Error> {
        let bits = self.format.shape().input_bits;
        let last = check_range(input, len)?;
        if last.checked_shr(bits) != Some(0) {
            return Err(Error::InputOutOfRange { last, bits });
        }
        Ok(Span { start: input, end: last.saturating_add(1) })
    }

    /// Whether host range, rights and kind can be expressed.
    fn check_output(&self, new: &Mapping<u64>) -> Result<(), Error> {
        let bits = self.format.shape().output_bits;
        let last = check_range(new.host.get(), new.len)?;
        if last.checked_shr(bits) != Some(0) {
            return Err(Error::HostOutOfRange { last, bits });
        }
        self.leaf(Level::Three, new.leaf(new.host)).map(|_| ())
    }

    fn leaf(&self, level: Level, leaf: Leaf) -> Result<u64, Error> {
        let refused = Error::Unsupported(leaf.rights, leaf.kind);
        if !sensible(&leaf) {
            return Err(refused);
        }
        self.format.leaf(level, leaf).ok_or(refused)
    }

    /// Goes through a vacant range in the largest steps. Makes the tables on the
    /// way and, if `leaves`, writes the leaves.
    fn fill(
        &self,
        tables: &mut dyn Tables,
        span: Span,
        new: &Mapping<u64>,
        leaves: bool,
    ) -> Result<(), Error> {
        let mut left = span;
        let mut host = new.host;
        while left.start < left.end {
            let slot = self.reach(tables, left.start, self.largest(left, host))?;
            let (row, size) = (slot.row(left.end), slot.level.size());
            for index in slot.index.. {
                if leaves {
                    let entry = self.leaf(slot.level, new.leaf(host))?;
                    tables.write(slot.table, index, entry);
                }
                left.start = left.start.saturating_add(size);
                // Only the step after the last address of all could wrap; it is not used.
                host = host.checked_add(size).unwrap_or_default();
                if left.start >= row.end {
                    break;
                }
            }
        }
        Ok(())
    }

    /// No slot of the row that begins with `slot` has a leaf.
    fn check_vacant(&self, tables: &dyn Tables, slot: &Slot, end: u64) -> Result<(), Error> {
        let (row, size) = (slot.row(end), slot.level.size());
        let mut input = row.start;
        for index in slot.index.. {
            if let Entry::Leaf(leaf) =
                self.format.decode(slot.level, tables.read(slot.table, index))
            {
                return Err(Error::Overlap { input, host: leaf.host, size });
            }
            input = input.saturating_add(size);
            if input >= row.end {
                break;
            }
        }
        Ok(())
    }

    /// The level of the largest leaf that fits at the beginning of `left`.
    fn largest(&self, left: Span, host: HostPhys) -> Level {
        let mut level = self.format.shape().largest;
        loop {
            let size = level.size();
            let fits =
                left.start.is_multiple_of(size) && host.is_aligned(size) && left.len() >= size;
            match level.below() {
                Some(below) if !fits => level = below,
                _ => return level,
            }
        }
    }

    /// The slot for `input` at `level`, making the tables above it; a deeper one
    /// if a table is there already.
    fn reach(
        &self,
        tables: &mut dyn Tables,
        input: u64,
        level: Level,
    ) -> Result<Slot, OutOfTables> {
        let mut slot = self.first(tables, input);
        loop {
            if slot.entry == Entry::Empty && slot.level < level {
                let next = tables.allocate(1)?;
                tables.write(slot.table, slot.index, self.format.table(next));
                slot.entry = Entry::Table(next);
            }
            match self.next(tables, &slot, input) {
                Some(next) => slot = next,
                None => return Ok(slot),
            }
        }
    }

    /// If a block holds `at` and reaches over an end of `gone`: the block's span
    /// and the write that puts a table in its place. The table has what stays.
    fn split(
        &self,
        tables: &mut dyn Tables,
        at: u64,
        gone: Span,
    ) -> Result<Option<(Span, Write)>, Error> {
        let slot = self.last(tables, at);
        let Entry::Leaf(leaf) = slot.entry else { return Ok(None) };
        let Some(below) = slot.level.below() else { return Ok(None) };
        if gone.covers(slot.span) {
            return Ok(None);
        }
        let table = self.without(tables, below, slot.span.start, leaf, gone)?;
        let write = Write { table: slot.table, index: slot.index, entry: self.format.table(table) };
        Ok(Some((slot.span, write)))
    }

    /// A new table of `level` that translates from `start` as `leaf` did, without
    /// `gone`.
    fn without(
        &self,
        tables: &mut dyn Tables,
        level: Level,
        start: u64,
        mut leaf: Leaf,
        gone: Span,
    ) -> Result<HostPhys, Error> {
        let table = tables.allocate(1)?;
        let size = level.size();
        let mut span = Span { start, end: start.saturating_add(size) };
        for index in 0..512 {
            if !gone.meets(span) {
                tables.write(table, index, self.leaf(level, leaf)?);
            } else if !gone.covers(span)
                && let Some(below) = level.below()
            {
                let next = self.without(tables, below, span.start, leaf, gone)?;
                tables.write(table, index, self.format.table(next));
            }
            span = Span { start: span.end, end: span.end.saturating_add(size) };
            leaf.host = leaf.host.checked_add(size).unwrap_or_default();
        }
        Ok(table)
    }

    /// The slot where the walk for `input` ends.
    fn last(&self, tables: &dyn Tables, input: u64) -> Slot {
        let mut slot = self.first(tables, input);
        while let Some(next) = self.next(tables, &slot, input) {
            slot = next;
        }
        slot
    }

    /// The slot for `input` in the root.
    fn first(&self, tables: &dyn Tables, input: u64) -> Slot {
        let level = self.format.shape().start;
        // Concatenated root tables are one array: its page is chosen by the bits above the index.
        let page = input.wrapping_shr(level.shift()) & !INDEX;
        let table = self.root.checked_add(page.saturating_mul(8)).unwrap_or(self.root);
        self.slot(tables, table, level, input)
    }

    /// The slot for `input` one level further down, if there is a table.
    fn next(&self, tables: &dyn Tables, slot: &Slot, input: u64) -> Option<Slot> {
        let Entry::Table(table) = slot.entry else { return None };
        Some(self.slot(tables, table, slot.level.below()?, input))
    }

    fn slot(&self, tables: &dyn Tables, table: HostPhys, level: Level, input: u64) -> Slot {
        let index = (input.wrapping_shr(level.shift()) & INDEX) as usize;
        let start = input & !level.size().wrapping_sub(1);
        let span = Span { start, end: start.saturating_add(level.size()) };
        let entry = self.format.decode(level, tables.read(table, index));
        Slot { table, index, level, span, entry }
    }
}

impl Slot {
    /// What this slot and its neighbours before `end` translate: pages stand side
    /// by side in one table, so a range of them is walked to once. Larger slots
    /// are rows of their own.
    fn row(&self, end: u64) -> Span {
        let Span { start, end: own } = self.span;
        if self.level != Level::Three {
            return self.span;
        }
        let table = (start | Level::Two.size().wrapping_sub(1)).saturating_add(1);
        Span { start, end: table.min(end).max(own) }
    }
}

impl Mapping<u64> {
    fn leaf(&self, host: HostPhys) -> Leaf {
        Leaf { host, rights: self.rights, kind: self.kind }
    }
}

/// The last byte of a range of whole pages.
fn check_range(start: u64, len: u64) -> Result<u64, Error> {
    if len == 0 {
        return Err(Error::Empty);
    }
    for value in [start, len] {
        if !value.is_multiple_of(PAGE) {
            return Err(Error::Unaligned(value));
        }
    }
    start.checked_add(len.saturating_sub(1)).ok_or(Error::Wraps(start))
}
