// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine's console: a 16550 at COM1.
//!
//! PC16550D data sheet, "Registers".

use super::sysreg::{inb, outb};

/// First port of COM1.
pub(super) const COM1: u16 = 0x3f8;
/// Its line, where ACPI says nothing else.
pub(super) const COM1_IRQ: u8 = 4;
/// Bytes that the transmitter takes when it is empty.
const FIFO: u8 = 16;

const DATA: u16 = COM1;
const INTERRUPT_ENABLE: u16 = COM1 + 1;
const FIFO_CONTROL: u16 = COM1 + 2;
const INTERRUPT_IDENTITY: u16 = COM1 + 2;
const LINE_CONTROL: u16 = COM1 + 3;
const MODEM_CONTROL: u16 = COM1 + 4;
const LINE_STATUS: u16 = COM1 + 5;

const RECEIVED: u8 = 1;
const ROOM: u8 = 1 << 5;
const IDLE: u8 = 1 << 6;

/// The physical UART.
#[derive(Debug)]
pub struct Serial {
    /// Bytes that the FIFO still takes before the status must be looked at.
    room: u8,
}

impl Serial {
    /// COM1 at 115200 baud, eight bits, with its receive interrupt on; none if nothing answers.
    ///
    /// # Safety
    /// Nothing else may use its ports any more.
    #[must_use]
    pub(super) unsafe fn new() -> Option<Self> {
        if inb(LINE_STATUS) == 0xff {
            return None;
        }
        outb(INTERRUPT_ENABLE, 0);
        outb(LINE_CONTROL, 0x80);
        outb(DATA, 1);
        outb(INTERRUPT_ENABLE, 0);
        outb(LINE_CONTROL, 3);
        outb(FIFO_CONTROL, 0x07);
        // DTR, RTS, and OUT2, which gates the interrupt on a PC.
        outb(MODEM_CONTROL, 0x0b);
        outb(INTERRUPT_ENABLE, 1);
        Some(Self { room: 0 })
    }

    /// Sends a byte; false if there is no room.
    pub fn send(&mut self, byte: u8) -> bool {
        if self.room == 0 {
            if inb(LINE_STATUS) & ROOM == 0 {
                return false;
            }
            self.room = FIFO;
        }
        self.room -= 1;
        outb(DATA, byte);
        true
    }

    /// Whether the last byte has left.
    #[must_use]
    pub fn sent(&self) -> bool {
        inb(LINE_STATUS) & IDLE != 0
    }

    /// Takes a received byte. Once none is left, the interrupt's cause is read, so that the
    /// line falls and the next byte is an edge.
    pub fn receive(&mut self) -> Option<u8> {
        if inb(LINE_STATUS) & RECEIVED != 0 {
            return Some(inb(DATA));
        }
        let _ = inb(INTERRUPT_IDENTITY);
        (inb(LINE_STATUS) & RECEIVED != 0).then(|| inb(DATA))
    }
}
