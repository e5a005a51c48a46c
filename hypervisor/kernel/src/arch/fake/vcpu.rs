// SPDX-License-Identifier: MIT OR Apache-2.0
//! A vCPU that exits as its script says. At the script's end it waits, as a
//! guest does that has nothing to do.

use super::events::{Event, Reply};
use super::machine::Machine;
use super::stage2::Controls;
use super::{cpu_number, std};
use crate::exit::{Exit, MemoryAccess, PortAccess, RegisterAccess};
use crate::fault::{GuestFault, Why};
use crate::partition::Partition;
use crate::statistics::Counters;
use core::fmt;

/// A vCPU; its script and what it got are its machine's.
#[derive(Debug)]
pub struct Vcpu {
    partition: usize,
    index: usize,
    counters: &'static Counters,
    /// What it waits with is the script's, not the script's end.
    scripted: bool,
    pub(super) wants_clean: bool,
}

/// What the script said.
pub type Left = Exit;

/// Whether it is an interrupt.
#[must_use]
pub fn is_interrupt(left: &Left) -> bool {
    matches!(left, Exit::Interrupt)
}

impl Vcpu {
    /// A vCPU with this number, which runs under these controls and counts there.
    #[must_use]
    pub fn new(index: usize, controls: Controls, counters: &'static Counters) -> Self {
        let partition = controls.partition;
        Self { partition, index, counters, scripted: false, wants_clean: false }
    }

    /// What it did.
    #[must_use]
    #[inline]
    pub fn counters(&self) -> &'static Counters {
        self.counters
    }

    /// Its number within its partition.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    fn name(&self) -> (usize, usize) {
        (self.partition, self.index)
    }

    fn reply(&self, reply: Reply) {
        Machine::current().with(|state| state.reply(self.name(), reply));
    }

    /// Starts afresh at `entry` with `argument`.
    pub fn load(&mut self, entry: u64, argument: u64) {
        self.wants_clean = false;
        let (partition, vcpu) = self.name();
        let event = Event::Loaded { partition, vcpu, entry, argument };
        Machine::current().with(|state| state.log(event));
    }

    /// Nothing of it acts on this CPU any more.
    pub fn park(&mut self) {
        let (partition, vcpu) = self.name();
        Machine::current().with(|state| state.log(Event::Parked { partition, vcpu }));
    }

    /// A physical interrupt first, then the script.
    pub fn enter(&mut self) -> Left {
        let cpu = cpu_number();
        let exit = Machine::current().with(|state| {
            if state.is_pending(cpu) {
                return Some(Exit::Interrupt);
            }
            state.next_exit(cpu, self.name())
        });
        self.scripted = exit.is_some();
        exit.unwrap_or(Exit::Idle)
    }

    /// What the script said.
    pub fn decode(&mut self, left: Left) -> Exit {
        left
    }

    /// Whether the partition's memory must be cleaned before the vCPU goes on.
    #[must_use]
    pub fn take_clean(&mut self) -> bool {
        std::mem::take(&mut self.wants_clean)
    }

    /// Ends a memory access.
    pub fn complete_memory(&mut self, _access: &MemoryAccess, value: u64) {
        self.reply(Reply::Access(value));
    }

    /// Ends a port access.
    pub fn complete_port(&mut self, _access: &PortAccess, value: u64) {
        self.reply(Reply::Access(value));
    }

    /// Ends a register access.
    pub fn complete_register(&mut self, _access: &RegisterAccess, value: u64) {
        self.reply(Reply::Register(value));
    }

    /// Gives a call its result.
    pub fn complete_call(&mut self, result: u64) {
        self.reply(Reply::Call(result));
    }

    /// The instruction needs nothing more.
    pub fn skip(&mut self) {
        if self.scripted {
            self.reply(Reply::Skipped);
        }
    }

    /// Answers a fault inside the guest, or tells that the partition must stop.
    ///
    /// # Errors
    /// Why it must stop.
    pub fn inject(&mut self, fault: GuestFault, _partition: &Partition) -> Result<(), Why> {
        if let GuestFault::Stop(why) = fault {
            return Err(why);
        }
        self.reply(Reply::Injected(fault));
        Ok(())
    }

    /// The guest is to dump itself.
    pub fn dump(&mut self) {
        self.reply(Reply::Dumped);
    }

    /// What the guest looked like when its partition was stopped.
    pub fn record(&self, why: Why, tell: &mut dyn FnMut(fmt::Arguments<'_>)) {
        self.reply(Reply::Recorded(why));
        tell(format_args!("vCPU {}: {why}", self.index));
    }
}
