// SPDX-License-Identifier: MIT OR Apache-2.0
//! The 16550 at COM1, polled. A full FIFO is waited for, so nothing is lost.
//! Manual: PC16550D, "Registers".

use super::ports::{COM1, Port};
use super::{interrupts_are_masked, mask_interrupts};

const DATA: Port = COM1;
const FIFO_CONTROL: Port = COM1.at(2);
const LINE_CONTROL: Port = COM1.at(3);
const MODEM_CONTROL: Port = COM1.at(4);
const LINE_STATUS: Port = COM1.at(5);
const RECEIVED: u8 = 1 << 0;
const ROOM: u8 = 1 << 5;
const EMPTY: u8 = 1 << 6;

/// Sets it up anew: eight bits, one stop bit; FIFOs on and emptied; ready, interrupts wired through.
pub fn init() {
    LINE_CONTROL.write8(0x03);
    FIFO_CONTROL.write8(0x07);
    MODEM_CONTROL.write8(0x0b);
}

/// Writes one byte, waiting for room.
pub fn write_byte(byte: u8) {
    while LINE_STATUS.read8() & ROOM == 0 {
        // Bochs 2.7 holds the machine's interrupts back, and so what makes room, from a guest that
        // was entered with its own masked, until it masks them itself.
        if interrupts_are_masked() {
            mask_interrupts();
        }
        core::hint::spin_loop();
    }
    DATA.write8(byte);
}

/// Writes one byte without asking for room: what a careless guest does.
pub fn write_byte_regardless(byte: u8) {
    DATA.write8(byte);
}

/// Takes a received byte, if there is one.
#[must_use]
pub fn read_byte() -> Option<u8> {
    (LINE_STATUS.read8() & RECEIVED != 0).then(|| DATA.read8())
}

/// Waits until everything is out, for a while.
pub(super) fn flush() {
    let _ = (0..1_000_000).find(|_| LINE_STATUS.read8() & EMPTY != 0);
}
