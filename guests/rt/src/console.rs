// SPDX-License-Identifier: MIT OR Apache-2.0
//! The PL011, polled. A full FIFO is waited for, so nothing is lost.
//! Manual: PrimeCell UART (PL011) TRM, "Register descriptions".

use crate::machine::{UART, mmu_is_on, without_interrupts};
use core::fmt::{self, Write};
use spin::Mutex;

const DATA: u64 = 0x00;
const FLAGS: u64 = 0x18;
const TRANSMIT_FULL: u32 = 1 << 5;
const RECEIVE_EMPTY: u32 = 1 << 4;

/// Keeps the lines of several CPUs apart.
static LINE: Mutex<()> = Mutex::new(());

/// Writes as it comes, with interrupts as they are: for a guest where one task prints.
#[derive(Clone, Copy, Debug)]
pub struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(write_byte);
        Ok(())
    }
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

/// Prints in one piece. Without the MMU locks do not work, so a guest turns it on before a second CPU prints.
pub fn print(text: fmt::Arguments<'_>) {
    without_interrupts(|| {
        let _line = mmu_is_on().then(|| LINE.lock());
        let _ = Console.write_fmt(text);
    });
}

/// Prints to the console.
#[macro_export]
macro_rules! print {
    ($($text:tt)*) => { $crate::console::print(format_args!($($text)*)) };
}

/// Prints a line to the console.
#[macro_export]
macro_rules! println {
    () => { $crate::print!("\n") };
    ($($text:tt)*) => { $crate::console::print(format_args!("{}\n", format_args!($($text)*))) };
}
