// SPDX-License-Identifier: MIT OR Apache-2.0
//! The PL011, polled. A full FIFO is waited for, so nothing is lost.
//! Manual: PrimeCell UART (PL011) TRM, "Register descriptions".

use super::UART;

const DATA: u64 = 0x00;
const FLAGS: u64 = 0x18;
const LINE_CONTROL: u64 = 0x2c;
const CONTROL: u64 = 0x30;
const TRANSMIT_FULL: u32 = 1 << 5;
const RECEIVE_EMPTY: u32 = 1 << 4;

/// Sets it up anew: eight bits, FIFOs; on, both directions. The platform does so before a guest starts.
pub fn init() {
    UART.write32(LINE_CONTROL, 0x70);
    UART.write32(CONTROL, 0x301);
}

/// Writes one byte, waiting for room.
pub fn write_byte(byte: u8) {
    while UART.read32(FLAGS) & TRANSMIT_FULL != 0 {
        core::hint::spin_loop();
    }
    UART.write32(DATA, byte.into());
}

/// Writes one byte without asking for room: what a careless guest does.
pub fn write_byte_regardless(byte: u8) {
    UART.write32(DATA, byte.into());
}

/// Takes a received byte, if there is one.
#[must_use]
pub fn read_byte() -> Option<u8> {
    (UART.read32(FLAGS) & RECEIVE_EMPTY == 0).then(|| (UART.read32(DATA) & 0xff) as u8)
}
