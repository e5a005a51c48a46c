// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a guest sees beside its memory: a small PC, as far as a partition has it
//! (abi::platform::pc), and the interrupt lines it owns.
//!
//! A vCPU's local APIC is in the vCPU; what others have for it is posted, and
//! its bell is rung. All else is behind one lock, which comes before the console's.

use super::apic::{self, TIMER_LINE};
use super::vcpu::{Vcpu, first_cpu};
use super::{apic_id_of, time};
use crate::bell::Wish;
use crate::exit::{Direction, MemoryAccess, PortAccess, RegisterAccess};
use crate::fault::GuestFault;
use crate::partition::{End, Partition};
use crate::run::Next;
use crate::terminal::Terminal;
use abi::platform::CHANNEL_REGISTERS_STRIDE;
use abi::platform::pc::{
    CHANNEL_REGISTERS, COM1, IO_APIC, IO_APIC_SIZE, LOCAL_APIC, MAILBOX_REGISTERS,
};
use abi::range::PAGE;
use alloc::boxed::Box;
use core::sync::atomic::{AtomicU64, Ordering};
use devices::apic::{Effect, LocalApic, PAGE_SIZE, Posted};
use devices::pc::{Bus, Outcome, Pc, Power};
use devices::pl011::Sink;
use spin::Mutex;

mod registers;

/// COM1's line status, which a guest polls.
const LINE_STATUS: u16 = COM1 + 5;

impl Sink for Terminal {
    fn has_space(&self) -> bool {
        Self::has_space(self)
    }

    fn push(&mut self, byte: u8) {
        self.write(byte);
    }
}

/// What the vCPUs of a partition share.
#[derive(Debug)]
struct Devices {
    pc: Pc,
    terminal: Terminal,
}

/// The emulated devices of one partition.
#[derive(Debug)]
pub struct Platform {
    devices: Mutex<Devices>,
    posted: Box<[Posted]>,
    /// Physical lines of the partition's devices, one bit each.
    lines: u64,
    /// Those that are masked until the guest has served them.
    masked: AtomicU64,
}

impl Platform {
    /// The devices of a partition with this many vCPUs, which owns these lines.
    #[must_use]
    pub fn new(vcpus: usize, _count: u32, lines: impl Iterator<Item = u32>, _flash: bool) -> Self {
        let lines = lines.filter(|line| *line < apic::LINES).fold(0, |bits, line| bits | 1 << line);
        let pc = Pc::new(time::frequency(), time::epoch());
        Self {
            devices: Mutex::new(Devices { pc, terminal: Terminal::new() }),
            posted: (0..vcpus).map(|_| Posted::new()).collect(),
            lines,
            masked: AtomicU64::new(0),
        }
    }

    /// All devices come out of reset.
    pub fn reset(&self) {
        let mut devices = self.devices.lock();
        devices.pc.reset();
        devices.terminal.reset();
        for (vcpu, posted) in self.posted.iter().enumerate() {
            posted.reset();
            posted.publish(LocalApic::new(vcpu as u8).address());
        }
        self.masked.store(0, Ordering::Relaxed);
    }

    fn bus(&self) -> Bus<'_> {
        Bus { now: time::now(), apics: &self.posted }
    }

    /// The physical lines that the partition owns.
    fn lines(&self) -> impl Iterator<Item = u32> + '_ {
        (0..apic::LINES).filter(|line| self.lines >> line & 1 != 0)
    }

    /// Lets the partition's devices interrupt vCPU 0's CPU.
    pub fn connect(&self, partition: &Partition) {
        if let Some(cpu) = first_cpu(partition) {
            self.lines().for_each(|line| apic::connect(line, apic_id_of(cpu)));
        }
    }

    /// A load or store; the value is what a load gives. Where nothing is, a PC reads ones.
    #[inline(always)]
    pub fn memory(
        &self,
        access: &MemoryAccess,
        vcpu: &mut Vcpu,
        partition: &Partition,
    ) -> Result<u64, GuestFault> {
        let offset = access.address.get().wrapping_sub(LOCAL_APIC);
        if offset < PAGE_SIZE && !vcpu.apic.is_extended() {
            return Ok(match access.direction {
                Direction::Read => vcpu.apic.read(offset, access.size, time::now()),
                Direction::Write(value) => {
                    let effect = vcpu.apic.write(offset, access.size, value, time::now());
                    self.carry_out(effect, vcpu, partition);
                    0
                }
            });
        }
        Ok(self.others(*access, vcpu, partition))
    }

    /// The devices that are touched rarely.
    #[inline(never)]
    fn others(&self, access: MemoryAccess, vcpu: &mut Vcpu, partition: &Partition) -> u64 {
        let address = access.address.get();
        let offset = address.wrapping_sub(IO_APIC);
        if offset < IO_APIC_SIZE {
            let mut devices = self.devices.lock();
            return match access.direction {
                Direction::Read => devices.pc.io_apic_read(offset, access.size),
                Direction::Write(value) => {
                    let outcome = devices.pc.io_apic_write(offset, access.size, value, &self.bus());
                    drop(devices);
                    self.settle(outcome, vcpu, partition);
                    0
                }
            };
        }
        if let (Some(mailbox), offset @ 0..PAGE) =
            (partition.mailbox(), address.wrapping_sub(MAILBOX_REGISTERS))
        {
            return mailbox.access(offset, access.direction, partition);
        }
        let place = address.wrapping_sub(CHANNEL_REGISTERS) / CHANNEL_REGISTERS_STRIDE;
        let port = partition.channels.iter().find(|port| {
            port.registers == CHANNEL_REGISTERS + place.wrapping_mul(CHANNEL_REGISTERS_STRIDE)
        });
        match (port, access.direction) {
            (Some(port), Direction::Read) => port.read(address - port.registers),
            (Some(port), Direction::Write(value)) => {
                port.write(address - port.registers, value);
                0
            }
            (None, _) => access.size.mask(),
        }
    }

    /// An IN or OUT; the value is what an IN gives.
    #[inline(always)]
    pub fn port(
        &self,
        access: &PortAccess,
        vcpu: &mut Vcpu,
        partition: &Partition,
    ) -> Result<u64, GuestFault> {
        let PortAccess { port, size, direction } = *access;
        let mut devices = self.devices.lock();
        let Devices { pc, terminal } = &mut *devices;
        let bus = self.bus();
        let (value, outcome) = match direction {
            Direction::Read => pc.port_read(port, size, &bus, terminal),
            Direction::Write(value) => (0, pc.port_write(port, size, value, &bus, terminal)),
        };
        let mut kick = 0;
        if port & !7 == COM1 && port != LINE_STATUS {
            devices.terminal.written(partition.index, partition.name);
            kick = self.feed(&mut devices);
        }
        drop(devices);
        if kick != 0 || outcome != Outcome::default() {
            self.settle(Outcome { kick: outcome.kick | kick, ..outcome }, vcpu, partition);
        }
        Ok(value)
    }

    /// Moves what was typed into COM1's FIFO as far as it fits; whom to kick.
    fn feed(&self, devices: &mut Devices) -> u32 {
        let bus = self.bus();
        let mut kick = 0;
        while let Some(byte) = devices.terminal.next_typed() {
            let Some(outcome) = devices.pc.receive(byte, &bus) else { break };
            devices.terminal.take_typed();
            kick |= outcome.kick;
        }
        kick
    }

    /// A trapped register; the value is what a read gives.
    #[inline(always)]
    pub fn register(
        &self,
        access: &RegisterAccess,
        vcpu: &mut Vcpu,
        partition: &Partition,
    ) -> Result<(u64, Next), GuestFault> {
        let number = access.number;
        let extended = number.wrapping_sub(devices::apic::X2APIC_FIRST) < 0x100;
        if !extended {
            return self.rare_register(*access, vcpu, partition);
        }
        let value = match access.direction {
            Direction::Read => vcpu.apic.read_msr(number, time::now()),
            Direction::Write(value) => {
                let effect = vcpu.apic.write_msr(number, value, time::now());
                effect.map(|effect| {
                    self.carry_out(effect, vcpu, partition);
                    0
                })
            }
        };
        value.map(|value| (value, Next::Resume)).map_err(|_| GuestFault::Undefined)
    }

    /// Does what a write to the local APIC asks for.
    #[inline(always)]
    fn carry_out(&self, effect: Effect, vcpu: &mut Vcpu, partition: &Partition) {
        match effect {
            Effect::None => {}
            Effect::Pending => vcpu.look(),
            Effect::Timer => arm(vcpu),
            Effect::Send => match vcpu.apic.deliver_to_one(&self.posted) {
                Some(other) if other != vcpu.index() => {
                    if let Some(bell) = partition.bells.get(other) {
                        bell.ring(Wish::REFRESH);
                    }
                }
                one => self.send_rare(one, vcpu, partition),
            },
            Effect::Everything | Effect::EndOfLevel(_) => {
                self.carry_out_rare(effect, vcpu, partition);
            }
        }
    }

    /// An interrupt that it has sent to itself; or any other message.
    #[inline(never)]
    fn send_rare(&self, one: Option<usize>, vcpu: &mut Vcpu, partition: &Partition) {
        match one {
            Some(_) => crate::interrupt::refresh(vcpu, partition),
            None => self.spread(vcpu.apic.deliver(&self.posted), vcpu, partition),
        }
    }

    #[inline(never)]
    fn carry_out_rare(&self, effect: Effect, vcpu: &mut Vcpu, partition: &Partition) {
        vcpu.look();
        if let Effect::EndOfLevel(vector) = effect {
            let outcome = self.end_of_level(vector);
            return self.settle(outcome, vcpu, partition);
        }
        if let Some(posted) = self.posted.get(vcpu.index()) {
            posted.publish(vcpu.apic.address());
        }
        arm(vcpu);
    }

    /// The guest has served a level-triggered interrupt: the machine's lines that wait for that
    /// are looked at again.
    fn end_of_level(&self, vector: u8) -> Outcome {
        let mut devices = self.devices.lock();
        let masked = self.masked.swap(0, Ordering::Relaxed);
        for line in self.lines().filter(|line| masked >> line & 1 != 0) {
            let _ = devices.pc.set_line(line as u8, false, &self.bus());
        }
        let outcome = devices.pc.end_of_interrupt(vector, &self.bus());
        for line in self.lines().filter(|line| masked >> line & 1 != 0) {
            apic::mask(line, false);
        }
        outcome
    }

    /// Does what the shared devices ask for.
    fn settle(&self, outcome: Outcome, vcpu: &mut Vcpu, partition: &Partition) {
        if let Some(deadline) = outcome.deadline {
            time::arm(deadline);
        }
        if outcome.kick != 0 {
            self.spread(outcome.kick, vcpu, partition);
        }
        let how = match outcome.power {
            Power::On => return,
            Power::Off => End::Off,
            Power::Reset => End::Restart,
        };
        // The partition's bells stop this vCPU too.
        partition.end(how);
        vcpu.leave();
    }

    /// Lets the vCPUs in `kick` look at what was posted: this one at once, the others by
    /// their bells.
    #[inline(always)]
    fn spread(&self, kick: u32, vcpu: &mut Vcpu, partition: &Partition) {
        let own = 1 << vcpu.index();
        if kick & own != 0 {
            crate::interrupt::refresh(vcpu, partition);
        }
        partition.ring(kick & !own, Wish::REFRESH);
    }

    /// A physical interrupt of the vCPU's own came: its timer's, or a device's.
    #[inline(always)]
    pub fn raise_hardware(&self, line: u32, vcpu: &mut Vcpu, partition: &Partition) {
        if line == TIMER_LINE {
            let now = time::now();
            let due = time::guest_due();
            let (interrupts, next) = vcpu.apic.expire(now);
            if interrupts {
                vcpu.counters().late(now.wrapping_sub(due));
                vcpu.look();
            }
            // One that is not periodic is not due again, and `time::due` has forgotten it.
            if let Some(deadline) = next {
                time::arm_guest(deadline);
            }
        } else {
            self.raise_line(line, vcpu, partition);
        }
    }

    #[inline(never)]
    fn raise_line(&self, line: u32, vcpu: &mut Vcpu, partition: &Partition) {
        if self.lines >> line & 1 == 0 {
            // Its owner ended in this very moment: nobody is left to take it.
            return apic::mask(line, true);
        }
        let mut devices = self.devices.lock();
        let outcome = if apic::is_level(line) {
            apic::mask(line, true);
            self.masked.fetch_or(1 << line, Ordering::Relaxed);
            devices.pc.set_line(line as u8, true, &self.bus())
        } else {
            devices.pc.pulse(line as u8, &self.bus())
        };
        drop(devices);
        self.settle(outcome, vcpu, partition);
    }

    /// An edge of an emulated device.
    pub fn pulse(&self, gsi: u32, vcpu: &mut Vcpu, partition: &Partition) {
        let outcome = self.devices.lock().pc.pulse(gsi as u8, &self.bus());
        self.settle(outcome, vcpu, partition);
    }

    /// The vCPU takes what was posted for it.
    #[inline(always)]
    pub fn refresh(&self, vcpu: &mut Vcpu, partition: &Partition) {
        let Some(posted) = self.posted.get(vcpu.index()) else { return };
        let startup = if posted.waits() { vcpu.merge(posted) } else { None };
        if startup.is_some() || vcpu.index() == 0 || vcpu.count != self.posted.len() {
            self.refresh_rare(startup, posted, vcpu, partition);
        }
    }

    /// A start-up of a vCPU that is off; the 8259's interrupt, which is vCPU 0's.
    #[inline(never)]
    fn refresh_rare(
        &self,
        startup: Option<u8>,
        posted: &Posted,
        vcpu: &mut Vcpu,
        partition: &Partition,
    ) {
        vcpu.count = self.posted.len();
        if let (Some(page), Some(bell)) = (startup, partition.bells.get(vcpu.index())) {
            // It is off, so this start is the only one, or the partition ends.
            let _ = partition.start_vcpu(bell, super::state::STARTUP | u64::from(page), 0);
        }
        if !posted.external() {
            vcpu.no_external();
        } else if vcpu.takes_external() {
            let (vector, outcome) = self.devices.lock().pc.acknowledge_external(&self.bus());
            vcpu.set_external(vector);
            if let Some(deadline) = outcome.deadline {
                time::arm(deadline);
            }
        }
    }

    /// Whether something wakes the vCPU.
    pub fn has_pending(&self, vcpu: &mut Vcpu, partition: &Partition) -> bool {
        crate::interrupt::refresh(vcpu, partition);
        vcpu.wakes()
    }

    /// A time has come that a terminal or a shared device wanted.
    pub fn terminal_deadline(&self, vcpu: &mut Vcpu, partition: &Partition) {
        let mut devices = self.devices.lock();
        let mut outcome = devices.pc.expire(&self.bus());
        let Devices { pc, terminal } = &mut *devices;
        if terminal.deadline(partition.index, partition.name) {
            outcome.kick |= pc.space_returned(&self.bus(), terminal).kick;
            // What waited in the UART's FIFO is in the terminal now, and is shown; a guest that
            // has used up its rate again is told of space later.
            let _ = terminal.deadline(partition.index, partition.name);
        }
        drop(devices);
        self.settle(outcome, vcpu, partition);
    }

    /// A byte was typed for this partition; false if it is dropped. Any CPU may call it.
    pub fn typed(&self, byte: u8, partition: &Partition) -> bool {
        let mut devices = self.devices.lock();
        let taken = devices.terminal.typed(byte);
        let kick = self.feed(&mut devices);
        drop(devices);
        partition.ring(kick, Wish::REFRESH);
        taken
    }

    /// Shows the terminal to somebody. Any CPU may call it.
    pub fn terminal(&self, look: &mut dyn FnMut(&Terminal)) {
        look(&self.devices.lock().terminal);
    }

    /// The partition is, or is no longer, in focus.
    pub fn set_focus(&self, in_focus: bool) {
        self.devices.lock().terminal.set_focus(in_focus);
    }

    /// The vCPU goes off. A start-up that came with its INIT is posted again, for the CPU to
    /// find; with vCPU 0 the partition's physical lines fall silent.
    pub fn park(&self, vcpu: &mut Vcpu, partition: &Partition) {
        if let (Some(page), Some(posted)) = (vcpu.startup.take(), self.posted.get(vcpu.index())) {
            posted.post_startup(page);
            partition.ring(1 << vcpu.index(), Wish::REFRESH);
        }
        if vcpu.index() == 0 {
            self.lines().for_each(|line| apic::mask(line, true));
        }
    }
}

/// The guest's timer interrupts this CPU when it is due.
#[inline(always)]
fn arm(vcpu: &Vcpu) {
    time::arm_guest(vcpu.apic.deadline().unwrap_or(u64::MAX));
}
