// SPDX-License-Identifier: MIT OR Apache-2.0
//! The 16550 of the second serial line, by its transmit interrupt. The FIFOs
//! stay off: each byte interrupts.
//! Manual: PC16550D, "Registers", "Interrupt Identification Register".

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use guest_rt::interrupts;
use guest_rt::machine::ports::{COM2, Port};

/// Its interrupt, line 3 of the I/O APIC.
pub(crate) const INTID: u32 = interrupts::line(3);

const DATA: Port = COM2;
const DIVISOR_LOW: Port = COM2;
const DIVISOR_HIGH: Port = COM2.at(1);
const INTERRUPT_ENABLE: Port = COM2.at(1);
const IDENTIFICATION: Port = COM2.at(2);
const FIFO_CONTROL: Port = COM2.at(2);
const LINE_CONTROL: Port = COM2.at(3);
const MODEM_CONTROL: Port = COM2.at(4);
const LINE_STATUS: Port = COM2.at(5);
const MODEM_STATUS: Port = COM2.at(6);
const SCRATCH: Port = COM2.at(7);

/// Divisor of 115200 baud.
const DIVISOR: u8 = 1;
const DIVISOR_ACCESS: u8 = 0x80;
const EIGHT_BITS: u8 = 0x03;
/// DTR, RTS, and OUT2, which lets the interrupt out of a PC's serial card.
const READY: u8 = 0x0b;
const TRANSMIT_INTERRUPT: u8 = 1 << 1;
/// What an identification says in bits 3:0.
const NOTHING: u8 = 0x1;
const TRANSMIT: u8 = 0x2;
const RECEIVED: u8 = 0x4;
const LINE: u8 = 0x6;

/// The number that is being written, and how many of its bytes are out.
static NUMBER: AtomicU64 = AtomicU64::new(0);
static OUT: AtomicU64 = AtomicU64::new(0);

/// Bytes of a line: what comes before the number's digits, 16 of those, the end.
const TEXT: &[u8; 7] = b"serial ";
const DIGITS: u64 = 16;
const LENGTH: u64 = TEXT.len() as u64 + DIGITS + 2;

/// Sets the line up; whether there is one.
pub(crate) fn start() -> bool {
    SCRATCH.write8(0x5a);
    if SCRATCH.read8() != 0x5a {
        return false;
    }
    INTERRUPT_ENABLE.write8(0);
    LINE_CONTROL.write8(EIGHT_BITS | DIVISOR_ACCESS);
    DIVISOR_LOW.write8(DIVISOR);
    DIVISOR_HIGH.write8(0);
    LINE_CONTROL.write8(EIGHT_BITS);
    FIFO_CONTROL.write8(0);
    MODEM_CONTROL.write8(READY);
    true
}

/// Begins to write the line of `number`; how many bytes it has. Turning the interrupt on asks for the first byte.
pub(crate) fn send(number: u64) -> u64 {
    NUMBER.store(number, Relaxed);
    OUT.store(0, Relaxed);
    INTERRUPT_ENABLE.write8(TRANSMIT_INTERRUPT);
    LENGTH
}

/// Answers the interrupt; whether the line is out.
///
/// The interrupt is an edge, so everything that the UART has is taken before the handler ends.
pub(crate) fn interrupted() -> bool {
    let mut done = false;
    for _ in 0..LENGTH {
        match IDENTIFICATION.read8() & 0xf {
            TRANSMIT => done |= transmit(),
            RECEIVED => drop(DATA.read8()),
            LINE => drop(LINE_STATUS.read8()),
            NOTHING => break,
            _ => drop(MODEM_STATUS.read8()),
        }
    }
    done
}

/// Writes the next byte, or turns the interrupt off after the last; whether it was the last.
fn transmit() -> bool {
    let at = OUT.fetch_add(1, Relaxed);
    if at < LENGTH {
        DATA.write8(byte(at));
        return false;
    }
    INTERRUPT_ENABLE.write8(0);
    true
}

fn byte(at: u64) -> u8 {
    match at.checked_sub(TEXT.len() as u64) {
        None => TEXT[at as usize],
        Some(digit) if digit < DIGITS => {
            let place = 10u64.pow((DIGITS - 1 - digit) as u32);
            b'0' + (NUMBER.load(Relaxed) / place % 10) as u8
        }
        Some(DIGITS) => b'\r',
        Some(_) => b'\n',
    }
}
