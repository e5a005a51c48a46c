// SPDX-License-Identifier: MIT OR Apache-2.0
//! The console UART, polled. A full FIFO is waited for, so nothing is lost.

pub use crate::machine::uart::{init, read_byte, write_byte, write_byte_regardless};

use crate::machine::{mmu_is_on, without_interrupts};
use core::fmt::{self, Write};
use spin::Mutex;

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
