// SPDX-License-Identifier: MIT OR Apache-2.0
//! A partition with four vCPUs, its shared devices and a clock.

use devices::Size;
use devices::apic::{LocalApic, Posted};
use devices::pc::{Bus, Outcome, Pc, Power};
use devices::pl011::Sink;

/// Ticks of the TSC in a second.
pub(crate) const HZ: u64 = 1_000_000_000;
/// 2023-11-14 22:13:20 UTC, a Tuesday.
pub(crate) const EPOCH: u64 = 1_700_000_000;

#[derive(Debug, Default)]
pub(crate) struct Out(pub(crate) Vec<u8>);

impl Sink for Out {
    fn has_space(&self) -> bool {
        self.0.len() < 1000
    }

    fn push(&mut self, byte: u8) {
        self.0.push(byte);
    }
}

pub(crate) struct Machine {
    pub(crate) pc: Pc,
    pub(crate) apics: Vec<Posted>,
    pub(crate) locals: Vec<LocalApic>,
    pub(crate) out: Out,
    pub(crate) now: u64,
    /// What the last call said.
    pub(crate) last: Outcome,
    /// The deadline that holds.
    pub(crate) deadline: Option<u64>,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let mut machine = Self {
            pc: Pc::new(HZ, EPOCH),
            apics: (0..4).map(|_| Posted::new()).collect(),
            locals: (0..4).map(LocalApic::new).collect(),
            out: Out::default(),
            now: 0,
            last: Outcome::default(),
            deadline: None,
        };
        for (vcpu, local) in machine.locals.iter_mut().enumerate() {
            let _ = local.write(0xf0, Size::Word, 0x1ff, 0);
            let _ = local.write(0xd0, Size::Word, 1 << (24 + vcpu), 0);
            machine.apics[vcpu].publish(local.address());
        }
        machine
    }

    pub(crate) fn noted(&mut self, outcome: Outcome) {
        assert_eq!(outcome.kick & !0b1111, 0, "only vCPUs that there are");
        if let Some(deadline) = outcome.deadline {
            assert!(deadline > self.now, "a deadline that has passed");
            self.deadline = Some(deadline);
        }
        self.last = outcome;
    }

    pub(crate) fn with(&mut self, call: impl FnOnce(&mut Pc, &Bus<'_>) -> Outcome) {
        let bus = Bus { now: self.now, apics: &self.apics };
        let outcome = call(&mut self.pc, &bus);
        self.noted(outcome);
    }

    pub(crate) fn input(&mut self, port: u16, size: Size) -> u64 {
        let bus = Bus { now: self.now, apics: &self.apics };
        let (value, outcome) = self.pc.port_read(port, size, &bus, &mut self.out);
        assert_eq!(value & !size.mask(), 0, "a read wider than its size");
        self.noted(outcome);
        value
    }

    pub(crate) fn output(&mut self, port: u16, size: Size, value: u64) {
        let bus = Bus { now: self.now, apics: &self.apics };
        let outcome = self.pc.port_write(port, size, value, &bus, &mut self.out);
        self.noted(outcome);
    }

    pub(crate) fn inb(&mut self, port: u16) -> u8 {
        self.input(port, Size::Byte) as u8
    }

    pub(crate) fn outb(&mut self, port: u16, byte: u8) {
        self.output(port, Size::Byte, byte.into());
    }

    /// Writes a register of the I/O APIC through its window.
    pub(crate) fn route(&mut self, pin: u64, entry: u64) {
        for (half, value) in [(1, entry >> 32), (0, entry & 0xffff_ffff)] {
            let register = 0x10 + pin * 2 + half;
            self.with(|pc, bus| pc.io_apic_write(0, Size::Word, register, bus));
            self.with(|pc, bus| pc.io_apic_write(0x10, Size::Word, value, bus));
        }
    }

    pub(crate) fn routed(&mut self, pin: u64) -> u64 {
        let mut entry = 0;
        for half in [1, 0] {
            let register = 0x10 + pin * 2 + half;
            self.with(|pc, bus| pc.io_apic_write(0, Size::Word, register, bus));
            entry = entry << 32 | self.pc.io_apic_read(0x10, Size::Word);
        }
        entry
    }

    /// Takes the interrupt that a vCPU's local APIC has, if any.
    pub(crate) fn take(&mut self, vcpu: usize) -> Option<u8> {
        let _ = self.locals[vcpu].merge(&self.apics[vcpu]);
        let vector = self.locals[vcpu].pending()?;
        self.locals[vcpu].acknowledge(vector);
        Some(vector)
    }

    /// Takes the 8259's interrupt, if it has one.
    pub(crate) fn take_external(&mut self) -> Option<u8> {
        if !self.apics[0].external() {
            return None;
        }
        let bus = Bus { now: self.now, apics: &self.apics };
        let (vector, outcome) = self.pc.acknowledge_external(&bus);
        self.noted(outcome);
        Some(vector)
    }

    /// Time passes, with every deadline kept.
    pub(crate) fn pass(&mut self, ticks: u64, mut at_deadline: impl FnMut(&mut Self)) {
        let end = self.now + ticks;
        while let Some(deadline) = self.deadline.take_if(|deadline| *deadline <= end) {
            self.now = deadline;
            self.with(|pc, bus| pc.expire(bus));
            at_deadline(self);
        }
        self.now = end;
    }

    /// Both 8259s as every system sets them up: vectors from 0x20, all masked.
    pub(crate) fn set_up_8259(&mut self) {
        for (port, base, wiring) in [(0x20, 0x20, 4), (0xa0, 0x28, 2)] {
            self.outb(port, 0x11);
            for word in [base, wiring, 1, 0xff] {
                self.outb(port + 1, word);
            }
        }
    }

    pub(crate) fn power(&self) -> Power {
        self.last.power
    }
}
