// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which interrupts get the list registers when not all can.
//!
//! Active ones come first, since their end is known exactly only in a list
//! register; but if anything is ready, one list register is pending, so that
//! the maintenance interrupt for "no pending" comes when that one is
//! acknowledged and never at once. Active ones without a list register end by
//! count (EOImode 0: in order of priority) or by a trap (EOImode 1).
//! Choosing goes by priority level with a histogram, so its time is bounded by
//! the number of interrupts, however hostile their state is.
//! IHI 0069, "ICH_HCR_EL2", "Maintenance interrupts", "Priority drop and
//! interrupt deactivation".

use super::bank::{Bank, Bits, DIRTY, ORPHANS, bit};
use super::lists::all;
use super::{ICH_HCR_ENABLE, ListRegisters, Vgic, first_intid};

/// `LRENPIE`: a maintenance interrupt when EOIcount is not zero.
const COUNT_NOTICE: u32 = 1 << 2;
/// `NPIE`: a maintenance interrupt when no list register is pending.
const NO_PENDING_NOTICE: u32 = 1 << 3;
/// `TDIR`: `ICC_DIR_EL1` traps.
const TRAP_DIR: u32 = 1 << 14;

/// Interrupts that a vCPU can see: its private ones, then the shared ones.
struct Set {
    words: [u32; 9],
    /// Words that are not zero, one bit each.
    filled: u32,
    /// Interrupts in it.
    count: u32,
}

/// The bank behind word `k` of a [`Set`] of vCPU `v`.
#[inline]
const fn bank_of(v: usize, k: u32) -> usize {
    if k == 0 { v & 7 } else { k.wrapping_add(7) as usize & 15 }
}

impl Set {
    const EMPTY: Self = Self { words: [0; 9], filled: 0, count: 0 };

    fn word(&self, k: u32) -> u32 {
        self.words.get(k as usize).copied().unwrap_or(0)
    }

    fn set_word(&mut self, k: u32, members: u32) {
        if let Some(word) = self.words.get_mut(k as usize) {
            *word = members;
        }
        if members == 0 { self.filled &= !bit(k) } else { self.filled |= bit(k) }
    }
}

impl Vgic {
    /// Folds everything, chooses what the list registers shall hold, and fills them.
    #[inline(never)]
    pub(super) fn arrange(&mut self, v: usize, lists: &mut impl ListRegisters) -> u32 {
        let counted = lists.eoi_count() != 0;
        let kick = self.fold(v, lists);
        if self.cpu(v).special & ORPHANS != 0 {
            self.end_orphans(v, lists);
        }
        let (mut active, mut ready) = (Set::EMPTY, Set::EMPTY);
        self.gather(v, &mut active, self.cpu(v).holding, |bank, mine, _| bank.active & mine);
        self.gather(v, &mut ready, self.cpu(v).shared, |bank, _, routed| {
            bank.ready() & routed & !(bank.active | bank.resident)
        });
        let mut empty = all(lists);
        let room = empty.count_ones();
        let for_ready = ready.count.min(room.saturating_sub(active.count).max(1));
        let for_active = active.count.min(room.saturating_sub(for_ready));
        let unlisted = (ready.count.wrapping_sub(for_ready), active.count.wrapping_sub(for_active));
        self.cpu_mut(v).shared = if unlisted.0 == 0 { 0 } else { ready.filled >> 1 };
        self.narrow(v, &mut ready, for_ready);
        self.narrow(v, &mut active, for_active);
        for k in Bits(ready.filled) {
            for i in Bits(ready.word(k)) {
                self.place_pending(v, first_intid(bank_of(v, k)) | i, &mut empty, lists);
            }
        }
        for k in Bits(active.filled) {
            for i in Bits(active.word(k)) {
                self.place_active(v, first_intid(bank_of(v, k)) | i, &mut empty, lists);
            }
        }
        self.notice(v, unlisted, counted, lists);
        kick
    }

    /// Asks for the maintenance interrupts that `unlisted` ready and active interrupts need.
    fn notice(
        &mut self,
        v: usize,
        unlisted: (u32, u32),
        counted: bool,
        lists: &mut impl ListRegisters,
    ) {
        let mut control = 0;
        if unlisted.0 != 0 {
            control |= NO_PENDING_NOTICE;
        }
        if unlisted.1 != 0 {
            control |= COUNT_NOTICE | TRAP_DIR;
        }
        let before = core::mem::replace(&mut self.cpu_mut(v).special, control);
        if counted || before & !(DIRTY | ORPHANS) != control {
            lists.control(ICH_HCR_ENABLE | u64::from(control));
        }
    }

    /// The guest ended interrupts that were in no list register. They end in
    /// order of priority, so they were the highest active ones. A count from
    /// before anything was unlisted is about interrupts that never were.
    pub(super) fn end_unlisted(&mut self, v: usize, lists: &impl ListRegisters) -> u32 {
        if self.cpu(v).special & COUNT_NOTICE == 0 || lists.eoi_count() == 0 {
            return 0;
        }
        let mut ended = Set::EMPTY;
        self.gather(v, &mut ended, self.cpu(v).holding, |bank, mine, _| {
            bank.active & mine & !bank.resident
        });
        self.narrow(v, &mut ended, lists.eoi_count());
        let mut kick = 0;
        for k in Bits(ended.filled) {
            let b = bank_of(v, k);
            let bank = self.bank_mut(b);
            bank.active &= !ended.word(k);
            if bank.orphans() != 0 {
                self.cpu_mut(v).special |= ORPHANS;
            }
            kick |= self.release(v, b, ended.word(k));
        }
        kick
    }

    /// Deactivates the physical interrupts that nothing here needs any more.
    fn end_orphans(&mut self, v: usize, lists: &mut impl ListRegisters) {
        for k in 0..9 {
            let b = bank_of(v, k);
            let orphans = self.bank(b).orphans();
            self.bank_mut(b).hardware &= !orphans;
            for i in Bits(orphans) {
                lists.deactivate(first_intid(b) | i);
            }
        }
    }

    /// Gathers what `pick` names in the private bank and in the given words of
    /// shared interrupts, from what `v` holds and what is routed to it.
    #[inline]
    fn gather(&self, v: usize, set: &mut Set, words: u32, pick: impl Fn(&Bank, u32, u32) -> u32) {
        for k in Bits((words & 0xff) << 1 | 1) {
            let b = bank_of(v, k);
            let (mine, routed) = self.view(v, b);
            let members = pick(self.bank(b), mine, routed);
            if members != 0 {
                set.set_word(k, members);
                set.count = set.count.wrapping_add(members.count_ones());
            }
        }
    }

    /// Leaves the `wanted` members of highest priority; of equal ones those of lower INTID.
    #[inline]
    fn narrow(&self, v: usize, set: &mut Set, wanted: u32) {
        if set.count > wanted {
            self.keep_highest(v, set, wanted);
        }
    }

    #[inline(never)]
    #[expect(clippy::indexing_slicing, reason = "the index is masked to the array's length")]
    fn keep_highest(&self, v: usize, set: &mut Set, wanted: u32) {
        let mut levels = [0u32; 32];
        for k in Bits(set.filled) {
            for i in Bits(set.word(k)) {
                let level = &mut levels[self.level_of(v, k, i) & 31];
                *level = level.wrapping_add(1);
            }
        }
        // All above the level `cut` stay, and of that level as many as still fit.
        let (mut cut, mut left) = (0, wanted);
        for (level, &count) in levels.iter().enumerate() {
            cut = level;
            if count >= left {
                break;
            }
            left = left.wrapping_sub(count);
        }
        for k in Bits(set.filled) {
            let mut kept = 0;
            for i in Bits(set.word(k)) {
                let level = self.level_of(v, k, i);
                if level < cut {
                    kept |= bit(i);
                } else if level == cut && left != 0 {
                    kept |= bit(i);
                    left = left.wrapping_sub(1);
                }
            }
            set.set_word(k, kept);
        }
        set.count = wanted;
    }

    /// Priority of member `i` of word `k`, in units of what is implemented.
    #[inline]
    fn level_of(&self, v: usize, k: u32, i: u32) -> usize {
        usize::from(self.bank(bank_of(v, k)).priority(i) >> 3)
    }
}
