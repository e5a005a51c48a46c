// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which port is whose. COM1 and ACPI's timer, which are read in loops, come first.

use super::{Bus, CLOCK, Outcome, Pc, Power, SCI};
use crate::Size;
use crate::pl011::Sink;

/// First port of each device.
mod port {
    pub(super) const COM1: u16 = 0x3f8;
    pub(super) const COM1_END: u16 = 0x400;
    pub(super) const BLOCK: u16 = 0x600;
    pub(super) const BLOCK_END: u16 = 0x60c;
    pub(super) const PM_TIMER: u16 = 0x608;
    pub(super) const PIT: u16 = 0x40;
    pub(super) const PIT_END: u16 = 0x44;
    pub(super) const GATE: u16 = 0x61;
    pub(super) const RESET: u16 = 0xcf9;
}

impl Pc {
    /// An IN; bytes above the size are zero.
    #[inline(always)]
    pub fn port_read(
        &mut self,
        port: u16,
        size: Size,
        bus: &Bus<'_>,
        sink: &mut impl Sink,
    ) -> (u64, Outcome) {
        if port == port::PM_TIMER && size == Size::Word {
            return (self.power.timer(bus.now).into(), Outcome::default());
        }
        if size == Size::Byte {
            let (byte, kick) = self.read_byte(port, bus, sink);
            return (byte.into(), Outcome::kick(kick));
        }
        if is_configuration(port) {
            return (size.mask(), Outcome::default());
        }
        let (mut value, mut kick) = (0, 0);
        for n in (0..size.bytes().min(4)).rev() {
            let (byte, more) = self.read_byte(port.wrapping_add((n & 3) as u16), bus, sink);
            value = value << 8 | u64::from(byte);
            kick |= more;
        }
        (value, Outcome::kick(kick))
    }

    #[inline(always)]
    fn read_byte(&mut self, port: u16, bus: &Bus<'_>, sink: &mut impl Sink) -> (u8, u32) {
        if port.wrapping_sub(port::COM1) < 8 {
            let byte = self.uart.read(port & 7, sink);
            return (byte, self.uart_line(bus));
        }
        self.read_other(port, bus)
    }

    #[inline(never)]
    fn read_other(&mut self, port: u16, bus: &Bus<'_>) -> (u8, u32) {
        let byte = match port {
            0x20 | 0x21 | 0xa0 | 0xa1 => {
                let kick = self.advance(bus);
                let byte = self.pics.read(port);
                // A poll acknowledges.
                return (byte, kick | self.tell_external(bus));
            }
            0x4d0 | 0x4d1 => self.pics.read_levels(port),
            port::PIT..port::PIT_END => self.pit.read(port, bus.now),
            port::GATE => self.pit.read_gate(bus.now),
            0x70 | 0x71 => {
                let byte = self.rtc.read(port, bus.now);
                // Register C takes the line down.
                return (byte, self.drive(CLOCK, self.rtc.line(), bus));
            }
            0x60 | 0x64 => self.keyboard.read(port),
            port::BLOCK..port::BLOCK_END => self.power.read(port, bus.now),
            port::RESET => self.reset_control,
            _ => 0xff,
        };
        (byte, 0)
    }

    /// An OUT.
    #[inline(always)]
    pub fn port_write(
        &mut self,
        port: u16,
        size: Size,
        value: u64,
        bus: &Bus<'_>,
        sink: &mut impl Sink,
    ) -> Outcome {
        let byte = (value & 0xff) as u8;
        if size == Size::Byte && port.wrapping_sub(port::COM1) < 8 {
            self.uart.write(port & 7, byte, sink);
            return Outcome::kick(self.uart_line(bus));
        }
        self.write_bytes(port, size, value, bus, sink)
    }

    #[inline(never)]
    fn write_bytes(
        &mut self,
        port: u16,
        size: Size,
        value: u64,
        bus: &Bus<'_>,
        sink: &mut impl Sink,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        if is_configuration(port) && size != Size::Byte {
            return outcome;
        }
        for n in 0..size.bytes().min(4) {
            let port = port.wrapping_add((n & 3) as u16);
            let byte = (value >> n.wrapping_mul(8) & 0xff) as u8;
            let next = match port {
                port::COM1..port::COM1_END => {
                    self.uart.write(port & 7, byte, sink);
                    Outcome::kick(self.uart_line(bus))
                }
                _ => self.write_byte(port, byte, bus),
            };
            outcome.kick |= next.kick;
            outcome.deadline = next.deadline.or(outcome.deadline);
            if next.power != Power::On {
                outcome.power = next.power;
            }
        }
        outcome
    }

    fn write_byte(&mut self, port: u16, byte: u8, bus: &Bus<'_>) -> Outcome {
        match port {
            // An end of interrupt, and what is no more: masks and times stay as they are.
            0x20 | 0xa0 if byte & 0x10 == 0 => {
                self.pics.write(port, byte);
                return Outcome::kick(self.tell_external(bus));
            }
            0x20 | 0x21 | 0xa0 | 0xa1 | 0x4d0 | 0x4d1 | port::PIT..port::PIT_END | 0x70 | 0x71 => {
                return self.write_timed(port, byte, bus);
            }
            port::GATE => self.pit.write_gate(byte, bus.now),
            0x60 | 0x64 if self.keyboard.write(port, byte) => {
                return Outcome { power: Power::Reset, ..Outcome::default() };
            }
            port::BLOCK..port::BLOCK_END => {
                let power = if self.power.write(port, byte) { Power::Off } else { Power::On };
                let kick = self.drive(SCI, self.power.line(), bus);
                return Outcome { kick, power, deadline: None };
            }
            port::RESET => {
                // A reset happens as bit 2 rises.
                let resets = byte & !self.reset_control & 4 != 0;
                self.reset_control = byte & 0xe;
                if resets {
                    return Outcome { power: Power::Reset, ..Outcome::default() };
                }
            }
            _ => {}
        }
        Outcome::default()
    }

    /// What has to do with interrupts that time makes.
    fn write_timed(&mut self, port: u16, byte: u8, bus: &Bus<'_>) -> Outcome {
        let mut kick = self.advance(bus);
        match port {
            0x20 | 0x21 | 0xa0 | 0xa1 => self.pics.write(port, byte),
            0x4d0 | 0x4d1 => self.pics.write_levels(port, byte),
            0x70 | 0x71 => {
                self.rtc.write(port, byte, bus.now);
                kick |= self.drive(CLOCK, self.rtc.line(), bus);
            }
            _ => self.pit.write(port, byte, bus.now),
        }
        kick |= self.tell_external(bus);
        Outcome { kick, power: Power::On, deadline: self.deadline(bus.now) }
    }
}

/// PCI's configuration ports, which nobody answers. The reset port among them is one for bytes
/// alone: an address with a certain device in it must not reset.
#[inline(always)]
const fn is_configuration(port: u16) -> bool {
    port & 0xfff8 == 0xcf8
}
