// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a guest of the fake sees: a terminal, a scratch register, its channels,
//! and an interrupt controller that only remembers.

use super::events::Event;
use super::machine::Machine;
use super::std::collections::BTreeSet;
use super::vcpu::Vcpu;
use crate::bell::Wish;
use crate::exit::{Direction, MemoryAccess, PortAccess, RegisterAccess};
use crate::fault::GuestFault;
use crate::partition::Partition;
use crate::run::Next;
use crate::terminal::Terminal;
use abi::platform::virt::MAILBOX_REGISTERS;
use core::sync::atomic::{AtomicBool, Ordering};
use spin::Mutex;

/// Guest addresses of the devices, and numbers of the registers that trap.
pub mod device {
    /// Write: a byte for the terminal. Read: the oldest byte typed, all ones if there is none.
    pub const TERMINAL: u64 = 0xf00d_0000;
    /// Read: one if the terminal takes a byte.
    pub const TERMINAL_SPACE: u64 = 0xf00d_0020;
    /// Reads as the complement of what was written.
    pub const SCRATCH: u64 = 0xf00e_0000;
    /// A port that reads as the sum of its number and its size.
    pub const PORT: u16 = 0x3f8;
    /// A trapped register that reads as 77.
    pub const REGISTER: u32 = 0x707;
    /// A trapped register: a write wants the partition's memory cleaned.
    pub const CLEAN: u32 = 0x70c;
}

/// Bytes of a channel's register page.
const CHANNEL_PAGE: u64 = 0x1000;

/// The emulated devices of one partition.
#[derive(Debug)]
pub struct Platform {
    terminal: Mutex<Terminal>,
    scratch: Mutex<u64>,
    pending: AtomicBool,
    lines: BTreeSet<u32>,
}

impl Platform {
    /// The devices of a partition, which owns these lines.
    #[must_use]
    pub fn new(_vcpus: usize, _count: u32, lines: impl Iterator<Item = u32>, _flash: bool) -> Self {
        Self {
            terminal: Mutex::new(Terminal::new()),
            scratch: Mutex::new(0),
            pending: AtomicBool::new(false),
            lines: lines.collect(),
        }
    }

    /// All devices come out of reset.
    pub fn reset(&self) {
        self.terminal.lock().reset();
        *self.scratch.lock() = 0;
        self.pending.store(false, Ordering::Relaxed);
    }

    /// Lets the partition's devices interrupt vCPU 0's CPU.
    pub fn connect(&self, _partition: &Partition) {}

    /// A load or store; the value is what a load gives.
    ///
    /// # Errors
    /// Where no device is.
    pub fn memory(
        &self,
        access: &MemoryAccess,
        _vcpu: &mut Vcpu,
        partition: &Partition,
    ) -> Result<u64, GuestFault> {
        let address = access.address.get();
        if let Some(port) = partition
            .channels
            .iter()
            .find(|port| address.checked_sub(port.registers).is_some_and(|at| at < CHANNEL_PAGE))
        {
            let offset = address - port.registers;
            return Ok(match access.direction {
                Direction::Read => port.read(offset),
                Direction::Write(value) => {
                    port.write(offset, value);
                    0
                }
            });
        }
        if let (Some(mailbox), offset @ 0..CHANNEL_PAGE) =
            (partition.mailbox(), address.wrapping_sub(MAILBOX_REGISTERS))
        {
            return Ok(mailbox.access(offset, access.direction, partition));
        }
        match (address, access.direction) {
            (device::TERMINAL, Direction::Write(value)) => {
                let mut terminal = self.terminal.lock();
                terminal.write(value.to_le_bytes()[0]);
                terminal.written(partition.index, partition.name);
                Ok(0)
            }
            (device::TERMINAL, Direction::Read) => {
                let mut terminal = self.terminal.lock();
                let byte = terminal.next_typed();
                terminal.take_typed();
                Ok(byte.map_or(u64::MAX, u64::from))
            }
            (device::TERMINAL_SPACE, Direction::Read) => {
                Ok(self.terminal.lock().has_space().into())
            }
            (device::SCRATCH, Direction::Read) => Ok(!*self.scratch.lock()),
            (device::SCRATCH, Direction::Write(value)) => {
                *self.scratch.lock() = value;
                Ok(0)
            }
            _ => Err(GuestFault::NoDevice),
        }
    }

    /// An IN or OUT; the value is what an IN gives.
    ///
    /// # Errors
    /// For a port that nobody has.
    pub fn port(
        &self,
        access: &PortAccess,
        _vcpu: &mut Vcpu,
        _partition: &Partition,
    ) -> Result<u64, GuestFault> {
        match access.port {
            device::PORT => Ok(u64::from(access.port) + access.size.bytes()),
            _ => Err(GuestFault::NoDevice),
        }
    }

    /// A trapped register; the value is what a read gives.
    ///
    /// # Errors
    /// For a register that does not exist.
    pub fn register(
        &self,
        access: &RegisterAccess,
        vcpu: &mut Vcpu,
        _partition: &Partition,
    ) -> Result<(u64, Next), GuestFault> {
        match (access.number, access.direction) {
            (device::REGISTER, Direction::Read) => Ok((77, Next::Resume)),
            (device::CLEAN, Direction::Write(_)) => {
                vcpu.wants_clean = true;
                Ok((0, Next::Yield))
            }
            _ => Err(GuestFault::Undefined),
        }
    }

    /// A physical interrupt of the vCPU's own came.
    pub fn raise_hardware(&self, number: u32, _vcpu: &mut Vcpu, partition: &Partition) {
        if number < 32 || self.lines.contains(&number) {
            self.raise(number, partition);
        }
    }

    /// An edge of an emulated device.
    pub fn pulse(&self, number: u32, _vcpu: &mut Vcpu, partition: &Partition) {
        self.raise(number, partition);
    }

    fn raise(&self, interrupt: u32, partition: &Partition) {
        self.pending.store(true, Ordering::Relaxed);
        let event = Event::Raised { partition: partition.index, interrupt };
        Machine::current().with(|state| state.log(event));
    }

    /// The guest finds everything that is pending.
    pub fn refresh(&self, _vcpu: &mut Vcpu, _partition: &Partition) {}

    /// Whether an interrupt waits for the vCPU: a guest that has not masked them
    /// took all there were.
    pub fn has_pending(&self, _vcpu: &mut Vcpu, _partition: &Partition) -> bool {
        if !Machine::current().with(|state| state.masked) {
            self.pending.store(false, Ordering::Relaxed);
        }
        self.pending.load(Ordering::Relaxed)
    }

    /// A time that a terminal wanted has come.
    pub fn terminal_deadline(&self, _vcpu: &mut Vcpu, partition: &Partition) {
        let _ = self.terminal.lock().deadline(partition.index, partition.name);
    }

    /// A byte was typed for this partition; false if it is dropped. Any CPU may call it.
    pub fn typed(&self, byte: u8, partition: &Partition) -> bool {
        let taken = self.terminal.lock().typed(byte);
        partition.ring(1, Wish::REFRESH);
        taken
    }

    /// Shows the terminal to somebody. Any CPU may call it.
    pub fn terminal(&self, look: &mut dyn FnMut(&Terminal)) {
        look(&self.terminal.lock());
    }

    /// The partition is, or is no longer, in focus.
    pub fn set_focus(&self, in_focus: bool) {
        self.terminal.lock().set_focus(in_focus);
    }

    /// The vCPU goes off.
    pub fn park(&self, _vcpu: &mut Vcpu, _partition: &Partition) {}
}
