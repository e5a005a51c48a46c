// SPDX-License-Identifier: MIT OR Apache-2.0
//! Between the banks and the list registers of one vCPU.
//!
//! Most refreshes are short: rewrite the list register of an interrupt that
//! comes again, or fold what has become empty and place what is newly ready,
//! and leave the live ones alone. A private interrupt that is over may linger in
//! its empty list register, as resident, until another one needs it: it will
//! come again. Only when a resident interrupt changed or
//! something does not fit is everything chosen anew (`choose.rs`).
//! IHI 0069, "`ICH_LR<n>_EL2`", "ICH_HCR_EL2", "Maintenance interrupts".

use super::bank::{Bits, DIRTY, ORPHANS, bit};
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

/// A list register with a pending hardware interrupt, without its attributes.
#[inline(always)]
pub(super) const fn hardware_pending(intid: u32) -> u64 {
    PENDING | HARDWARE | (intid as u64) << 32 | intid as u64
}

/// Whether a list register is pending and not active.
#[inline(always)]
pub(super) const fn is_pending(value: u64) -> bool {
    value & (PENDING | ACTIVE) == PENDING
}

/// The pending and active state in a list register.
#[inline(always)]
pub(super) const fn state_of(value: u64) -> (bool, bool) {
    (value & PENDING != 0, value & ACTIVE != 0)
}

/// The INTID in a list register.
#[inline(always)]
pub(super) const fn intid_of(value: u64) -> u32 {
    (value & 0xffff_ffff) as u32
}

/// A one for each list register there is.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "at most 16")]
pub(super) fn all(lists: &impl ListRegisters) -> u32 {
    1u32.wrapping_shl(lists.count().clamp(1, 16) as u32).wrapping_sub(1)
}

impl Vgic {
    /// Brings the list registers of a vCPU up to date. Runs on its CPU: for a
    /// kick, for the maintenance interrupt, and before the vCPU first runs.
    #[inline(always)]
    pub fn refresh(&mut self, vcpu: usize, lists: &mut impl ListRegisters) -> Outcome {
        let v = vcpu & 7;
        if self.place_again(v, lists) {
            return Outcome::default();
        }
        self.refresh_slowly(v, lists)
    }

    /// The commonest refresh: one private interrupt is ready, software's own,
    /// it was the last one in its list register, which is empty again, and
    /// nothing about it has changed.
    #[inline(always)]
    fn place_again(&mut self, v: usize, lists: &mut impl ListRegisters) -> bool {
        let (bank, cpu) = (self.bank(v), self.cpu(v));
        let ready = bank.ready();
        if !ready.is_power_of_two() {
            return false;
        }
        let i = ready.trailing_zeros();
        let home = cpu.home(i);
        let last = cpu.slot(home);
        let same = (last ^ (PENDING | u64::from(i))) & !ATTRIBUTES == 0;
        let alone = cpu.special | cpu.shared | bank.hardware & ready == 0;
        if !same || !alone || lists.empty().wrapping_shr(home) & 1 == 0 {
            return false;
        }
        let bank = self.bank_mut(v);
        bank.latch &= !ready;
        bank.placed |= ready;
        lists.write(home as usize, last);
        true
    }

    #[inline(never)]
    pub(super) fn refresh_slowly(&mut self, v: usize, lists: &mut impl ListRegisters) -> Outcome {
        if self.cpu(v).special != 0 {
            return Outcome::of(self.arrange(v, lists) & !vcpu_bit(v));
        }
        let mut kick = 0;
        let ended = lists.ended() & all(lists);
        let empty = lists.empty() & all(lists) | ended;
        for n in Bits(self.cpu(v).used & empty) {
            if ended & bit(n) != 0 || !self.may_linger(v, n) {
                kick |= self.retire(v, n, lists);
            }
        }
        for n in Bits(ended) {
            lists.write(n as usize, 0);
        }
        if !self.place_ready(v, empty, lists) {
            kick |= self.arrange(v, lists);
        }
        Outcome::of(kick & !vcpu_bit(v))
    }

    /// Takes everything out of the list registers, because the vCPU goes off.
    /// The next [`Vgic::refresh`] puts back what is still due.
    pub fn park(&mut self, vcpu: usize, lists: &mut impl ListRegisters) -> Outcome {
        let v = vcpu & 7;
        let kick = self.fold(v, lists);
        lists.control(ICH_HCR_ENABLE);
        let cpu = self.cpu_mut(v);
        cpu.special = cpu.special & ORPHANS | DIRTY;
        cpu.shared = 0xff;
        Outcome::of(kick & !vcpu_bit(v))
    }

    /// Places all that is newly ready into empty list registers; false if that
    /// is not enough and all must be chosen anew.
    fn place_ready(&mut self, v: usize, mut empty: u32, lists: &mut impl ListRegisters) -> bool {
        if !self.place_ready_of(v, v, &mut empty, lists) {
            return false;
        }
        for w in Bits(self.cpu(v).shared) {
            if !self.place_ready_of(v, w as usize & 7 | 8, &mut empty, lists) {
                return false;
            }
        }
        self.cpu_mut(v).shared = 0;
        true
    }

    #[inline(always)]
    fn place_ready_of(
        &mut self,
        v: usize,
        b: usize,
        empty: &mut u32,
        lists: &mut impl ListRegisters,
    ) -> bool {
        let bank = self.bank(b);
        let ready = bank.ready();
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
            self.place_pending(v, first_intid(b) | i, empty, lists);
        }
        true
    }

    /// Of bank `b`: what `v` holds, and what is routed to it.
    #[inline(always)]
    pub(super) fn view(&self, v: usize, b: usize) -> (u32, u32) {
        let cpu = self.cpu(v);
        word(b).map_or((u32::MAX, u32::MAX), |w| (cpu.held(w), cpu.routed(w)))
    }

    /// Puts an interrupt, which is ready and idle, into one of the
    /// `empty` list registers, which are not none.
    pub(super) fn place_pending(
        &mut self,
        v: usize,
        intid: u32,
        empty: &mut u32,
        lists: &mut impl ListRegisters,
    ) {
        let here = bit(intid);
        let b = bank_index(v, intid);
        let bank = self.bank_mut(b);
        let level = bank.level & !bank.edge & here;
        let taken = bank.latch & here;
        bank.placed |= taken;
        bank.latch &= !taken;
        // A level line may stay high. The hardware bit does not go with a
        // notice, so then the physical interrupt is ended by hand.
        let extra = if bank.hardware & here != 0 && level == 0 {
            bank.hardware &= !here;
            HARDWARE
        } else if (bank.hardware | !bank.edge) & here != 0 {
            END_NOTICE
        } else {
            0
        };
        self.give(v, intid, empty, PENDING | extra, lists);
    }

    /// The same for an active interrupt.
    pub(super) fn place_active(
        &mut self,
        v: usize,
        intid: u32,
        empty: &mut u32,
        lists: &mut impl ListRegisters,
    ) {
        let here = bit(intid);
        let b = bank_index(v, intid);
        let routed = self.view(v, b).1;
        let bank = self.bank_mut(b);
        let behind = bank.pending() & here != 0;
        let again = bank.latch & bank.open & routed & here;
        bank.placed |= again;
        bank.latch &= !again;
        // What is pending behind it needs a notice at its end, and "ICH_LR<n>_EL2",
        // State, has no hardware interrupt that is both pending and active.
        let mut value = ACTIVE | if again != 0 { PENDING } else { 0 };
        if bank.hardware & here != 0 && !behind {
            bank.hardware &= !here;
            value |= HARDWARE;
        } else if bank.pending() & here != 0 || (bank.hardware | !bank.edge) & here != 0 {
            value |= END_NOTICE;
        }
        self.give(v, intid, empty, value, lists);
    }

    /// Fills an empty list register: where this interrupt was last, if that is empty.
    #[inline(always)]
    fn give(
        &mut self,
        v: usize,
        intid: u32,
        empty: &mut u32,
        state: u64,
        lists: &mut impl ListRegisters,
    ) {
        let b = bank_index(v, intid);
        let bank = self.bank_mut(b);
        bank.resident |= bit(intid);
        let group = u64::from(bank.group.wrapping_shr(intid) & 1) << 60;
        let physical = if state & HARDWARE != 0 { u64::from(intid) << 32 } else { 0 };
        let value =
            state | group | physical | u64::from(bank.priority(intid)) << 48 | u64::from(intid);
        let cpu = self.cpu_mut(v);
        if let Some(w) = word(b) {
            cpu.hold(w, bit(intid));
        }
        let home = cpu.home(intid);
        let unused = *empty & !cpu.used;
        let n = if *empty & bit(home) != 0 {
            home
        } else {
            (if unused != 0 { unused } else { *empty }).trailing_zeros() & 15
        };
        *empty &= !bit(n);
        if cpu.used & bit(n) != 0 {
            // A private interrupt that lingered: nobody else waits for it.
            let _ = self.retire(v, n, lists);
        }
        let cpu = self.cpu_mut(v);
        cpu.set_home(intid, n);
        cpu.set_slot(n, value);
        lists.write(n as usize, value);
    }

    /// Whether list register `n`, which is empty, may keep what it held until
    /// another interrupt needs it: a private interrupt that is over, so that it
    /// finds its list register as it left it when it comes again.
    #[inline(always)]
    fn may_linger(&self, v: usize, n: u32) -> bool {
        let intid = intid_of(self.cpu(v).slot(n));
        let bank = self.bank(v);
        intid < 32 && (bank.ready() | bank.hardware) & bit(intid) == 0
    }

    /// Folds list register `n`, which is empty, and nothing was changed meanwhile.
    #[inline(always)]
    fn retire(&mut self, v: usize, n: u32, lists: &mut impl ListRegisters) -> u32 {
        let cpu = self.cpu_mut(v);
        let intid = intid_of(cpu.slot(n));
        cpu.clear_slot(n);
        let b = bank_index(v, intid);
        let here = bit(intid);
        let bank = self.bank_mut(b);
        bank.active &= !here;
        bank.placed &= !here;
        bank.resident &= !here;
        if bank.hardware & !bank.latch & here != 0 {
            bank.hardware &= !here;
            lists.deactivate(intid);
        }
        self.release(v, b, here)
    }

    /// Folds list register `n`, whose value is now `value`, back into its bank.
    fn unload(&mut self, v: usize, n: u32, value: u64, lists: &mut impl ListRegisters) -> u32 {
        let cpu = self.cpu_mut(v);
        let given = cpu.slot(n);
        cpu.clear_slot(n);
        let intid = intid_of(given);
        let b = bank_index(v, intid);
        let here = bit(intid);
        let (pending, active) = state_of(value);
        let bank = self.bank_mut(b);
        if pending {
            bank.latch |= bank.placed & here;
        }
        let now_active = if active { here & !bank.deactivate } else { 0 } | bank.activate & here;
        bank.active = bank.active & !here | now_active;
        bank.placed &= !here;
        bank.activate &= !here;
        bank.deactivate &= !here;
        bank.resident &= !here;
        if given & HARDWARE != 0 && (pending || active) {
            bank.hardware |= here;
        }
        let orphan = bank.orphans() & here;
        bank.hardware &= !orphan;
        if orphan != 0 {
            lists.deactivate(intid);
        }
        if now_active != 0 { 0 } else { self.release(v, b, here) }
    }

    /// Interrupts `ended` of bank `b` are neither resident nor active any
    /// more: vCPU `v` holds them no longer, and whoever they are routed to may
    /// have them next.
    #[inline(always)]
    pub(super) fn release(&mut self, v: usize, b: usize, ended: u32) -> u32 {
        let Some(w) = word(b) else { return 0 };
        self.cpu_mut(v).drop_held(w, ended);
        let ready = self.bank(b).ready() & ended;
        self.announce(b, ready)
    }

    /// Folds all list registers of a vCPU and leaves them empty, so that no
    /// interrupt is ever in two of them.
    pub(super) fn fold(&mut self, v: usize, lists: &mut impl ListRegisters) -> u32 {
        let mut kick = self.end_unlisted(v, lists);
        for n in Bits(self.cpu(v).used) {
            let value = lists.read(n as usize);
            lists.write(n as usize, 0);
            kick |= self.unload(v, n, value, lists);
        }
        kick
    }
}
