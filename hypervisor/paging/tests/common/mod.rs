// SPDX-License-Identifier: MIT OR Apache-2.0
//! A store of tables for the tests. It refuses what the hardware would not
//! forgive: an index or address that was not allocated, and a valid entry that
//! replaces another one without being broken first.

use paging::{HostPhys, Level, OutOfTables, PAGE, Tables};

/// Where the first table lies.
const FIRST: u64 = 0x12_3400_0000;

/// 4 KiB, 2 MiB and 1 GiB.
pub(crate) const SMALL: u64 = Level::Three.size();
/// 2 MiB.
pub(crate) const MIDDLE: u64 = Level::Two.size();
/// 1 GiB.
pub(crate) const LARGE: u64 = Level::One.size();

/// Tables in a vector.
pub(crate) struct Store {
    pages: Vec<[u64; 512]>,
    limit: usize,
}

impl Store {
    /// A store of that many pages.
    pub(crate) fn new(limit: usize) -> Self {
        Self { pages: Vec::new(), limit }
    }

    /// Pages in use.
    #[allow(dead_code, reason = "not every test crate counts tables")]
    pub(crate) fn used(&self) -> usize {
        self.pages.len()
    }

    fn page(&self, table: HostPhys) -> usize {
        let offset = table.get().checked_sub(FIRST).expect("a table below the store");
        assert!(offset.is_multiple_of(PAGE), "{table} is no table");
        usize::try_from(offset / PAGE).unwrap()
    }
}

impl Tables for Store {
    fn allocate(&mut self, pages: usize) -> Result<HostPhys, OutOfTables> {
        let first = self.pages.len().next_multiple_of(pages);
        if first + pages > self.limit {
            return Err(OutOfTables);
        }
        self.pages.resize(first + pages, [0; 512]);
        Ok(HostPhys::new(FIRST + first as u64 * PAGE))
    }

    fn read(&self, table: HostPhys, index: usize) -> u64 {
        self.pages[self.page(table)][index]
    }

    fn write(&mut self, table: HostPhys, index: usize, entry: u64) {
        let page = self.page(table);
        let old = &mut self.pages[page][index];
        assert!(*old == 0 || entry == 0, "{old:#x} replaced by {entry:#x} without a break");
        *old = entry;
    }
}
