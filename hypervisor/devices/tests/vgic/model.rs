// SPDX-License-Identifier: MIT OR Apache-2.0
//! A GIC as simple as it can be said: every interrupt is a small record, and
//! every question is a walk over all of them. No list registers, no bitmaps.
//! IHI 0069, "Interrupt states", "Interrupt prioritization".

use std::collections::BTreeMap;

/// One interrupt. Private ones exist once per vCPU.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt {
    pub(crate) enabled: bool,
    pub(crate) group_1: bool,
    pub(crate) level: u8,
    pub(crate) edge: bool,
    pub(crate) latch: bool,
    pub(crate) line: bool,
    pub(crate) active: bool,
    /// The vCPU that acknowledged it, or got it when a write made it active: only its end counts.
    pub(crate) holder: Option<usize>,
    /// The physical interrupt behind it is active.
    pub(crate) physical: bool,
    /// It ended while pending again, so the physical one may have ended with it or not.
    pub(crate) open_end: bool,
    /// Routed to this vCPU; none if absent.
    pub(crate) target: Option<usize>,
}

impl Interrupt {
    pub(crate) fn pending(&self) -> bool {
        self.latch || self.line && !self.edge
    }

    /// A physical interrupt ends when nothing is left of it here.
    fn tidy(&mut self) {
        self.physical &= self.latch || self.active;
    }

    pub(crate) fn set_active(&mut self) {
        if !self.active {
            self.active = true;
            self.holder = self.target;
        }
    }

    fn end(&mut self, v: usize) {
        if self.active && self.holder == Some(v) {
            self.active = false;
            self.holder = None;
            self.open_end = self.latch;
        }
    }
}

/// An interrupt that a vCPU acknowledged and did not end yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Running {
    pub(crate) intid: u32,
    pub(crate) level: u8,
    pub(crate) dropped: bool,
}

/// The controller: interrupts by owner (vCPU for private ones, 0 otherwise) and INTID.
pub(crate) struct Model {
    pub(crate) interrupts: BTreeMap<(usize, u32), Interrupt>,
    pub(crate) groups: [bool; 2],
    pub(crate) running: Vec<Vec<Running>>,
}

pub(crate) fn key(v: usize, intid: u32) -> (usize, u32) {
    (if intid < 32 { v } else { 0 }, intid)
}

impl Model {
    pub(crate) fn new(vcpus: usize, intids: &[u32]) -> Self {
        let mut interrupts = BTreeMap::new();
        for v in 0..vcpus {
            for &intid in intids {
                let target = Some(key(v, intid).0);
                let fresh = Interrupt { edge: intid < 16, target, ..Interrupt::default() };
                interrupts.insert(key(v, intid), fresh);
            }
        }
        Self { interrupts, groups: [false; 2], running: vec![Vec::new(); vcpus] }
    }

    pub(crate) fn get(&self, v: usize, intid: u32) -> &Interrupt {
        &self.interrupts[&key(v, intid)]
    }

    pub(crate) fn change(&mut self, v: usize, intid: u32, change: impl FnOnce(&mut Interrupt)) {
        let interrupt = self.interrupts.get_mut(&key(v, intid)).expect("a known INTID");
        change(interrupt);
        interrupt.tidy();
    }

    pub(crate) fn raise(&mut self, v: usize, intid: u32) {
        self.change(v, intid, |i| {
            i.latch |= i.edge && !i.line;
            i.line = true;
        });
    }

    /// The level of the highest priority that `v` would acknowledge now.
    pub(crate) fn best(&self, v: usize) -> Option<u8> {
        let running = self.running[v].iter().filter(|r| !r.dropped).map(|r| r.level).min();
        let best =
            self.interrupts.values().filter(|i| self.deliverable(i, v)).map(|i| i.level).min()?;
        if running.is_none_or(|running| best < running) { Some(best) } else { None }
    }

    fn deliverable(&self, i: &Interrupt, v: usize) -> bool {
        i.enabled
            && self.groups[usize::from(i.group_1)]
            && i.pending()
            && !i.active
            && i.target == Some(v)
    }

    /// The vCPU acknowledged this interrupt; tells whether that was a right one.
    pub(crate) fn acknowledge(&mut self, v: usize, intid: u32) -> bool {
        let best = self.best(v);
        let interrupt = self.get(v, intid);
        let (level, right) = (interrupt.level, self.deliverable(interrupt, v));
        if !right || best != Some(level) {
            return false;
        }
        self.change(v, intid, |i| {
            i.active = true;
            i.latch = false;
            i.holder = Some(v);
        });
        self.running[v].push(Running { intid, level, dropped: false });
        true
    }

    /// The interrupt that `v` must end next: the highest running one.
    pub(crate) fn next_to_end(&self, v: usize) -> Option<u32> {
        self.highest(v).map(|n| self.running[v][n].intid)
    }

    fn highest(&self, v: usize) -> Option<usize> {
        let running = &self.running[v];
        (0..running.len()).filter(|n| !running[*n].dropped).min_by_key(|n| running[*n].level)
    }

    /// The end of [`Self::next_to_end`] with EOImode 0, or with `split` only its priority drop.
    pub(crate) fn end(&mut self, v: usize, split: bool) {
        let Some(n) = self.highest(v) else { return };
        if split {
            self.running[v][n].dropped = true;
        } else {
            let ended = self.running[v].remove(n);
            self.change(v, ended.intid, |i| i.end(v));
        }
    }

    pub(crate) fn deactivate(&mut self, v: usize, intid: u32) {
        self.running[v].retain(|r| r.intid != intid || !r.dropped);
        self.change(v, intid, |i| i.end(v));
    }
}
