// SPDX-License-Identifier: MIT OR Apache-2.0
//! Between the banks and the list registers of one vCPU.
//!
//! Most refreshes are short: fold what has become empty, place what is newly
//! ready into empty list registers, and leave the live ones alone. Only when a
//! resident interrupt changed or something does not fit is everything folded
//! and chosen anew. Choosing goes by priority level with a histogram, so its
//! time is bounded by the number of interrupts however hostile their state is.
//! IHI 0069, "ICH_LR<n>_EL2", "ICH_HCR_EL2", "Maintenance interrupts".

use super::bank::{Bits, DIRTY, bit};
use super::{
    ICH_HCR_ENABLE, ListRegisters, Outcome, Vgic, bank_index, first_intid, vcpu_bit, word,
};

/// State: pending.
const PENDING: u64 = 1 << 62;
/// State: active.
const ACTIVE: u64 = 1 << 63;
/// The guest's deactivation goes on to the physical interrupt.
const HARDWARE: u64 = 1 << 61;
/// Group 1.
const GROUP: u64 = 1 << 60;
/// A maintenance interrupt at the end of this interrupt; only without [`HARDWARE`].
const END_NOTICE: u64 = 1 << 41;
/// Group and priority: what distinguishes two ways of placing the same interrupt.
pub(super) const ATTRIBUTES: u64 = GROUP | 0xff << 48;

/// `LRENPIE`: a maintenance interrupt when EOIcount is not zero.
const COUNT_NOTICE: u32 = 1 << 2;
/// `NPIE`: a maintenance interrupt when no list register is pending.
const NO_PENDING_NOTICE: u32 = 1 << 3;
/// `TDIR`: `ICC_DIR_EL1` traps.
const TRAP_DIR: u32 = 1 << 14;

/// One bit per interrupt that a vCPU can see: its private ones, then the shared ones.
type Set = [u32; 9];

/// A list register with a pending hardware interrupt, without its attributes.
#[inline]
pub(super) const fn hardware_pending(intid: u32) -> u64 {
    PENDING | HARDWARE | (intid as u64) << 32 | intid as u64
}

/// Whether a list register is pending and not active.
#[inline]
pub(super) const fn is_pending(value: u64) -> bool {
    value & (PENDING | ACTIVE) == PENDING
}

/// The pending and active state in a list register.
#[inline]
pub(super) const fn state_of(value: u64) -> (bool, bool) {
    (value & PENDING != 0, value & ACTIVE != 0)
}

/// The INTID in a list register.
#[inline]
pub(super) const fn intid_of(value: u64) -> u32 {
    (value & 0xffff_ffff) as u32
}

/// The bank behind word `k` of a [`Set`] of vCPU `v`.
#[inline]
const fn bank_of(v: usize, k: usize) -> usize {
    if k == 0 { v & 7 } else { k.wrapping_add(7) & 15 }
}

impl Vgic {
    /// Brings the list registers of a vCPU up to date. Runs on its CPU: for a
    /// kick, for the maintenance interrupt, and before the vCPU first runs.
    pub fn refresh(&mut self, vcpu: usize, lists: &mut impl ListRegisters) -> Outcome {
        let v = vcpu & 7;
        let ended = lists.ended() & all(lists);
        let empty = lists.empty() & all(lists) | ended;
        let mut kick = 0;
        for n in Bits(self.cpu(v).used & empty) {
            kick |= self.unload(v, n, 0, lists);
        }
        for n in Bits(ended) {
            lists.write(n as usize, 0);
        }
        let cpu = self.cpu(v);
        if cpu.special != 0 || !self.place_ready(v, empty, lists) {
            kick |= self.arrange(v, lists);
        }
        Outcome::kick(kick & !vcpu_bit(v))
    }

    /// Takes everything out of the list registers, because the vCPU goes off.
    /// The next [`Vgic::refresh`] puts back what is still due.
    pub fn park(&mut self, vcpu: usize, lists: &mut impl ListRegisters) -> Outcome {
        let v = vcpu & 7;
        let kick = self.fold(v, lists);
        lists.control(ICH_HCR_ENABLE);
        self.cpu_mut(v).special = DIRTY;
        Outcome::kick(kick & !vcpu_bit(v))
    }

    /// Places all that is newly ready into empty list registers; false if that
    /// is not enough and all must be chosen anew.
    fn place_ready(&mut self, v: usize, mut empty: u32, lists: &mut impl ListRegisters) -> bool {
        if !self.place_ready_of(v, v, &mut empty, lists) {
            return false;
        }
        let shared = core::mem::take(&mut self.cpu_mut(v).shared);
        for w in Bits(shared) {
            if !self.place_ready_of(v, w as usize & 7 | 8, &mut empty, lists) {
                return false;
            }
        }
        true
    }

    #[inline]
    fn place_ready_of(
        &mut self,
        v: usize,
        b: usize,
        empty: &mut u32,
        lists: &mut impl ListRegisters,
    ) -> bool {
        let bank = self.bank(b);
        let ready = bank.ready(self.groups);
        if ready == 0 {
            return true;
        }
        let (mine, routed) = self.view(v, b);
        // Resident or active, and pending again: its list register must be rewritten.
        if ready & bank.latch & mine & (bank.resident | bank.active) != 0 {
            return false;
        }
        for i in Bits(ready & routed & !(bank.resident | bank.active)) {
            if *empty == 0 {
                return false;
            }
            let n = self.place(v, b, i, *empty, lists);
            *empty &= !bit(n);
        }
        true
    }

    /// Of bank `b`: what `v` holds, and what is routed to it.
    #[inline]
    fn view(&self, v: usize, b: usize) -> (u32, u32) {
        let cpu = self.cpu(v);
        word(b).map_or((u32::MAX, u32::MAX), |w| (cpu.held(w), cpu.routed(w)))
    }

    /// Puts interrupt `i` of bank `b`, pending or active, into one of the
    /// `empty` list registers, which are not none, and tells which.
    fn place(
        &mut self,
        v: usize,
        b: usize,
        i: u32,
        empty: u32,
        lists: &mut impl ListRegisters,
    ) -> u32 {
        let intid = first_intid(b) | i & 31;
        let here = bit(i);
        let groups = self.groups;
        let routed = self.view(v, b).1;
        let bank = self.bank_mut(b);
        let mut value = u64::from(intid) | u64::from(bank.priority(i)) << 48;
        if bank.group & here != 0 {
            value |= GROUP;
        }
        let active = bank.active & here != 0;
        let takes = !active || bank.latch & bank.open(groups) & routed & here != 0;
        if active {
            value |= ACTIVE;
        }
        if takes {
            value |= PENDING;
            bank.placed |= bank.latch & here;
            bank.latch &= !here;
        }
        // Something stays pending behind this. The hardware bit does not go with
        // that, nor with both states ("ICH_LR<n>_EL2", HW, State): the end is
        // noticed here instead.
        let line = bank.level & !bank.edge;
        let left = (line | if active { bank.latch } else { 0 }) & here != 0;
        if bank.hardware & here != 0 && !left && !(active && takes) {
            value |= HARDWARE | u64::from(intid) << 32;
            bank.hardware &= !here;
        } else if left || (bank.hardware | !bank.edge) & here != 0 {
            value |= END_NOTICE;
        }
        bank.resident |= here;
        let cpu = self.cpu_mut(v);
        if let Some(w) = word(b) {
            *cpu.held_mut(w) |= here;
        }
        let home = cpu.home(intid);
        let n = if empty & bit(home) != 0 { home } else { empty.trailing_zeros() & 15 };
        cpu.set_home(intid, n);
        cpu.set_slot(n, value);
        lists.write(n as usize, value);
        n
    }

    /// Folds list register `n`, now in the given state, back into its bank.
    fn unload(&mut self, v: usize, n: u32, state: u64, lists: &mut impl ListRegisters) -> u32 {
        let given = self.cpu(v).slot(n);
        let intid = intid_of(given);
        let b = bank_index(v, intid);
        let here = bit(intid);
        let bank = self.bank_mut(b);
        if state & PENDING != 0 {
            bank.latch |= bank.placed & here;
        }
        let active = if state & ACTIVE != 0 { here } else { 0 };
        bank.active = bank.active & !here | active & !bank.deactivate | bank.activate & here;
        bank.placed &= !here;
        bank.activate &= !here;
        bank.deactivate &= !here;
        bank.resident &= !here;
        if given & HARDWARE != 0 && state & (PENDING | ACTIVE) != 0 {
            bank.hardware |= here;
        }
        let orphan = bank.orphans() & here;
        bank.hardware &= !orphan;
        let ended = here & !bank.active;
        self.cpu_mut(v).set_slot(n, 0);
        if orphan != 0 {
            lists.deactivate(intid);
        }
        self.release(v, b, ended)
    }

    /// Interrupts `ended` of bank `b` are neither resident nor active any
    /// more: vCPU `v` holds them no longer, and whoever they are routed to may
    /// have them next.
    #[inline]
    fn release(&mut self, v: usize, b: usize, ended: u32) -> u32 {
        let Some(w) = word(b) else { return 0 };
        *self.cpu_mut(v).held_mut(w) &= !ended;
        let ready = self.bank(b).ready(self.groups) & ended;
        self.announce(b, ready)
    }

    /// Folds all list registers of a vCPU, and the ends it counted. They are
    /// left empty, so that no interrupt is ever in two of them.
    fn fold(&mut self, v: usize, lists: &mut impl ListRegisters) -> u32 {
        // Counts from before anything was unlisted are about interrupts that never were.
        let counts = self.cpu(v).special & COUNT_NOTICE != 0;
        let mut kick = self.end_unlisted(v, if counts { lists.eoi_count() } else { 0 });
        for n in Bits(self.cpu(v).used) {
            let state = lists.read(n as usize);
            lists.write(n as usize, 0);
            kick |= self.unload(v, n, state, lists);
        }
        for k in 0..9 {
            let b = bank_of(v, k);
            let orphans = self.bank(b).orphans();
            self.bank_mut(b).hardware &= !orphans;
            for i in Bits(orphans) {
                lists.deactivate(first_intid(b) | i);
            }
        }
        kick
    }

    /// The guest ended `count` interrupts that were in no list register. They
    /// end in order of priority, so they were the highest active ones.
    fn end_unlisted(&mut self, v: usize, count: u32) -> u32 {
        if count == 0 {
            return 0;
        }
        let unlisted = self.set(v, |bank, mine, _| bank.active & mine & !bank.resident);
        let mut kick = 0;
        for (k, ended) in self.best(v, &unlisted, count).into_iter().enumerate() {
            let b = bank_of(v, k);
            self.bank_mut(b).active &= !ended;
            kick |= self.release(v, b, ended);
        }
        kick
    }

    /// Folds everything, chooses what the list registers shall hold, and fills them.
    #[inline(never)]
    fn arrange(&mut self, v: usize, lists: &mut impl ListRegisters) -> u32 {
        let counted = lists.eoi_count() != 0;
        let kick = self.fold(v, lists);
        let groups = self.groups;
        let active = self.set(v, |bank, mine, _| bank.active & mine);
        let ready = self
            .set(v, |bank, _, routed| bank.ready(groups) & routed & !(bank.active | bank.resident));
        let room = all(lists).count_ones();
        let (actives, readies) = (size(&active), size(&ready));
        // At least one pending list register if anything is ready; then active ones first.
        let for_ready = readies.min(room.saturating_sub(actives).max(1));
        let for_active = actives.min(room.saturating_sub(for_ready));
        let mut empty = all(lists);
        self.place_set(v, &self.best(v, &ready, for_ready), &mut empty, lists);
        self.place_set(v, &self.best(v, &active, for_active), &mut empty, lists);
        let mut control = 0;
        if for_ready < readies {
            control |= NO_PENDING_NOTICE;
        }
        if for_active < actives {
            control |= COUNT_NOTICE | TRAP_DIR;
        }
        let cpu = self.cpu_mut(v);
        cpu.shared = 0;
        let before = core::mem::replace(&mut cpu.special, control);
        if counted || before & !DIRTY != control {
            lists.control(ICH_HCR_ENABLE | u64::from(control));
        }
        kick
    }

    fn place_set(&mut self, v: usize, set: &Set, empty: &mut u32, lists: &mut impl ListRegisters) {
        for (k, &members) in set.iter().enumerate() {
            for i in Bits(members) {
                if *empty != 0 {
                    let n = self.place(v, bank_of(v, k), i, *empty, lists);
                    *empty &= !bit(n);
                }
            }
        }
    }

    /// The set that `pick` names in each bank, from what `v` holds and what is routed to it.
    fn set(&self, v: usize, pick: impl Fn(&super::Bank, u32, u32) -> u32) -> Set {
        core::array::from_fn(|k| {
            let b = bank_of(v, k);
            let (mine, routed) = self.view(v, b);
            pick(self.bank(b), mine, routed)
        })
    }

    /// The `wanted` members of highest priority; of equal ones those of lower INTID.
    #[expect(clippy::indexing_slicing, reason = "the index is masked to the array's length")]
    fn best(&self, v: usize, set: &Set, wanted: u32) -> Set {
        if size(set) <= wanted {
            return *set;
        }
        let mut levels = [0u32; 32];
        for (k, &members) in set.iter().enumerate() {
            for i in Bits(members) {
                let level = &mut levels[self.level_of(v, k, i) & 31];
                *level = level.wrapping_add(1);
            }
        }
        // All above the level `cut` go in, and of that level as many as still fit.
        let (mut cut, mut left) = (0, wanted);
        for (level, &count) in levels.iter().enumerate() {
            cut = level;
            if count >= left {
                break;
            }
            left = left.wrapping_sub(count);
        }
        let mut chosen = [0; 9];
        for (k, (out, &members)) in chosen.iter_mut().zip(set).enumerate() {
            for i in Bits(members) {
                let level = self.level_of(v, k, i);
                if level < cut {
                    *out |= bit(i);
                } else if level == cut && left != 0 {
                    *out |= bit(i);
                    left = left.wrapping_sub(1);
                }
            }
        }
        chosen
    }

    /// Priority of member `i` of word `k`, in units of what is implemented.
    #[inline]
    fn level_of(&self, v: usize, k: usize, i: u32) -> usize {
        usize::from(self.bank(bank_of(v, k)).priority(i) >> 3)
    }
}

/// A one for each list register there is.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "at most 16")]
fn all(lists: &impl ListRegisters) -> u32 {
    1u32.wrapping_shl(lists.count().clamp(1, 16) as u32).wrapping_sub(1)
}

fn size(set: &Set) -> u32 {
    set.iter().map(|word| word.count_ones()).fold(0, u32::wrapping_add)
}
