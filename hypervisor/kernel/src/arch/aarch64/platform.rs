// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a guest sees beside its memory: QEMU's `virt` machine, as far as a
//! partition has it (abi::platform), and the interrupt lines it owns.
//!
//! Lock order: a partition's UART, then its interrupt controller, then the
//! console. No two of one kind are held together.

use super::gic::{self, Lists};
use super::registers;
use super::vcpu::Vcpu;
use crate::bell::Wish;
use crate::exit::{Direction, MemoryAccess, PortAccess, RegisterAccess};
use crate::fault::GuestFault;
use crate::partition::Partition;
use crate::run::Next;
use crate::terminal::Terminal;
use abi::platform::{
    CHANNEL_REGISTERS, CHANNEL_REGISTERS_STRIDE, FLASH_SIZE, GICD, GICD_SIZE, GICR, GICR_STRIDE,
    GPIO, GPIO_SIZE, MAILBOX_REGISTERS, UART, UART_INTID, UART_SIZE, VIRTUAL_TIMER_INTID,
};
use abi::range::PAGE;
use devices::Size;
use devices::pl011::{Pl011, Sink};
use devices::vgic::{self, Outcome, SgiRegister, Vgic};
use spin::Mutex;

/// A UART as the guest drives it, and the terminal behind it.
#[derive(Debug)]
struct Uart {
    model: Pl011,
    terminal: Terminal,
    /// The level of its interrupt that the interrupt controller knows.
    raised: bool,
}

impl Sink for Terminal {
    fn has_space(&self) -> bool {
        Self::has_space(self)
    }

    fn push(&mut self, byte: u8) {
        self.write(byte);
    }
}

/// The emulated devices of one partition.
#[derive(Debug)]
pub struct Platform {
    vgic: Mutex<Vgic>,
    uart: Mutex<Uart>,
    /// Bytes of redistributor frames.
    redistributors: u64,
    /// Physical lines of the partition's devices, one bit each.
    lines: [u32; 9],
    /// A `firmware` guest: the flash banks and the GPIO answer.
    flash: bool,
}

impl Platform {
    /// The devices of a partition with this many vCPUs and INTIDs, which owns these lines.
    #[must_use]
    pub fn new(vcpus: usize, intids: u32, lines: impl Iterator<Item = u32>, flash: bool) -> Self {
        let mut bits = [0u32; 9];
        for intid in lines {
            if let Some(word) = bits.get_mut(intid as usize / 32) {
                *word |= 1 << (intid % 32);
            }
        }
        Self {
            vgic: Mutex::new(Vgic::new(vcpus, intids)),
            uart: Mutex::new(Uart {
                model: Pl011::new(),
                terminal: Terminal::new(),
                raised: false,
            }),
            redistributors: vcpus as u64 * GICR_STRIDE,
            lines: bits,
            flash,
        }
    }

    /// All devices come out of reset.
    pub fn reset(&self) {
        self.vgic.lock().reset();
        let mut uart = self.uart.lock();
        uart.model.reset();
        uart.terminal.reset();
        uart.raised = false;
    }

    /// The physical lines that the partition owns.
    fn lines(&self) -> impl Iterator<Item = u32> + '_ {
        (0..288).filter(|intid| self.owns(*intid))
    }

    fn owns(&self, intid: u32) -> bool {
        self.lines.get(intid as usize / 32).is_some_and(|word| word & 1 << (intid % 32) != 0)
    }

    /// Lets the partition's devices interrupt vCPU 0's CPU.
    pub fn connect(&self, partition: &Partition) {
        if let Some(bell) = partition.bells.first() {
            gic::connect(self.lines(), super::mpidr_of(bell.cpu()));
        }
    }

    /// A load or store; the value is what a load gives.
    #[inline(always)]
    pub fn memory(
        &self,
        access: &MemoryAccess,
        vcpu: &mut Vcpu,
        partition: &Partition,
    ) -> Result<u64, GuestFault> {
        let address = access.address.get();
        if address.wrapping_sub(UART) < UART_SIZE {
            return Ok(self.uart(address - UART, access, vcpu, partition));
        }
        if address.wrapping_sub(GICD) < GICD_SIZE {
            return Ok(self.distributor(address - GICD, access, vcpu, partition));
        }
        if address.wrapping_sub(GICR) < self.redistributors {
            return Ok(self.redistributor(address - GICR, access, vcpu, partition));
        }
        self.others(address, access.size, access.direction, partition)
    }

    /// This architecture has no ports, so no guest gets here.
    ///
    /// # Errors
    /// Always.
    pub fn port(
        &self,
        _access: &PortAccess,
        _vcpu: &mut Vcpu,
        _partition: &Partition,
    ) -> Result<u64, GuestFault> {
        Err(GuestFault::Undefined)
    }

    /// The devices that are touched rarely.
    #[inline(never)]
    fn others(
        &self,
        address: u64,
        size: Size,
        direction: Direction,
        partition: &Partition,
    ) -> Result<u64, GuestFault> {
        let place = address.wrapping_sub(CHANNEL_REGISTERS) / CHANNEL_REGISTERS_STRIDE;
        let port = partition.channels.iter().find(|port| {
            port.registers == CHANNEL_REGISTERS + place.wrapping_mul(CHANNEL_REGISTERS_STRIDE)
        });
        if let Some(port) = port {
            let offset = address - port.registers;
            return Ok(match direction {
                Direction::Read => port.read(offset),
                Direction::Write(value) => {
                    port.write(offset, value);
                    0
                }
            });
        }
        if let (Some(mailbox), offset @ 0..PAGE) =
            (partition.mailbox(), address.wrapping_sub(MAILBOX_REGISTERS))
        {
            return Ok(mailbox.access(offset, direction, partition));
        }
        let gpio = address.wrapping_sub(GPIO) < GPIO_SIZE;
        match self.flash {
            true if gpio => Ok(0),
            true if address < FLASH_SIZE => Ok(size.mask()),
            _ => Err(GuestFault::NoDevice),
        }
    }

    #[inline(always)]
    fn distributor(
        &self,
        offset: u64,
        access: &MemoryAccess,
        vcpu: &mut Vcpu,
        partition: &Partition,
    ) -> u64 {
        let mut vgic = self.vgic.lock();
        let (value, kick) = match access.direction {
            Direction::Read => {
                let reading = vgic.read_distributor(vcpu.index(), offset, access.size, &Lists);
                (reading.value, reading.kick)
            }
            Direction::Write(value) => {
                (0, vgic.write_distributor(vcpu.index(), offset, access.size, value).kick)
            }
        };
        if kick != 0 {
            spread(kick, &mut vgic, vcpu, partition);
        }
        value
    }

    #[inline(always)]
    fn redistributor(
        &self,
        offset: u64,
        access: &MemoryAccess,
        vcpu: &mut Vcpu,
        partition: &Partition,
    ) -> u64 {
        let mut vgic = self.vgic.lock();
        let (value, kick) = match access.direction {
            Direction::Read => {
                let reading = vgic.read_redistributor(vcpu.index(), offset, access.size, &Lists);
                (reading.value, reading.kick)
            }
            Direction::Write(value) => {
                (0, vgic.write_redistributor(vcpu.index(), offset, access.size, value).kick)
            }
        };
        if kick != 0 {
            spread(kick, &mut vgic, vcpu, partition);
        }
        value
    }

    #[inline(always)]
    fn uart(
        &self,
        offset: u64,
        access: &MemoryAccess,
        vcpu: &mut Vcpu,
        partition: &Partition,
    ) -> u64 {
        const FLAGS: u64 = 0x18;
        let mut uart = self.uart.lock();
        let Uart { model, terminal, .. } = &mut *uart;
        let value = match access.direction {
            Direction::Read => model.read(offset, access.size, terminal).into(),
            Direction::Write(value) => {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "the UART's registers have 32 bits"
                )]
                model.write(offset, access.size, value as u32, terminal);
                0
            }
        };
        if offset != FLAGS {
            self.uart_touched(&mut uart, vcpu, partition);
        }
        value
    }

    /// After an access that may have changed something: what is typed moves on,
    /// complete lines are shown, and the interrupt follows.
    #[inline(never)]
    fn uart_touched(&self, uart: &mut Uart, vcpu: &mut Vcpu, partition: &Partition) {
        uart.terminal.written(partition.index, partition.name);
        feed(uart);
        let kick = self.uart_line(uart);
        if kick != 0 {
            spread(kick, &mut self.vgic.lock(), vcpu, partition);
        }
    }

    /// The interrupt controller learns the level of the UART's interrupt.
    fn uart_line(&self, uart: &mut Uart) -> u32 {
        let line = uart.model.line();
        if line == uart.raised {
            return 0;
        }
        uart.raised = line;
        let mut vgic = self.vgic.lock();
        let outcome = if line { vgic.raise(0, UART_INTID) } else { vgic.lower(0, UART_INTID) };
        outcome.kick
    }

    /// A time that a terminal wanted has come: unfinished lines are shown, and a
    /// guest that wrote too fast may go on.
    pub fn terminal_deadline(&self, vcpu: &mut Vcpu, partition: &Partition) {
        let mut uart = self.uart.lock();
        if uart.terminal.deadline(partition.index, partition.name) {
            uart.model.space_returned();
        }
        let kick = self.uart_line(&mut uart);
        if kick != 0 {
            spread(kick, &mut self.vgic.lock(), vcpu, partition);
        }
    }

    /// A byte was typed for this partition; false if it is dropped. Any CPU may call it.
    pub fn typed(&self, byte: u8, partition: &Partition) -> bool {
        let mut uart = self.uart.lock();
        let taken = uart.terminal.typed(byte);
        feed(&mut uart);
        let kick = self.uart_line(&mut uart);
        partition.ring(kick, Wish::REFRESH);
        taken
    }

    /// Shows the terminal to somebody. Any CPU may call it.
    pub fn terminal(&self, look: &mut dyn FnMut(&Terminal)) {
        look(&self.uart.lock().terminal);
    }

    /// The partition is, or is no longer, in focus.
    pub fn set_focus(&self, in_focus: bool) {
        self.uart.lock().terminal.set_focus(in_focus);
    }

    /// A trapped system register; the value is what a read gives.
    #[inline(always)]
    pub fn register(
        &self,
        access: &RegisterAccess,
        vcpu: &mut Vcpu,
        partition: &Partition,
    ) -> Result<(u64, Next), GuestFault> {
        let value = match access.direction {
            Direction::Read => return Ok((registers::read(access.number)?, Next::Resume)),
            Direction::Write(value) => value,
        };
        if access.number == registers::ICC_SGI1R {
            self.send(value, vcpu, partition);
            return Ok((0, Next::Resume));
        }
        if self.write_interface(access.number, value, vcpu, partition) {
            return Ok((0, Next::Resume));
        }
        Ok((0, registers::write(access.number, value, vcpu)?))
    }

    /// An SGI of this vCPU, by ICC_SGI1R_EL1.
    #[inline(always)]
    fn send(&self, value: u64, vcpu: &mut Vcpu, partition: &Partition) {
        let mut vgic = self.vgic.lock();
        let kick = vgic.send_sgi(vcpu.index(), SgiRegister::Sgi1, value).kick;
        if kick & 1 << vcpu.index() == 0 {
            partition.ring(kick, Wish::REFRESH);
        } else {
            spread(kick, &mut vgic, vcpu, partition);
        }
    }

    /// The other registers of the CPU interface that trap; false if it is none of them.
    #[inline(never)]
    fn write_interface(
        &self,
        number: u32,
        value: u64,
        vcpu: &mut Vcpu,
        partition: &Partition,
    ) -> bool {
        let mut vgic = self.vgic.lock();
        let kick = match number {
            registers::ICC_SGI0R => vgic.send_sgi(vcpu.index(), SgiRegister::Sgi0, value).kick,
            registers::ICC_ASGI1R => {
                vgic.send_sgi(vcpu.index(), SgiRegister::AliasSgi1, value).kick
            }
            // Traps while an active interrupt has no list register.
            registers::ICC_DIR => vgic.deactivate(vcpu.index(), (value & 0xff_ffff) as u32).kick,
            _ => return false,
        };
        spread(kick, &mut vgic, vcpu, partition);
        true
    }

    /// A physical interrupt of the vCPU's own came.
    #[inline(always)]
    pub fn raise_hardware(&self, intid: u32, vcpu: &mut Vcpu, partition: &Partition) {
        if intid > 31 && !self.owns(intid) {
            // Its owner ended in this very moment: nobody is left to take it.
            gic::disconnect(core::iter::once(intid));
            return;
        }
        let counters = vcpu.counters();
        if intid == VIRTUAL_TIMER_INTID {
            counters.late(super::time::virtual_timer_lateness());
        } else {
            counters.interrupted();
        }
        let mut vgic = self.vgic.lock();
        let kick = vgic.raise_hardware(vcpu.index(), intid, &mut Lists).kick;
        if kick != 0 {
            spread(kick, &mut vgic, vcpu, partition);
        }
    }

    /// An edge of an emulated device.
    pub fn pulse(&self, intid: u32, vcpu: &mut Vcpu, partition: &Partition) {
        let mut vgic = self.vgic.lock();
        let kick = vgic.pulse(0, intid).kick;
        spread(kick, &mut vgic, vcpu, partition);
    }

    /// Brings this vCPU's list registers up to date.
    #[inline(always)]
    pub fn refresh(&self, vcpu: &mut Vcpu, partition: &Partition) {
        vcpu.counters().interrupted();
        let kick = self.vgic.lock().refresh(vcpu.index(), &mut Lists).kick;
        if kick != 0 {
            partition.ring(kick, Wish::REFRESH);
        }
    }

    /// Whether an interrupt waits for the vCPU, masked or not.
    pub fn has_pending(&self, vcpu: &mut Vcpu, partition: &Partition) -> bool {
        crate::interrupt::refresh(vcpu, partition);
        vgic::has_pending(&Lists)
    }

    /// The vCPU goes off: its list registers are emptied, and with vCPU 0 the
    /// partition's device lines fall silent.
    pub fn park(&self, vcpu: &mut Vcpu, partition: &Partition) {
        let mut vgic = self.vgic.lock();
        let others = vgic.park(vcpu.index(), &mut Lists).kick & !(1 << vcpu.index());
        drop(vgic);
        partition.ring(others, Wish::REFRESH);
        if vcpu.index() == 0 {
            gic::disconnect(self.lines());
        }
    }
}

/// Lets the vCPUs in `kick` look at the interrupt controller again: this one at
/// once, the others by their bells.
#[inline(never)]
fn spread(kick: u32, vgic: &mut Vgic, vcpu: &mut Vcpu, partition: &Partition) {
    let own = 1 << vcpu.index();
    let mut others = kick;
    if kick & own != 0 {
        vcpu.counters().interrupted();
        let Outcome { kick, .. } = vgic.refresh(vcpu.index(), &mut Lists);
        others |= kick;
    }
    partition.ring(others & !own, Wish::REFRESH);
}

/// Moves what was typed into the UART's FIFO as far as it fits.
fn feed(uart: &mut Uart) {
    while let Some(byte) = uart.terminal.next_typed() {
        if !uart.model.receive(byte) {
            break;
        }
        uart.terminal.take_typed();
    }
}
