// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest's linear addresses: where they lead through its own tables, and the
//! bytes there. The tables are the guest's, so nothing in them is believed: an
//! address outside the partition's RAM leads nowhere.
//!
//! Intel SDM, volume 3: "Paging". Rights are not looked at: the CPU did, for
//! the instruction that exited.

use super::memory;
use super::state::{CR0_PG, CR4_PAE, CR4_PSE, EFER_LMA};
use crate::partition::Memory;
use paging::{GuestPhys, HostPhys};

/// How a guest translates.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    pub cr0: u64,
    pub cr3: u64,
    pub cr4: u64,
    pub efer: u64,
    pub ram: Memory,
}

const PRESENT: u64 = 1;
const LARGE: u64 = 1 << 7;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

impl View {
    /// The machine's address of `len` bytes of the partition's RAM.
    #[inline(always)]
    fn host(&self, guest: u64, len: u64) -> Option<HostPhys> {
        let offset = guest.checked_sub(self.ram.guest.get())?;
        let inside = offset < self.ram.size && self.ram.size - offset >= len;
        inside.then(|| HostPhys::new(self.ram.host.get() + offset))
    }

    #[inline(always)]
    fn entry(&self, table: u64, index: u64) -> Option<u64> {
        let host = self.host((table & ADDRESS) + index * 8, 8)?;
        let entry = u64::from_le_bytes(memory::read(host));
        (entry & PRESENT != 0).then_some(entry)
    }

    /// The guest-physical address of a linear one.
    #[inline]
    pub(super) fn translate(&self, linear: u64) -> Option<GuestPhys> {
        if self.cr0 & CR0_PG == 0 {
            return Some(GuestPhys::new(linear & 0xffff_ffff));
        }
        if self.cr4 & CR4_PAE == 0 {
            return self.narrow(linear & 0xffff_ffff);
        }
        let mut table = self.cr3;
        let mut shift = 39;
        if self.efer & EFER_LMA == 0 {
            // The page-directory-pointer table has four entries and any multiple of 32 as address.
            let at = (self.cr3 & 0xffff_ffe0) + (linear >> 30 & 3) * 8;
            table = u64::from_le_bytes(memory::read(self.host(at, 8)?));
            if table & PRESENT == 0 {
                return None;
            }
            shift = 21;
        }
        loop {
            let entry = self.entry(table, linear >> shift & 511)?;
            let last = shift == 12 || entry & LARGE != 0 && shift < 39;
            if last {
                let inside = (1 << shift) - 1;
                let address = entry & ADDRESS & !inside | linear & inside;
                return Some(GuestPhys::new(address));
            }
            table = entry;
            shift -= 9;
        }
    }

    /// The same with tables of 32-bit entries.
    fn narrow(&self, linear: u64) -> Option<GuestPhys> {
        let entry = |table: u64, index: u64| {
            let host = self.host((table & 0xffff_f000) + index * 4, 4)?;
            let entry = u64::from(u32::from_le_bytes(memory::read(host)));
            (entry & PRESENT != 0).then_some(entry)
        };
        let directory = entry(self.cr3, linear >> 22)?;
        if directory & LARGE != 0 && self.cr4 & CR4_PSE != 0 {
            // Bits 20:13 of the entry are bits 39:32 of the address.
            let high = (directory >> 13 & 0xff) << 32;
            return Some(GuestPhys::new(high | directory & 0xffc0_0000 | linear & 0x3f_ffff));
        }
        let page = entry(directory, linear >> 12 & 0x3ff)?;
        Some(GuestPhys::new(page & 0xffff_f000 | linear & 0xfff))
    }

    /// Bytes at a linear address, as many as there are up to 16; the rest is zero.
    #[inline]
    pub(super) fn bytes(&self, linear: u64) -> Option<([u8; 16], usize)> {
        let here = 0x1000 - (linear & 0xfff) as usize;
        let first = self.translate(linear)?.get();
        if here >= 16 {
            return Some((memory::read(self.host(first, 16)?), 16));
        }
        let mut bytes = [0; 16];
        let mut len = self.copy(first, bytes.get_mut(..here)?)?;
        let next = linear.wrapping_add(here as u64);
        let second = self.translate(next).map(GuestPhys::get);
        if let (Some(second), Some(rest)) = (second, bytes.get_mut(here..)) {
            len += self.copy(second, rest).unwrap_or(0);
        }
        Some((bytes, len))
    }

    /// Copies bytes of one page.
    fn copy(&self, guest: u64, to: &mut [u8]) -> Option<usize> {
        for (offset, byte) in to.iter_mut().enumerate() {
            [*byte] = memory::read(self.host(guest + offset as u64, 1)?);
        }
        Some(to.len())
    }

    /// Reads up to eight bytes of data, which may cross pages.
    pub(super) fn load(&self, linear: u64, len: u64) -> Option<u64> {
        let mut value = 0;
        for place in (0..len).rev() {
            let guest = self.translate(linear.wrapping_add(place))?.get();
            let [byte] = memory::read(self.host(guest, 1)?);
            value = value << 8 | u64::from(byte);
        }
        Some(value)
    }

    /// Writes up to eight bytes of data.
    pub(super) fn store(&self, linear: u64, len: u64, value: u64) -> Option<()> {
        for (place, byte) in (0..len).zip(value.to_le_bytes()) {
            let guest = self.translate(linear.wrapping_add(place))?.get();
            memory::write(self.host(guest, 1)?, &[byte]);
        }
        Some(())
    }
}
