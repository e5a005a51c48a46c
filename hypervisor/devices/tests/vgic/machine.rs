// SPDX-License-Identifier: MIT OR Apache-2.0
//! A simulated machine: the virtual CPU interface of each vCPU as hardware
//! implements it, and the kernel's part around the virtual GIC.
//! IHI 0069, "ICV_IAR1_EL1", "ICV_EOIR1_EL1", "ICV_DIR_EL1", "Maintenance interrupts".

use devices::Size;
use devices::vgic::{
    DISTRIBUTOR_SIZE, ListRegisters, Outcome, REDISTRIBUTOR_STRIDE, Reading, Vgic,
};
use std::collections::BTreeSet;

const PENDING: u64 = 1 << 62;
const ACTIVE: u64 = 1 << 63;
const HARDWARE: u64 = 1 << 61;
const END_NOTICE: u64 = 1 << 41;
const TRAP_DIR: u64 = 1 << 14;

/// One vCPU's virtual CPU interface.
pub(crate) struct Interface {
    lists: Vec<u64>,
    hcr: u64,
    ends: u32,
    /// Levels of the active priorities, ICH_AP0R and AP1R together.
    priorities: BTreeSet<u8>,
    pub(crate) split: bool,
    /// Physical interrupts deactivated since the last look.
    deactivated: Vec<u32>,
    pub(crate) writes: usize,
}

/// What a deactivation met.
#[derive(PartialEq, Eq)]
pub(crate) enum Deactivation {
    Done,
    Trapped,
}

impl Interface {
    pub(crate) fn new(count: usize, split: bool) -> Self {
        Self {
            lists: vec![0; count],
            hcr: 1,
            ends: 0,
            priorities: BTreeSet::new(),
            split,
            deactivated: Vec::new(),
            writes: 0,
        }
    }

    fn level(value: u64) -> u8 {
        ((value >> 48) as u8) >> 3
    }

    /// The guest reads ICC_IAR: group 0 and group 1 alike.
    pub(crate) fn acknowledge(&mut self) -> Option<u32> {
        let running = self.priorities.first().copied().unwrap_or(u8::MAX);
        let best = self
            .lists
            .iter_mut()
            .filter(|value| **value & (PENDING | ACTIVE) == PENDING)
            .min_by_key(|value| Self::level(**value))?;
        let level = Self::level(*best);
        if level >= running {
            return None;
        }
        *best = *best & !PENDING | ACTIVE;
        self.priorities.insert(level);
        Some(*best as u32)
    }

    /// The guest writes ICC_EOIR.
    pub(crate) fn end(&mut self, intid: u32) {
        if self.priorities.pop_first().is_some() && !self.split {
            self.deactivate_listed(intid);
        }
    }

    /// The guest writes ICC_DIR, with EOImode 1.
    pub(crate) fn deactivate_guest(&mut self, intid: u32) -> Deactivation {
        if self.hcr & TRAP_DIR != 0 {
            return Deactivation::Trapped;
        }
        self.deactivate_listed(intid);
        Deactivation::Done
    }

    fn deactivate_listed(&mut self, intid: u32) {
        let found =
            self.lists.iter_mut().find(|value| **value as u32 == intid && **value & ACTIVE != 0);
        let Some(value) = found else {
            self.ends = (self.ends + 1) & 31;
            return;
        };
        *value &= !ACTIVE;
        if *value & HARDWARE != 0 {
            self.deactivated.push((*value >> 32 & 0x1fff) as u32);
        }
    }

    /// ICH_MISR_EL2 is not zero.
    pub(crate) fn maintenance(&self) -> bool {
        let no_pending = self.lists.iter().all(|value| value & (PENDING | ACTIVE) != PENDING);
        self.ended() != 0 || self.hcr & 4 != 0 && self.ends != 0 || self.hcr & 8 != 0 && no_pending
    }

    fn status(&self, rule: impl Fn(u64) -> bool) -> u32 {
        let holds = |n: &usize| self.lists[*n] & (PENDING | ACTIVE) == 0 && rule(self.lists[*n]);
        (0..self.lists.len()).filter(holds).map(|n| 1 << n).sum()
    }
}

impl ListRegisters for Interface {
    fn count(&self) -> usize {
        self.lists.len()
    }

    fn read(&self, n: usize) -> u64 {
        self.lists[n]
    }

    fn write(&mut self, n: usize, value: u64) {
        self.writes += 1;
        self.lists[n] = value;
        let state = value & (PENDING | ACTIVE);
        if state == 0 {
            assert_eq!(value, 0, "an empty list register is cleared");
            return;
        }
        let same = self
            .lists
            .iter()
            .filter(|v| **v & (PENDING | ACTIVE) != 0 && **v as u32 == value as u32);
        assert_eq!(same.count(), 1, "INTID {} is in two list registers", value as u32);
        assert_eq!(value & !0xf0f8_03ff_0000_ffff & !END_NOTICE, 0, "reserved bits in {value:#x}");
        if value & HARDWARE != 0 {
            assert_ne!(
                state,
                PENDING | ACTIVE,
                "a hardware interrupt is pending or active, not both"
            );
            assert_eq!((value >> 32 & 0x3ff) as u32, value as u32 & 0x3ff);
        }
    }

    fn empty(&self) -> u32 {
        self.status(|value| value & HARDWARE != 0 || value & END_NOTICE == 0)
    }

    fn ended(&self) -> u32 {
        self.status(|value| value & HARDWARE == 0 && value & END_NOTICE != 0)
    }

    fn eoi_count(&self) -> u32 {
        self.ends
    }

    fn control(&mut self, hcr: u64) {
        assert_eq!(hcr & !(TRAP_DIR | 4 | 8), 1);
        self.hcr = hcr;
        self.ends = 0;
    }

    fn deactivate(&mut self, intid: u32) {
        self.deactivated.push(intid);
    }
}

/// A partition: its virtual GIC and its vCPUs' interfaces.
pub(crate) struct Machine {
    pub(crate) vgic: Vgic,
    pub(crate) cpus: Vec<Interface>,
    /// Physical interrupts that are active: whose, and INTID. Shared ones are vCPU 0's.
    pub(crate) physical: BTreeSet<(usize, u32)>,
}

impl Machine {
    pub(crate) fn new(vcpus: usize, intids: u32, lists: usize, split: bool) -> Self {
        let cpus = (0..vcpus).map(|_| Interface::new(lists, split)).collect();
        Self { vgic: Vgic::new(vcpus, intids), cpus, physical: BTreeSet::new() }
    }

    /// Does what the kernel does after a change: refreshes those that were
    /// kicked and those whose maintenance interrupt is up, until all is quiet.
    pub(crate) fn settle(&mut self, outcome: Outcome) {
        let mut kick = outcome.kick;
        for _ in 0..64 {
            for v in 0..self.cpus.len() {
                self.collect(v);
                if self.cpus[v].maintenance() {
                    kick |= 1 << v;
                }
            }
            if kick == 0 {
                return;
            }
            assert!(kick < 1 << self.cpus.len(), "a kick for a vCPU that is absent");
            let v = kick.trailing_zeros() as usize;
            kick &= !(1 << v);
            let refreshed = self.vgic.refresh(v, &mut self.cpus[v]);
            assert_eq!(refreshed.kick >> v & 1, 0, "a refresh asks for itself");
            assert!(!self.cpus[v].maintenance(), "a maintenance interrupt would storm");
            kick |= refreshed.kick;
        }
        panic!("kicks without an end");
    }

    /// Physical interrupts that were deactivated, by the guest or by the virtual GIC.
    fn collect(&mut self, v: usize) {
        for intid in std::mem::take(&mut self.cpus[v].deactivated) {
            self.physical.remove(&(if intid < 32 { v } else { 0 }, intid));
        }
    }

    /// A physical interrupt comes, unless it is still active.
    pub(crate) fn physical_interrupt(&mut self, v: usize, intid: u32) -> bool {
        if !self.physical.insert((if intid < 32 { v } else { 0 }, intid)) {
            return false;
        }
        let outcome = self.vgic.raise_hardware(v, intid, &mut self.cpus[v]);
        self.settle(outcome);
        true
    }

    pub(crate) fn deactivate(&mut self, v: usize, intid: u32) {
        if self.cpus[v].deactivate_guest(intid) == Deactivation::Trapped {
            let outcome = self.vgic.deactivate(v, intid);
            self.settle(outcome);
        }
        self.settle(Outcome::default());
    }

    /// A vCPU goes off and comes back.
    pub(crate) fn park(&mut self, v: usize) {
        let outcome = self.vgic.park(v, &mut self.cpus[v]);
        assert_eq!(self.cpus[v].empty().count_ones() as usize, self.cpus[v].count());
        self.settle(outcome);
        let outcome = self.vgic.refresh(v, &mut self.cpus[v]);
        self.settle(outcome);
    }

    /// A guest's write; redistributors start where the distributor ends.
    pub(crate) fn write(&mut self, v: usize, offset: u64, size: Size, value: u64) -> Outcome {
        let outcome = match offset.checked_sub(DISTRIBUTOR_SIZE) {
            None => self.vgic.write_distributor(v, offset, size, value),
            Some(offset) => self.vgic.write_redistributor(v, offset, size, value),
        };
        self.settle(outcome);
        outcome
    }

    pub(crate) fn write_word(&mut self, v: usize, offset: u64, value: u32) {
        let _ = self.write(v, offset, Size::Word, value.into());
    }

    /// A guest's read, repeated once if another vCPU knew better.
    pub(crate) fn read(&mut self, v: usize, offset: u64, size: Size) -> u64 {
        let kick = self.read_once(v, offset, size).kick;
        self.settle(Outcome { kick, rerouted: 0 });
        self.read_once(v, offset, size).value
    }

    fn read_once(&mut self, v: usize, offset: u64, size: Size) -> Reading {
        match offset.checked_sub(DISTRIBUTOR_SIZE) {
            None => self.vgic.read_distributor(v, offset, size, &self.cpus[v]),
            Some(offset) => self.vgic.read_redistributor(v, offset, size, &self.cpus[v]),
        }
    }
}

/// Offset of a register of a vCPU's SGI frame, counted from the distributor.
pub(crate) fn sgi_frame(v: usize, register: u64) -> u64 {
    DISTRIBUTOR_SIZE + v as u64 * REDISTRIBUTOR_STRIDE + 0x1_0000 + register
}

/// Offset of the 32-bit register of a bitmap array that an INTID is in.
pub(crate) fn bitmap(v: usize, array: u64, intid: u32) -> u64 {
    if intid < 32 { sgi_frame(v, array) } else { array + u64::from(intid / 32) * 4 }
}
