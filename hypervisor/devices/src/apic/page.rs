// SPDX-License-Identifier: MIT OR Apache-2.0
//! The virtual-APIC page: the registers of a local APIC as a CPU with APIC
//! virtualization reads and writes them for its guest, without an exit.
//!
//! The CPU keeps the priorities, and what waits and is in service; software puts
//! there what the other registers read. Both use it in turn: the CPU while the
//! guest runs, software on the same CPU while it does not.
//! Intel SDM volume 3, "APIC Virtualization and Virtual Interrupts".

use super::LocalApic;
use super::registers::number;
use core::sync::atomic::{AtomicU32, Ordering};

/// A virtual-APIC page.
#[derive(Debug)]
#[repr(C, align(4096))]
pub struct Page([AtomicU32; 1024]);

impl Page {
    /// An empty page.
    #[must_use]
    pub const fn new() -> Self {
        Self([const { AtomicU32::new(0) }; 1024])
    }

    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "a register is sixteen bytes, and there are 256")]
    const fn word(&self, register: u32) -> &AtomicU32 {
        &self.0[((register & 0xff) << 2) as usize]
    }

    /// A register.
    #[inline]
    #[must_use]
    pub fn get(&self, register: u32) -> u32 {
        self.word(register).load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn set(&self, register: u32, value: u32) {
        self.word(register).store(value, Ordering::Relaxed);
    }

    /// Requests an interrupt. Whether it is triggered otherwise than before.
    #[inline(always)]
    fn request(&self, vector: u32, level: bool) -> bool {
        let (n, bit) = (vector >> 5 & 7, 1u32.wrapping_shl(vector));
        let (request, trigger) = (number::REQUEST | n, number::TRIGGER | n);
        self.set(request, self.get(request) | bit);
        let modes = self.get(trigger);
        let changed = (modes & bit != 0) != level;
        if changed {
            self.set(trigger, modes ^ bit);
        }
        changed
    }

    /// The vectors triggered by level, 64 at a time: their ends must exit.
    #[must_use]
    pub fn levels(&self, n: u32) -> u64 {
        let half = |n: u32| u64::from(self.get(number::TRIGGER | n & 7));
        half(n << 1 | 1) << 32 | half(n << 1)
    }

    /// The processor priority when the guest ran last.
    #[inline]
    #[must_use]
    pub fn priority(&self) -> u8 {
        (self.get(number::PRIORITY) & 0xff) as u8
    }
}

/// What was requested in a page that the CPU has not been told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handed {
    /// The highest vector, or zero.
    pub highest: u32,
    /// [`Page::levels`] is another.
    pub changed: bool,
}

impl Handed {
    pub(super) const NOTHING: Self = Self { highest: 0, changed: false };

    /// One interrupt more.
    #[inline(always)]
    pub(super) fn request(&mut self, page: &Page, vector: u32, level: bool) {
        if page.request(vector, level) {
            self.changed = true;
        }
        self.highest = self.highest.max(vector);
    }

    /// New interrupts of a word of 64 vectors; those in `level` are triggered by level.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the index is below four")]
    pub(super) fn merge(&mut self, page: &Page, word: usize, mut new: u64, level: u64) {
        while new != 0 {
            let bit = new.trailing_zeros();
            new &= new.wrapping_sub(1);
            self.request(page, (word as u32) << 6 | bit, level.wrapping_shr(bit) & 1 != 0);
        }
    }
}

impl Default for Page {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether an access to an MSR of x2APIC needs no exit, where the CPU virtualizes x2APIC mode,
/// registers and interrupt delivery: it reads the page, or does what is to be done.
#[must_use]
pub const fn needs_no_exit(msr: u32, write: bool) -> bool {
    let register = msr.wrapping_sub(super::X2APIC_FIRST);
    if write {
        return matches!(register, number::TASK_PRIORITY | number::END | number::SELF);
    }
    matches!(
        register,
        number::ID
            | number::VERSION
            | number::TASK_PRIORITY
            | number::PRIORITY
            | number::LOGICAL
            | number::SPURIOUS
            | number::IN_SERVICE..=number::ERRORS
            | number::VECTORS..=number::INITIAL
            | number::DIVIDE
    )
}

/// Whether the CPU writes the register by itself.
pub(super) const fn is_kept(register: u32) -> bool {
    matches!(
        register,
        number::TASK_PRIORITY | number::PRIORITY | number::IN_SERVICE..number::ERRORS
    )
}

impl LocalApic {
    /// From now on the CPU virtualizes this local APIC in a page of its own, if there is one.
    pub fn virtualize(&mut self, page: Option<&'static Page>) {
        self.page = page;
        self.clear_page();
    }

    /// Where the CPU virtualizes it, if it does.
    #[inline(always)]
    #[must_use]
    pub const fn page(&self) -> Option<&'static Page> {
        self.page
    }

    /// Tells what was requested in the page since it was last asked.
    #[inline(always)]
    pub const fn hand_over(&mut self) -> Handed {
        core::mem::replace(&mut self.handed, Handed::NOTHING)
    }

    /// The CPU has ended an interrupt of the page that was triggered by level; the guest's end of
    /// it is still to be carried out here.
    pub const fn ended(&mut self, vector: u8) {
        self.isr.set(vector);
        self.tmr.set(vector);
    }

    /// The page shows a register that was written.
    pub(super) fn show(&self, register: u32) {
        let Some(page) = self.page else { return };
        if register == number::SPURIOUS {
            // It masks local vectors.
            self.show_all();
        } else if !is_kept(register) {
            page.set(register, self.value(None, register, 0).unwrap_or(0));
        }
    }

    /// The page shows all registers but those that the CPU keeps.
    pub(super) fn show_all(&self) {
        let Some(page) = self.page else { return };
        for register in (0..0x40).filter(|register| !is_kept(*register)) {
            page.set(register, self.value(None, register, 0).unwrap_or(0));
        }
    }

    /// The page is as after power-up or INIT.
    #[inline(never)]
    pub(super) fn clear_page(&self) {
        let Some(page) = self.page else { return };
        page.0.iter().for_each(|word| word.store(0, Ordering::Relaxed));
        self.show_all();
    }
}

#[cfg(test)]
mod tests;
