// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the registers of the distributor and the redistributors mean, 32
//! interrupts at a time, whichever frame they are reached through.
//! IHI 0069, "The Distributor register descriptions", "The Redistributor
//! register descriptions".

use super::bank::{Bits, DIRTY, Groups, ORPHANS, bit};
use super::{ListRegisters, Outcome, Reading, Vgic, lists, vcpu_bit, word};
use crate::Size;

/// `GICD_CTLR`: one security state, affinity routing.
const CTLR_FIXED: u64 = 1 << 6 | 1 << 4;
/// `EnableGrp0`.
const ENABLE_GROUP_0: u64 = 1 << 0;
/// `EnableGrp1`.
const ENABLE_GROUP_1: u64 = 1 << 1;
/// The affinity fields of `GICD_IROUTER<n>`; its 1-of-N bit is not implemented.
const AFFINITY: u64 = 0xff_00ff_ffff;
/// Bits of a priority that are implemented.
const PRIORITY_BITS: u8 = 0xf8;

/// Registers with one bit per interrupt; the discriminant is the offset in units of 0x80.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bitmap {
    Group,
    SetEnable,
    ClearEnable,
    SetPending,
    ClearPending,
    SetActive,
    ClearActive,
}

impl Bitmap {
    /// The register array at this offset of a frame, if it is one.
    #[inline(always)]
    pub(super) const fn at(offset: u64) -> Option<Self> {
        match offset >> 7 {
            1 => Some(Self::Group),
            2 => Some(Self::SetEnable),
            3 => Some(Self::ClearEnable),
            4 => Some(Self::SetPending),
            5 => Some(Self::ClearPending),
            6 => Some(Self::SetActive),
            7 => Some(Self::ClearActive),
            _ => None,
        }
    }
}

impl Vgic {
    /// `GICD_CTLR`.
    pub(super) fn control(&self) -> u64 {
        CTLR_FIXED | u64::from(self.groups.zero & 1) | u64::from(self.groups.one & 2)
    }

    pub(super) fn set_control(&mut self, value: u64) -> Outcome {
        let all_if = |on: bool| if on { u32::MAX } else { 0 };
        let groups = Groups {
            zero: all_if(value & ENABLE_GROUP_0 != 0),
            one: all_if(value & ENABLE_GROUP_1 != 0),
        };
        if groups == self.groups {
            return Outcome::default();
        }
        self.groups = groups;
        for bank in &mut self.banks {
            bank.reopen(groups);
        }
        Outcome::of(self.disturb_everyone())
    }

    #[inline]
    pub(super) fn read_bitmap(
        &mut self,
        vcpu: usize,
        b: usize,
        map: Bitmap,
        lists: &impl ListRegisters,
    ) -> Reading {
        match map {
            Bitmap::Group => Reading::of(self.bank(b).group.into()),
            Bitmap::SetEnable | Bitmap::ClearEnable => Reading::of(self.bank(b).enabled.into()),
            Bitmap::SetPending | Bitmap::ClearPending => {
                let (pending, _, kick) = self.states(vcpu, b, lists);
                Reading { value: pending.into(), kick }
            }
            Bitmap::SetActive | Bitmap::ClearActive => {
                let (_, active, kick) = self.states(vcpu, b, lists);
                Reading { value: active.into(), kick }
            }
        }
    }

    #[inline]
    pub(super) fn write_bitmap(
        &mut self,
        vcpu: usize,
        b: usize,
        map: Bitmap,
        value: u32,
    ) -> Outcome {
        let groups = self.groups;
        let bank = self.bank_mut(b);
        let kick = match map {
            Bitmap::Group => {
                let changed = bank.group ^ value;
                bank.group = value;
                bank.reopen(groups);
                self.changed(b, changed)
            }
            Bitmap::SetEnable => {
                let added = value & !bank.enabled;
                bank.enabled |= added;
                bank.reopen(groups);
                let ready = bank.ready() & added;
                self.announce(b, ready)
            }
            Bitmap::ClearEnable => {
                let removed = value & bank.enabled;
                bank.enabled &= !removed;
                bank.reopen(groups);
                self.disturb(b, removed)
            }
            Bitmap::SetPending => {
                bank.latch |= value;
                let ready = bank.ready() & value;
                self.announce(b, ready)
            }
            Bitmap::ClearPending => {
                bank.latch &= !value;
                bank.placed &= !value;
                self.disturb(b, value) | self.collect_orphans(vcpu, b)
            }
            Bitmap::SetActive => self.set_active(b, value),
            Bitmap::ClearActive => self.clear_active(vcpu, b, value),
        };
        Outcome::of(kick)
    }

    /// Pending and active interrupts of bank `b`. What lies in the reader's own
    /// list registers is exact; for what lies in others', the last state known
    /// is given and their vCPUs are named.
    #[inline(never)]
    fn states(&mut self, vcpu: usize, b: usize, lists: &impl ListRegisters) -> (u32, u32, u32) {
        let v = vcpu & 7;
        let bank = self.bank(b);
        let mine = bank.resident
            & word(b).map_or(if b == v { u32::MAX } else { 0 }, |w| self.cpu(v).held(w));
        let theirs = bank.resident & !mine;
        let mut pending = bank.pending() | bank.placed & theirs;
        let mut active = bank.active & !mine;
        for n in Bits(if mine == 0 { 0 } else { self.cpu(v).used }) {
            let intid = lists::intid_of(self.cpu(v).slot(n));
            if super::bank_index(v, intid) == b {
                let (is_pending, is_active) = lists::state_of(lists.read(n as usize));
                pending |= if is_pending { bit(intid) } else { 0 };
                active |= if is_active { bit(intid) } else { 0 };
            }
        }
        (pending, active, self.disturb(b, theirs))
    }

    /// Group, priority or trigger of these interrupts changed.
    fn changed(&mut self, b: usize, mask: u32) -> u32 {
        let ready = self.bank(b).ready() & mask;
        self.announce(b, ready) | self.disturb(b, mask)
    }

    fn set_active(&mut self, b: usize, mask: u32) -> u32 {
        let bank = self.bank_mut(b);
        let idle = mask & !bank.active & !bank.resident;
        bank.active |= mask;
        bank.activate |= mask & bank.resident;
        bank.deactivate &= !mask;
        let kick = self.disturb(b, mask);
        if idle == 0 {
            return kick;
        }
        let Some(w) = word(b) else {
            self.cpu_mut(b).special |= DIRTY;
            return kick | vcpu_bit(b);
        };
        // Nobody acknowledged it: whoever it is routed to shall end it.
        let mut taken = 0;
        for v in Bits(self.everyone.into()) {
            let cpu = self.cpu_mut(v as usize);
            let here = cpu.routed(w) & idle;
            if here != 0 {
                cpu.hold(w, here);
                cpu.special |= DIRTY;
                taken |= bit(v);
            }
        }
        kick | taken
    }

    /// A write to ICACTIVER, or a deactivation by `ICC_DIR_EL1`.
    pub(super) fn clear_active(&mut self, vcpu: usize, b: usize, mask: u32) -> u32 {
        let bank = self.bank_mut(b);
        let ended = mask & bank.active & !bank.resident;
        bank.active &= !mask;
        bank.deactivate |= mask & bank.resident;
        bank.activate &= !mask;
        let ready = bank.ready() & ended;
        if let (Some(w), true) = (word(b), ended != 0) {
            for v in Bits(self.everyone.into()) {
                self.cpu_mut(v as usize).drop_held(w, ended);
            }
        }
        self.announce(b, ready) | self.disturb(b, mask) | self.collect_orphans(vcpu, b)
    }

    /// Physical interrupts that nothing needs any more are deactivated by a
    /// refresh: a private one's on its own CPU, a shared one's on any.
    fn collect_orphans(&mut self, vcpu: usize, b: usize) -> u32 {
        if self.bank(b).orphans() == 0 {
            return 0;
        }
        let v = if word(b).is_some() { vcpu & 7 } else { b };
        self.cpu_mut(v).special |= ORPHANS;
        vcpu_bit(v)
    }

    /// Every vCPU must fold and choose anew.
    fn disturb_everyone(&mut self) -> u32 {
        for v in Bits(self.everyone.into()) {
            let cpu = self.cpu_mut(v as usize);
            cpu.special |= DIRTY;
            cpu.shared = 0xff;
        }
        self.everyone.into()
    }

    /// `IPRIORITYR`: one byte, or four from a multiple of four on.
    pub(super) fn read_priority(&self, b: usize, first: u32, size: Size) -> u64 {
        let byte = |n: u32| u64::from(self.bank(b).priority(first | n));
        match size {
            Size::Byte => byte(0),
            Size::Word => byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24,
            Size::Half | Size::Double => 0,
        }
    }

    pub(super) fn write_priority(
        &mut self,
        b: usize,
        first: u32,
        size: Size,
        value: u64,
    ) -> Outcome {
        let lanes = match size {
            Size::Byte => 1,
            Size::Word => 4,
            Size::Half | Size::Double => 0,
        };
        let bank = self.bank_mut(b);
        let mut changed = 0;
        for (n, byte) in (0..lanes).zip(value.to_le_bytes()) {
            let i = first | n;
            let priority = byte & PRIORITY_BITS;
            if bank.priority(i) != priority {
                bank.set_priority(i, priority);
                changed |= bit(i);
            }
        }
        Outcome::of(self.changed(b, changed))
    }

    /// `ICFGR`: two bits for each of 16 interrupts, the upper one says edge.
    pub(super) fn read_config(&self, b: usize, upper: bool) -> u64 {
        let edge = self.bank(b).edge;
        u64::from(spread(if upper { edge >> 16 } else { edge }))
    }

    pub(super) fn write_config(&mut self, b: usize, upper: bool, value: u32) -> Outcome {
        let bank = self.bank_mut(b);
        let edge = if upper {
            gather(value) << 16 | bank.edge & 0xffff
        } else {
            gather(value) | bank.edge & 0xffff_0000
        };
        let changed = bank.edge ^ edge;
        bank.edge = edge;
        Outcome::of(self.changed(b, changed))
    }

    /// `GICD_IROUTER<intid>`.
    pub(super) fn read_route(&self, intid: u32) -> u64 {
        self.routes.get(route_index(intid)).copied().unwrap_or(0)
    }

    /// Sets the bits of `GICD_IROUTER<intid>` that `mask` names.
    pub(super) fn write_route(&mut self, intid: u32, mask: u64, value: u64) -> Outcome {
        let Some(b) = self.locate(0, intid) else { return Outcome::default() };
        let (Some(route), Some(w)) = (self.routes.get_mut(route_index(intid)), word(b)) else {
            return Outcome::default();
        };
        let old = *route;
        let new = (old & !mask | value & mask) & AFFINITY;
        *route = new;
        if old == new {
            return Outcome::default();
        }
        for v in Bits(self.everyone.into()) {
            let routed = self.cpu_mut(v as usize).routed_mut(w);
            *routed &= !bit(intid);
            *routed |= if u64::from(v) == new { bit(intid) } else { 0 };
        }
        Outcome { kick: self.changed(b, bit(intid)), rerouted: intid }
    }
}

#[inline]
const fn route_index(intid: u32) -> usize {
    intid.wrapping_sub(32) as usize
}

/// Bits 0 to 15 to the odd bits.
const fn spread(bits: u32) -> u32 {
    let mut x = bits & 0xffff;
    x = (x | x << 8) & 0x00ff_00ff;
    x = (x | x << 4) & 0x0f0f_0f0f;
    x = (x | x << 2) & 0x3333_3333;
    x = (x | x << 1) & 0x5555_5555;
    x << 1
}

/// The odd bits to bits 0 to 15.
const fn gather(bits: u32) -> u32 {
    let mut x = bits >> 1 & 0x5555_5555;
    x = (x | x >> 1) & 0x3333_3333;
    x = (x | x >> 2) & 0x0f0f_0f0f;
    x = (x | x >> 4) & 0x00ff_00ff;
    (x | x >> 8) & 0xffff
}

const _: () = assert!(spread(0x8001) == 0x8000_0002 && gather(0x8000_0002) == 0x8001);
const _: () = assert!(spread(0xffff) == 0xaaaa_aaaa && gather(u32::MAX) == 0xffff);
