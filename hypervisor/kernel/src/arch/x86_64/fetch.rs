// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest's linear addresses: where they lead through its own tables, and the
//! bytes there. The tables are the guest's, so nothing in them is believed: an
//! address outside the partition's RAM leads nowhere.
//!
//! Intel SDM, volume 3: "Paging". Rights are not looked at: the CPU did, for
//! the instruction that exited.

use super::memory::{self, Reader};
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

    /// A table's entry, if it leads on.
    #[inline(always)]
    fn entry(&self, reader: &mut Reader, table: u64, index: u64) -> Option<u64> {
        let entry = reader.word(self.host((table & ADDRESS) + index * 8, 8)?);
        (entry & PRESENT != 0).then_some(entry)
    }

    /// The guest-physical address of a linear one.
    pub(super) fn translate(&self, linear: u64) -> Option<GuestPhys> {
        self.walk(&mut Reader::new(), linear).map(GuestPhys::new)
    }

    /// The same, with a reader at hand.
    #[inline]
    fn walk(&self, reader: &mut Reader, linear: u64) -> Option<u64> {
        if self.cr0 & CR0_PG == 0 {
            return Some(linear & 0xffff_ffff);
        }
        if self.cr4 & CR4_PAE == 0 {
            return self.narrow(reader, linear & 0xffff_ffff);
        }
        let mut table = self.cr3;
        let mut shift = 39;
        if self.efer & EFER_LMA == 0 {
            // The page-directory-pointer table has four entries and any multiple of 32 as address.
            let at = (self.cr3 & 0xffff_ffe0) + (linear >> 30 & 3) * 8;
            table = reader.word(self.host(at, 8)?);
            if table & PRESENT == 0 {
                return None;
            }
            shift = 21;
        }
        loop {
            let entry = self.entry(reader, table, linear >> shift & 511)?;
            let last = shift == 12 || entry & LARGE != 0 && shift < 39;
            if last {
                let inside = (1 << shift) - 1;
                return Some(entry & ADDRESS & !inside | linear & inside);
            }
            table = entry;
            shift -= 9;
        }
    }

    /// The same with tables of 32-bit entries.
    #[inline(never)]
    fn narrow(&self, reader: &mut Reader, linear: u64) -> Option<u64> {
        let mut entry = |table: u64, index: u64| {
            let host = self.host((table & 0xffff_f000) + index * 4, 4)?;
            let entry = u64::from(u32::from_le_bytes(reader.read(host)));
            (entry & PRESENT != 0).then_some(entry)
        };
        let directory = entry(self.cr3, linear >> 22)?;
        if directory & LARGE != 0 && self.cr4 & CR4_PSE != 0 {
            // Bits 20:13 of the entry are bits 39:32 of the address.
            let high = (directory >> 13 & 0xff) << 32;
            return Some(high | directory & 0xffc0_0000 | linear & 0x3f_ffff);
        }
        let page = entry(directory, linear >> 12 & 0x3ff)?;
        Some(page & 0xffff_f000 | linear & 0xfff)
    }

    /// Bytes at a linear address, as many as there are up to 16; the rest is zero.
    pub(super) fn bytes(&self, linear: u64) -> Option<([u8; 16], usize)> {
        let mut reader = Reader::new();
        let here = 0x1000 - (linear & 0xfff) as usize;
        let first = self.walk(&mut reader, linear)?;
        if here >= 16 {
            let host = self.host(first, 16)?;
            let [low, high] = [0, 8].map(|n| reader.word(HostPhys::new(host.get() + n)));
            return Some(((u128::from(high) << 64 | u128::from(low)).to_le_bytes(), 16));
        }
        self.split_bytes(&mut reader, linear, first, here)
    }

    /// The same where only so many bytes are left in the first page.
    #[inline(never)]
    fn split_bytes(
        &self,
        reader: &mut Reader,
        linear: u64,
        first: u64,
        here: usize,
    ) -> Option<([u8; 16], usize)> {
        let mut bytes = [0; 16];
        let mut len = self.copy(reader, first, bytes.get_mut(..here)?)?;
        let second = self.walk(reader, linear.wrapping_add(here as u64));
        if let (Some(second), Some(rest)) = (second, bytes.get_mut(here..)) {
            len += self.copy(reader, second, rest).unwrap_or(0);
        }
        Some((bytes, len))
    }

    /// Copies bytes of one page.
    fn copy(&self, reader: &mut Reader, guest: u64, to: &mut [u8]) -> Option<usize> {
        for (offset, byte) in to.iter_mut().enumerate() {
            [*byte] = reader.read(self.host(guest + offset as u64, 1)?);
        }
        Some(to.len())
    }

    /// Reads up to eight bytes of data, which may cross pages.
    pub(super) fn load(&self, linear: u64, len: u64) -> Option<u64> {
        let mut reader = Reader::new();
        let mut value = 0;
        for place in (0..len).rev() {
            let guest = self.walk(&mut reader, linear.wrapping_add(place))?;
            let [byte] = reader.read(self.host(guest, 1)?);
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
