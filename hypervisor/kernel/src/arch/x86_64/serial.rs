// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine's console: a 16550 at COM1, or where ACPI's SPCR says.
//!
//! PC16550D data sheet, "Registers".

use super::sysreg::{inb, outb};
use crate::acpi::Uart;

/// COM1, which is the console where ACPI names no other.
pub(super) const COM1: Uart = Uart { port: 0x3f8, irq: 4, divisor: 1 };
/// Bytes that the transmitter takes when it is empty.
const FIFO: u8 = 16;

const DATA: u16 = 0;
const INTERRUPT_ENABLE: u16 = 1;
const FIFO_CONTROL: u16 = 2;
const INTERRUPT_IDENTITY: u16 = 2;
const LINE_CONTROL: u16 = 3;
const MODEM_CONTROL: u16 = 4;
const LINE_STATUS: u16 = 5;

const RECEIVED: u8 = 1;
const ROOM: u8 = 1 << 5;
const IDLE: u8 = 1 << 6;

/// The physical UART.
#[derive(Debug)]
pub struct Serial {
    /// Its first port.
    port: u16,
    /// Bytes that the FIFO still takes before the status must be looked at.
    room: u8,
}

impl Serial {
    /// The UART with eight bits and its receive interrupt on; none if nothing answers.
    ///
    /// # Safety
    /// Nothing else may use its ports any more.
    #[must_use]
    pub(super) unsafe fn new(uart: Uart) -> Option<Self> {
        let serial = Self { port: uart.port, room: 0 };
        if serial.read(LINE_STATUS) == 0xff {
            return None;
        }
        serial.write(INTERRUPT_ENABLE, 0);
        if uart.divisor != 0 {
            serial.write(LINE_CONTROL, 0x80);
            serial.write(DATA, uart.divisor);
            serial.write(INTERRUPT_ENABLE, 0);
        }
        serial.write(LINE_CONTROL, 3);
        serial.write(FIFO_CONTROL, 0x07);
        // DTR, RTS, and OUT2, which gates the interrupt on a PC.
        serial.write(MODEM_CONTROL, 0x0b);
        serial.write(INTERRUPT_ENABLE, 1);
        Some(serial)
    }

    /// Turns the interrupt of a UART off that is not the console any more.
    pub(super) fn silence(uart: Uart) {
        outb(uart.port + INTERRUPT_ENABLE, 0);
    }

    fn read(&self, register: u16) -> u8 {
        inb(self.port + register)
    }

    fn write(&self, register: u16, value: u8) {
        outb(self.port + register, value);
    }

    /// Sends a byte; false if there is no room.
    pub fn send(&mut self, byte: u8) -> bool {
        if self.room == 0 {
            if self.read(LINE_STATUS) & ROOM == 0 {
                return false;
            }
            self.room = FIFO;
        }
        self.room -= 1;
        self.write(DATA, byte);
        true
    }

    /// Whether the last byte has left.
    #[must_use]
    pub fn sent(&self) -> bool {
        self.read(LINE_STATUS) & IDLE != 0
    }

    /// Takes a received byte. Once none is left, the interrupt's cause is read, so that the
    /// line falls and the next byte is an edge.
    pub fn receive(&mut self) -> Option<u8> {
        if self.read(LINE_STATUS) & RECEIVED != 0 {
            return Some(self.read(DATA));
        }
        let _ = self.read(INTERRUPT_IDENTITY);
        (self.read(LINE_STATUS) & RECEIVED != 0).then(|| self.read(DATA))
    }
}
