// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random operations on the virtual GIC and on the model: the same interrupts
//! come in the same order of priority, none twice, none lost.

use crate::machine::{Machine, bitmap, sgi_frame};
use crate::model::{Interrupt, Model, key};
use devices::Size;
use devices::vgic::SgiRegister;
use proptest::prelude::*;

const VCPUS: usize = 3;
const INTIDS: [u32; 12] = [0, 1, 15, 27, 30, 32, 33, 34, 63, 64, 130, 287];

#[derive(Clone, Debug)]
enum Step {
    Enable(u32),
    Disable(u32),
    SetPending(u32),
    ClearPending(u32),
    SetActive(u32),
    ClearActive(u32),
    Priority(u32, u8),
    Group(u32, bool),
    Edge(u32, bool),
    Route(u32, usize),
    Groups(bool, bool),
    Raise(u32),
    Lower(u32),
    Pulse(u32),
    Physical(u32),
    Sgi(u32, bool, u8),
    Acknowledge,
    End,
    Deactivate(usize),
    Read(u32),
    Park,
}

fn step() -> impl Strategy<Value = Step> {
    let intid = || prop::sample::select(INTIDS.as_slice());
    prop_oneof![
        3 => intid().prop_map(Step::Enable),
        1 => intid().prop_map(Step::Disable),
        3 => intid().prop_map(Step::SetPending),
        1 => intid().prop_map(Step::ClearPending),
        1 => intid().prop_map(Step::SetActive),
        1 => intid().prop_map(Step::ClearActive),
        2 => (intid(), any::<u8>()).prop_map(|(i, p)| Step::Priority(i, p)),
        1 => (intid(), any::<bool>()).prop_map(|(i, g)| Step::Group(i, g)),
        1 => (intid(), any::<bool>()).prop_map(|(i, e)| Step::Edge(i, e)),
        1 => (intid(), 0..VCPUS + 2).prop_map(|(i, t)| Step::Route(i, t)),
        1 => (prop::bool::weighted(0.9), prop::bool::weighted(0.9)).prop_map(|(a, b)| Step::Groups(a, b)),
        3 => intid().prop_map(Step::Raise),
        2 => intid().prop_map(Step::Lower),
        2 => intid().prop_map(Step::Pulse),
        4 => intid().prop_map(Step::Physical),
        2 => (0..16u32, any::<bool>(), any::<u8>()).prop_map(|(i, g, t)| Step::Sgi(i, g, t)),
        8 => Just(Step::Acknowledge),
        6 => Just(Step::End),
        3 => (0..8usize).prop_map(Step::Deactivate),
        2 => intid().prop_map(Step::Read),
        1 => Just(Step::Park),
    ]
}

struct Pair {
    machine: Machine,
    model: Model,
    split: bool,
    /// Whether all interrupts always fit.
    roomy: bool,
}

impl Pair {
    fn new(lists: usize, split: bool) -> Self {
        let mut pair = Self {
            machine: Machine::new(VCPUS, 288, lists, split),
            model: Model::new(VCPUS, &INTIDS),
            split,
            roomy: lists > INTIDS.len(),
        };
        pair.groups(0, true, true);
        pair
    }

    fn groups(&mut self, v: usize, zero: bool, one: bool) {
        self.model.groups = [zero, one];
        self.machine.write_word(v, 0, u32::from(zero) | u32::from(one) << 1);
    }

    fn bit(&mut self, v: usize, array: u64, intid: u32) {
        self.machine.write_word(v, bitmap(v, array, intid), 1 << (intid % 32));
    }

    fn apply(&mut self, v: usize, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Enable(i) => {
                self.model.change(v, i, |i| i.enabled = true);
                self.bit(v, 0x100, i);
            }
            Step::Disable(i) => {
                self.model.change(v, i, |i| i.enabled = false);
                self.bit(v, 0x180, i);
            }
            Step::SetPending(i) => {
                self.model.change(v, i, |i| i.latch = true);
                self.bit(v, 0x200, i);
            }
            Step::ClearPending(i) => {
                self.model.change(v, i, |i| i.latch = false);
                self.bit(v, 0x280, i);
            }
            Step::SetActive(i) if self.roomy => {
                self.model.change(v, i, Interrupt::set_active);
                self.bit(v, 0x300, i);
            }
            Step::ClearActive(i) if self.roomy => {
                self.model.change(v, i, |i| (i.active, i.holder) = (false, None));
                self.bit(v, 0x380, i);
            }
            Step::SetActive(_) | Step::ClearActive(_) => {}
            Step::Priority(i, value) => self.priority(v, i, value),
            Step::Group(i, one) => self.group(v, i, one),
            Step::Edge(i, edge) => self.edge(v, i, edge),
            Step::Route(i, target) => self.route(v, i, target),
            Step::Groups(zero, one) => self.groups(v, zero, one),
            Step::Raise(i) => self.raise(v, i),
            Step::Lower(i) => self.lower(v, i),
            Step::Pulse(i) => self.pulse(v, i),
            Step::Physical(i) => {
                if self.machine.physical_interrupt(v, i) {
                    self.model.change(v, i, |i| (i.latch, i.physical) = (true, true));
                }
            }
            Step::Sgi(i, one, targets) => self.sgi(v, i, one, targets),
            Step::Acknowledge => self.acknowledge(v)?,
            Step::End => self.end(v),
            Step::Deactivate(n) => self.deactivate(v, n),
            Step::Read(i) => self.read(v, i)?,
            Step::Park => self.machine.park(v),
        }
        Ok(())
    }

    fn raise(&mut self, v: usize, intid: u32) {
        self.model.raise(v, intid);
        let outcome = self.machine.vgic.raise(v, intid);
        self.machine.settle(outcome);
    }

    fn lower(&mut self, v: usize, intid: u32) {
        self.model.change(v, intid, |i| i.line = false);
        let outcome = self.machine.vgic.lower(v, intid);
        self.machine.settle(outcome);
    }

    fn pulse(&mut self, v: usize, intid: u32) {
        self.model.change(v, intid, |i| i.latch = true);
        let outcome = self.machine.vgic.pulse(v, intid);
        self.machine.settle(outcome);
    }

    /// A change of an active interrupt's priority is left out where list
    /// registers overflow: its end is then known by its priority alone.
    fn priority(&mut self, v: usize, intid: u32, value: u8) {
        if self.model.get(v, intid).active && !self.roomy {
            return;
        }
        self.model.change(v, intid, |i| i.level = value >> 3);
        let offset = if intid < 32 { sgi_frame(v, 0x400) } else { 0x400 };
        let _ = self.machine.write(v, offset + u64::from(intid), Size::Byte, value.into());
    }

    fn group(&mut self, v: usize, intid: u32, one: bool) {
        self.model.change(v, intid, |i| i.group_1 = one);
        let offset = bitmap(v, 0x80, intid);
        let bit = 1 << (intid % 32);
        let old = self.machine.read(v, offset, Size::Word) as u32;
        self.machine.write_word(v, offset, if one { old | bit } else { old & !bit });
    }

    fn edge(&mut self, v: usize, intid: u32, edge: bool) {
        if intid >= 16 {
            self.model.change(v, intid, |i| i.edge = edge);
        }
        let n = u64::from(intid / 16) * 4;
        let offset = if intid < 32 { sgi_frame(v, 0xc00 + n) } else { 0xc00 + n };
        let bit = 2 << (intid % 16 * 2);
        let old = self.machine.read(v, offset, Size::Word) as u32;
        self.machine.write_word(v, offset, if edge { old | bit } else { old & !bit });
    }

    fn route(&mut self, v: usize, intid: u32, target: usize) {
        if intid >= 32 {
            let known = Some(target).filter(|target| *target < VCPUS);
            self.model.change(v, intid, |i| i.target = known);
            let _ =
                self.machine.write(v, 0x6000 + u64::from(intid) * 8, Size::Double, target as u64);
            assert_eq!(self.machine.vgic.route(intid), known);
        }
    }

    fn sgi(&mut self, v: usize, intid: u32, one: bool, targets: u8) {
        let register = if one { SgiRegister::Sgi1 } else { SgiRegister::Sgi0 };
        let others = targets == 0;
        for target in 0..VCPUS {
            let named = if others { target != v } else { targets >> target & 1 != 0 };
            if named && INTIDS.contains(&intid) && self.model.get(target, intid).group_1 == one {
                self.model.change(target, intid, |i| i.latch = true);
            }
        }
        let value = u64::from(intid) << 24 | u64::from(others) << 40 | u64::from(targets);
        let outcome = self.machine.vgic.send_sgi(v, register, value);
        self.machine.settle(outcome);
    }

    fn acknowledge(&mut self, v: usize) -> Result<(), TestCaseError> {
        let best = self.model.best(v);
        match self.machine.cpus[v].acknowledge() {
            Some(intid) => {
                let right = self.model.acknowledge(v, intid);
                prop_assert!(right, "vCPU {v} got {intid}, due was level {best:?}");
            }
            None => prop_assert_eq!(best, None, "vCPU {} got nothing", v),
        }
        self.machine.settle(Default::default());
        Ok(())
    }

    fn end(&mut self, v: usize) {
        let Some(intid) = self.model.next_to_end(v) else { return };
        self.model.end(v, self.split);
        self.machine.cpus[v].end(intid);
        self.machine.settle(Default::default());
    }

    fn deactivate(&mut self, v: usize, n: usize) {
        let dropped: Vec<u32> =
            self.model.running[v].iter().filter(|r| r.dropped).map(|r| r.intid).collect();
        if let Some(&intid) = dropped.get(n) {
            self.model.deactivate(v, intid);
            self.machine.deactivate(v, intid);
        }
    }

    fn read(&mut self, v: usize, intid: u32) -> Result<(), TestCaseError> {
        let pending =
            self.machine.read(v, bitmap(v, 0x200, intid), Size::Word) >> (intid % 32) & 1 != 0;
        let active =
            self.machine.read(v, bitmap(v, 0x300, intid), Size::Word) >> (intid % 32) & 1 != 0;
        let expected = self.model.get(v, intid);
        prop_assert_eq!(
            (pending, active),
            (expected.pending(), expected.active),
            "INTID {}",
            intid
        );
        Ok(())
    }

    fn physical_agrees(&mut self) -> Result<(), TestCaseError> {
        for (&(v, intid), interrupt) in &mut self.model.interrupts {
            let active = self.machine.physical.contains(&key(v, intid));
            if std::mem::take(&mut interrupt.open_end) {
                interrupt.physical &= active;
            }
            prop_assert_eq!(active, interrupt.physical, "physical {} of vCPU {}", intid, v);
        }
        Ok(())
    }

    /// All that waits is delivered in the end.
    fn drain(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..500 {
            for v in 0..VCPUS {
                self.acknowledge(v)?;
                for intid in INTIDS {
                    self.read(v, intid)?;
                    if self.model.get(v, intid).line && self.model.get(v, intid).active {
                        self.lower(v, intid);
                    }
                }
                if self.model.best(v).is_none() {
                    self.end(v);
                    self.deactivate(v, 0);
                }
                self.physical_agrees()?;
            }
            if (0..VCPUS).all(|v| self.model.best(v).is_none() && self.model.running[v].is_empty())
            {
                return Ok(());
            }
        }
        Err(TestCaseError::fail("interrupts without an end"))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn interrupts_come_as_the_model_says(
        lists in prop_oneof![1..=4usize, Just(16)],
        split: bool,
        steps in prop::collection::vec((0..VCPUS, step()), 1..150),
    ) {
        let mut pair = Pair::new(lists, split);
        for (v, step) in &steps {
            pair.apply(*v, step)?;
            pair.physical_agrees()?;
        }
        pair.drain()?;
    }
}
