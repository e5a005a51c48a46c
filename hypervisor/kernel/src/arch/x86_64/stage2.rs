// SPDX-License-Identifier: MIT OR Apache-2.0
//! A partition's second translation: built once at boot from its placement,
//! never changed afterwards. It is an EPT or an NPT, as the CPU is.

use super::features::{self, Maker};
use super::map::{ones, pages, phys, with_tables};
use super::state::Controls;
use super::vmx;
use crate::partition::Memory;
use abi::platform::pc::LOCAL_APIC;
use paging::ept::Ept;
use paging::npt::Npt;
use paging::{Error, GuestPhys, HostPhys, Kind, Mapping, PAGE, Rights, Space};
use spin::Once;

/// The tables, in the maker's format.
#[derive(Debug)]
enum Nested {
    /// And the same with the local APIC's page, where the CPU virtualizes it.
    Ept(Space<Ept>, Option<Space<Ept>>),
    Npt(Space<Npt>),
}

/// The second translation of one partition.
#[derive(Debug)]
pub struct Stage2 {
    nested: Nested,
    tag: u32,
    ram: Memory,
    /// What is mapped as the local APIC's page: the CPU redirects accesses, so nobody reaches it.
    apic_page: u64,
    /// The bitmap of ports that exit, which a partition without ports of its own shares.
    ports: *mut u64,
    owns_ports: bool,
}

// SAFETY: the bitmap is written at boot, by `grant_ports`, and only read afterwards.
unsafe impl Send for Stage2 {}
// SAFETY: as above.
unsafe impl Sync for Stage2 {}

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
    /// The local APIC's page.
    LocalApic,
}

impl Stage2 {
    /// An empty translation for partition number `index`.
    ///
    /// # Errors
    /// When there are no pages left.
    pub fn new(index: usize) -> Result<Self, Error> {
        let features = features::features();
        let virtualizes_apic = features::maker() == Some(Maker::Intel) && vmx::virtualizes_apic();
        let apic_page = match virtualizes_apic {
            true => phys(pages(1).ok_or(Error::OutOfTables)? as u64),
            false => 0,
        };
        let nested = with_tables(|tables| match features::maker() {
            Some(Maker::Intel) => {
                let format = Ept::new(features.physical_bits, vmx::gigabyte_pages());
                let with_apic = virtualizes_apic.then(|| Space::new(format, tables)).transpose()?;
                Ok(Nested::Ept(Space::new(format, tables)?, with_apic))
            }
            _ => {
                let format = Npt::new(features.physical_bits, features.gigabyte_pages);
                Space::new(format, tables).map(Nested::Npt)
            }
        })?;
        let nothing = Memory { guest: GuestPhys::new(0), host: HostPhys::new(0), size: 0 };
        // Tag 0 is the hypervisor's own.
        let tag = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let mut new =
            Self { nested, tag, ram: nothing, apic_page, ports: all_ports()?, owns_ports: false };
        if virtualizes_apic {
            let (guest, host) = (GuestPhys::new(LOCAL_APIC), HostPhys::new(apic_page));
            new.map(guest, host, PAGE, Purpose::LocalApic)?;
        }
        Ok(new)
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
            // Caches are coherent, whatever types both sides use.
            Purpose::Channel => (Rights::READ | Rights::WRITE, Kind::Normal),
            Purpose::Device => (Rights::READ | Rights::WRITE, Kind::Device),
            Purpose::LocalApic => (Rights::READ | Rights::WRITE, Kind::Normal),
        };
        if purpose == Purpose::Ram {
            self.ram = Memory { guest, host, size: len };
        }
        let mapping = Mapping { input: guest, host, len, rights, kind };
        with_tables(|tables| match &mut self.nested {
            Nested::Ept(space, with_apic) => {
                if let Some(with_apic) = with_apic {
                    with_apic.map(tables, mapping)?;
                }
                if purpose == Purpose::LocalApic { Ok(()) } else { space.map(tables, mapping) }
            }
            Nested::Npt(space) => space.map(tables, mapping),
        })
    }

    /// Lets the partition reach so many ports from the first on by itself.
    ///
    /// # Errors
    /// When there are no pages left.
    pub fn grant_ports(&mut self, first: u32, count: u32) -> Result<(), Error> {
        if count > 0 && !self.owns_ports {
            self.ports = ones(PORT_PAGES).ok_or(Error::OutOfTables)?;
            self.owns_ports = true;
        }
        for port in (first..first.saturating_add(count)).take_while(|port| *port < 0x1_0000) {
            // SAFETY: bit 0xffff lies in the second of the pages, which are this partition's.
            unsafe { *self.ports.add(port as usize / 64) &= !(1 << (port % 64)) }
        }
        Ok(())
    }

    /// What governs a vCPU of this partition. A vCPU that waits always exits: a halted CPU
    /// that is interrupted would go on behind its HLT.
    #[must_use]
    pub fn controls(&self, _index: usize, _trap_idle: bool) -> Controls {
        let eptp = |space: &Space<Ept>| space.format().eptp(space.root());
        let (root, apic_root) = match &self.nested {
            Nested::Ept(space, with_apic) => (eptp(space), with_apic.as_ref().map_or(0, eptp)),
            Nested::Npt(space) => (space.root().get(), 0),
        };
        let (ports, apic_page) = (phys(self.ports as u64), self.apic_page);
        Controls { root, apic_root, apic_page, tag: self.tag, ram: self.ram, ports }
    }
}

/// Pages of a bitmap of ports: 65536 bits, and what AMD-V reads behind them.
const PORT_PAGES: usize = 3;

/// A bitmap that lets no port through.
fn all_ports() -> Result<*mut u64, Error> {
    static PORTS: Once<Option<usize>> = Once::new();
    let ports = PORTS.call_once(|| ones(PORT_PAGES).map(|ports| ports as usize));
    ports.map(|ports| ports as *mut u64).ok_or(Error::OutOfTables)
}
