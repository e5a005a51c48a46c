// SPDX-License-Identifier: MIT OR Apache-2.0
//! A partition's second translation: built once at boot from its placement,
//! never changed afterwards.

use super::features::Features;
use super::map::with_tables;
use super::state::Controls;
use paging::{Error, GuestPhys, HostPhys, Kind, Mapping, Rights, Space};

/// The second translation of one partition.
#[derive(Debug)]
pub struct Stage2 {
    space: Space<paging::stage2::Stage2>,
    vmid: u8,
}

/// What a range of a partition's addresses is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// RAM.
    Ram,
    /// Read-only flash.
    Flash,
    /// Shared memory of a channel.
    Channel,
    /// Registers of its own device.
    Device,
}

impl Stage2 {
    /// An empty translation for partition number `index`.
    ///
    /// # Errors
    /// When there are no pages left.
    pub fn new(index: usize) -> Result<Self, Error> {
        let features = super::features::features();
        let format = paging::stage2::Stage2::new(features.pa_range, features.forced_write_back);
        let space = with_tables(|tables| Space::new(format, tables))?;
        // VMID 0 is nobody's; abi's rules allow at most 255 partitions.
        let vmid = u8::try_from(index + 1).unwrap_or(u8::MAX);
        Ok(Self { space, vmid })
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
        purpose: Purpose,
    ) -> Result<(), Error> {
        let (rights, kind) = match purpose {
            Purpose::Ram => (Rights::all(), Kind::Normal),
            Purpose::Flash => (Rights::READ | Rights::EXECUTE, Kind::Normal),
            Purpose::Channel => (Rights::READ | Rights::WRITE, self.space.format().shared()),
            Purpose::Device => (Rights::READ | Rights::WRITE, Kind::Device),
        };
        with_tables(|tables| {
            self.space.map(tables, Mapping { input: guest, host, len, rights, kind })
        })
    }

    /// There are no ports on this architecture.
    ///
    /// # Errors
    /// None.
    pub fn grant_ports(&mut self, _first: u32, _count: u32) -> Result<(), Error> {
        Ok(())
    }

    /// The registers that govern vCPU `index` of this partition.
    #[must_use]
    pub fn controls(&self, index: usize, trap_idle: bool) -> Controls {
        let features: Features = super::features::features();
        Controls {
            traps: super::state::traps(&features, trap_idle).bits(),
            stage2: self.space.format().vttbr(self.space.root(), self.vmid),
            stage2_format: self.space.format().vtcr(),
            identity: super::calls::name_of_vcpu(index),
        }
    }
}
