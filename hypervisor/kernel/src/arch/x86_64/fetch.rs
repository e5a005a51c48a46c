// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest's linear addresses: where they lead through its own tables, and the
//! bytes there. The tables are the guest's, so nothing in them is believed: an
//! address outside the partition's RAM leads nowhere.
//!
//! Intel SDM, volume 3: "Paging". Rights are not looked at: the CPU did, for
//! the instruction that exited.

use super::map::{WINDOW_SIZE, Window, WindowPlace};
use super::memory::{self, Reader};
use super::state::{CR0_PG, CR4_PAE, CR4_PSE, EFER_LMA};
use crate::partition::Memory;
use core::arch::asm;
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

/// What the guest has where an instruction begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Code {
    /// The first bytes, the very first lowest; behind [`Code::len`] they are zero.
    pub words: [u64; 2],
    /// How many could be read: 1 to 16.
    pub len: usize,
}

impl Code {
    /// The bytes, as many as an instruction may have and could be read.
    pub(super) fn bytes(&self) -> ([u8; 16], usize) {
        let [low, high] = self.words.map(u128::from);
        ((high << 64 | low).to_le_bytes(), self.len.min(15))
    }
}

/// The partition's RAM through the CPU's window, a part at a time: what is in the part that was
/// looked at last is found by one comparison.
struct Sight {
    ram: Memory,
    window: Window,
    /// Where the part begins for the guest, how long it is, and where the window shows it.
    from: u64,
    len: u64,
    at: *const u8,
}

impl Sight {
    /// For a vCPU's CPU, which uses its window for nothing else until this is dropped.
    #[inline(always)]
    fn new(ram: Memory, window: WindowPlace) -> Self {
        let window = Window::at(window);
        Self { ram, window, from: 0, len: 0, at: core::ptr::null() }
    }

    /// Reads eight bytes of a page, at once if they are aligned; none outside the RAM.
    #[inline(always)]
    fn read(&mut self, guest: u64) -> Option<u64> {
        let mut offset = guest.wrapping_sub(self.from);
        if offset >= self.len {
            // RAM is whole pages, and so is each part.
            let inside = guest.wrapping_sub(self.ram.guest.get());
            if inside >= self.ram.size {
                return None;
            }
            let host = self.ram.host.get().wrapping_add(inside);
            offset = (host & (WINDOW_SIZE - 1)).min(inside);
            self.from = guest.wrapping_sub(offset);
            let skipped = host.wrapping_sub(offset) & (WINDOW_SIZE - 1);
            self.len = (self.ram.size - inside + offset).min(WINDOW_SIZE - skipped);
            self.at = self.window.on(host).wrapping_add(skipped as usize);
        }
        let value: u64;
        // SAFETY: the window shows the part, whose pages are whole, so the bytes; x86 reads them
        // wherever they begin, and any value suits them.
        unsafe {
            asm!("mov {}, [{} + {}]", out(reg) value, in(reg) self.at, in(reg) offset,
                options(readonly, nostack, preserves_flags));
        }
        Some(value)
    }
}

impl View {
    /// The machine's address of the partition's RAM here. RAM is whole pages, so it holds too for
    /// all behind it in its page.
    #[inline(always)]
    fn host(&self, guest: u64) -> Option<u64> {
        let offset = guest.wrapping_sub(self.ram.guest.get());
        (offset < self.ram.size).then(|| self.ram.host.get().wrapping_add(offset))
    }

    /// The guest-physical address of a linear one.
    pub(super) fn translate(&self, linear: u64) -> Option<GuestPhys> {
        self.find(&mut Reader::new(), linear).map(GuestPhys::new)
    }

    /// The same, with a reader at hand.
    #[inline(never)]
    fn find(&self, reader: &mut Reader, linear: u64) -> Option<u64> {
        self.walk(reader, linear)
    }

    /// The same, where each instruction counts.
    #[inline(always)]
    fn walk(&self, reader: &mut Reader, linear: u64) -> Option<u64> {
        if self.cr0 & CR0_PG == 0 {
            return Some(linear & 0xffff_ffff);
        }
        if self.efer & EFER_LMA == 0 {
            return self.walk_legacy(reader, linear & 0xffff_ffff);
        }
        self.descend(reader, self.cr3, 39, linear)
    }

    /// Goes down tables of 64-bit entries, from one whose entries are for `1 << shift` bytes.
    #[inline(always)]
    fn descend(
        &self,
        reader: &mut Reader,
        mut table: u64,
        mut shift: u32,
        linear: u64,
    ) -> Option<u64> {
        loop {
            let entry = reader.entry(self.host(table & ADDRESS | linear >> (shift - 3) & 0xff8)?);
            if entry & PRESENT == 0 {
                return None;
            }
            if shift == 12 || entry & LARGE != 0 {
                let inside = (1 << shift) - 1;
                return Some(entry & ADDRESS & !inside | linear & inside);
            }
            table = entry;
            shift -= 9;
        }
    }

    /// Outside long mode: three levels, or two.
    #[inline(never)]
    fn walk_legacy(&self, reader: &mut Reader, linear: u64) -> Option<u64> {
        if self.cr4 & CR4_PAE == 0 {
            return self.narrow(reader, linear);
        }
        // The page-directory-pointer table has four entries and any multiple of 32 as address.
        let table = reader.entry(self.host((self.cr3 & 0xffff_ffe0) + (linear >> 30) * 8)?);
        if table & PRESENT == 0 {
            return None;
        }
        self.descend(reader, table, 21, linear)
    }

    /// The same with tables of 32-bit entries.
    fn narrow(&self, reader: &mut Reader, linear: u64) -> Option<u64> {
        let mut entry = |table: u64, index: u64| {
            let host = self.host((table & 0xffff_f000) + index * 4)?;
            let entry = u64::from(u32::from_le_bytes(reader.read(HostPhys::new(host))));
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

    /// The eight bytes at a linear address, in long mode and of one page; else zero.
    #[inline(always)]
    pub(super) fn word(&self, window: WindowPlace, linear: u64) -> u64 {
        if linear & 0xfff > 0xff8 { 0 } else { self.descend_to_word(window, linear).unwrap_or(0) }
    }

    /// The same way as [`View::descend`], where each instruction counts.
    #[inline(always)]
    fn descend_to_word(&self, window: WindowPlace, linear: u64) -> Option<u64> {
        let mut sight = Sight::new(self.ram, window);
        // Bits below those that choose an entry, which is eight bytes.
        let (mut entry, mut shift) = (self.cr3, 36_u32);
        loop {
            entry = sight.read(entry & ADDRESS | linear >> shift & 0xff8)?;
            if entry & (PRESENT | LARGE) != PRESENT || shift == 9 {
                break;
            }
            shift -= 9;
        }
        if entry & PRESENT == 0 {
            return None;
        }
        let inside = (8 << shift) - 1;
        sight.read(entry & ADDRESS & !inside | linear & inside)
    }

    /// What is at a linear address.
    #[inline(always)]
    pub(super) fn code(&self, linear: u64) -> Option<Code> {
        let mut reader = Reader::new();
        let first = self.walk(&mut reader, linear)?;
        if linear & 0xfff > 0xff0 {
            return self.split_code(&mut reader, linear, first);
        }
        let host = self.host(first)?;
        Some(Code { words: [reader.word(host), reader.word(host + 8)], len: 16 })
    }

    /// The same where fewer than sixteen bytes are left in the first page.
    #[inline(never)]
    fn split_code(&self, reader: &mut Reader, linear: u64, first: u64) -> Option<Code> {
        let here = 0x1000 - (linear & 0xfff) as usize;
        let mut bytes = [0; 16];
        let mut len = self.copy(reader, first, bytes.get_mut(..here)?)?;
        let second = self.find(reader, linear.wrapping_add(here as u64));
        if let (Some(second), Some(rest)) = (second, bytes.get_mut(here..)) {
            len += self.copy(reader, second, rest).unwrap_or(0);
        }
        let all = u128::from_le_bytes(bytes);
        Some(Code { words: [all as u64, (all >> 64) as u64], len })
    }

    /// Copies bytes of one page.
    fn copy(&self, reader: &mut Reader, guest: u64, to: &mut [u8]) -> Option<usize> {
        for (offset, byte) in to.iter_mut().enumerate() {
            [*byte] = reader.read(HostPhys::new(self.host(guest + offset as u64)?));
        }
        Some(to.len())
    }

    /// Reads up to eight bytes of data, which may cross pages.
    pub(super) fn load(&self, linear: u64, len: u64) -> Option<u64> {
        let mut reader = Reader::new();
        let mut value = 0;
        for place in (0..len).rev() {
            let guest = self.find(&mut reader, linear.wrapping_add(place))?;
            let [byte] = reader.read(HostPhys::new(self.host(guest)?));
            value = value << 8 | u64::from(byte);
        }
        Some(value)
    }

    /// Writes up to eight bytes of data.
    pub(super) fn store(&self, linear: u64, len: u64, value: u64) -> Option<()> {
        for (place, byte) in (0..len).zip(value.to_le_bytes()) {
            let guest = self.translate(linear.wrapping_add(place))?.get();
            memory::write(HostPhys::new(self.host(guest)?), &[byte]);
        }
        Some(())
    }
}
