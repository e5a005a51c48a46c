// SPDX-License-Identifier: MIT OR Apache-2.0
//! A partition's second translation in the format of no machine
//! (`paging::fake`), which tests can ask where an address leads.

use super::machine::Machine;
use super::std::collections::BTreeMap;
use alloc::vec::Vec;
use paging::fake::Fake;
use paging::{Error, Found, GuestPhys, HostPhys, Kind, Mapping, OutOfTables, PAGE, Rights};
use paging::{Space, Tables};

/// Where the first table lies.
const FIRST_TABLE: u64 = 0x2a_0000_0000;

/// The second translation of one partition.
#[derive(Debug)]
pub struct Stage2 {
    space: Space<Fake>,
    partition: usize,
}

/// What a range of a partition's addresses is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage2Purpose {
    /// RAM.
    Ram,
    /// Read-only flash.
    Flash,
    /// Shared memory of a channel.
    Channel,
    /// Registers of its own device.
    Device,
}

/// What governs a vCPU: whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Controls {
    /// Number of the partition.
    pub partition: usize,
}

impl Stage2 {
    /// An empty translation for partition number `index`.
    ///
    /// # Errors
    /// When there are no pages left.
    pub fn new(index: usize) -> Result<Self, Error> {
        let space = Machine::current().with(|state| Space::new(Fake, &mut state.tables))?;
        Ok(Self { space, partition: index })
    }

    /// Maps a range of the partition's addresses.
    ///
    /// # Errors
    /// As the walker says.
    pub fn map(
        &mut self,
        guest: GuestPhys,
        host: HostPhys,
        len: u64,
        purpose: Stage2Purpose,
    ) -> Result<(), Error> {
        let (rights, kind) = match purpose {
            Stage2Purpose::Ram => (Rights::all(), Kind::Normal),
            Stage2Purpose::Flash => (Rights::READ | Rights::EXECUTE, Kind::Normal),
            Stage2Purpose::Channel => (Rights::READ | Rights::WRITE, Kind::NonCacheable),
            Stage2Purpose::Device => (Rights::READ | Rights::WRITE, Kind::Device),
        };
        let mapping = Mapping { input: guest, host, len, rights, kind };
        Machine::current().with(|state| self.space.map(&mut state.tables, mapping))
    }

    /// There are no ports on this architecture.
    ///
    /// # Errors
    /// None.
    pub fn grant_ports(&mut self, _first: u32, _count: u32) -> Result<(), Error> {
        Ok(())
    }

    /// What governs a vCPU of this partition.
    #[must_use]
    pub fn controls(&self, _index: usize, _trap_idle: bool) -> Controls {
        Controls { partition: self.partition }
    }

    /// Where a guest address leads.
    #[must_use]
    pub fn find(&self, guest: GuestPhys) -> Option<Found> {
        Machine::current().with(|state| self.space.find(&state.tables, guest))
    }
}

/// The machine's tables. Writing to a page that was not allocated is a bug of
/// the walker, and changes nothing that anybody reads.
#[derive(Debug, Default)]
pub(super) struct Store(BTreeMap<u64, Vec<u64>>);

impl Store {
    /// Bytes in use.
    pub(super) fn used(&self) -> u64 {
        self.0.len() as u64 * PAGE
    }
}

impl Tables for Store {
    fn allocate(&mut self, pages: usize) -> Result<HostPhys, OutOfTables> {
        let first = self.0.len().next_multiple_of(pages);
        for page in self.0.len()..first + pages {
            self.0.insert(FIRST_TABLE + page as u64 * PAGE, alloc::vec![0; 512]);
        }
        Ok(HostPhys::new(FIRST_TABLE + first as u64 * PAGE))
    }

    fn read(&self, table: HostPhys, index: usize) -> u64 {
        self.0.get(&table.get()).and_then(|page| page.get(index)).copied().unwrap_or(0)
    }

    fn write(&mut self, table: HostPhys, index: usize, entry: u64) {
        if let Some(slot) = self.0.get_mut(&table.get()).and_then(|page| page.get_mut(index)) {
            *slot = entry;
        }
    }
}
