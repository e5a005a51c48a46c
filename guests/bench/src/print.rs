// SPDX-License-Identifier: MIT OR Apache-2.0
//! Prints rows on a PL011. Decimal digits by hand: `core::fmt` alone would
//! double the size of a payload whose size is part of a measurement.

use crate::machine::{load, store};
use crate::spread::Spread;

/// Data register (PL011 manual, "Register descriptions").
const DR: u64 = 0x00;
/// Flag register.
pub(crate) const FR: u64 = 0x18;
/// Transmit FIFO full.
const FR_TXFF: u32 = 1 << 5;

/// A UART that takes whole lines.
pub(crate) struct Printer {
    uart: u64,
}

impl Printer {
    /// Prints on the PL011 at `uart`.
    pub(crate) fn new(uart: u64) -> Self {
        Self { uart }
    }

    /// One row: its name and what was counted, or that it is undefined here.
    #[inline(never)]
    pub(crate) fn row(&mut self, name: &str, spread: Option<Spread>) {
        self.text("bench: ");
        self.text(name);
        match spread {
            Some(spread) => {
                for count in [spread.smallest, spread.median, spread.largest] {
                    self.text(" ");
                    self.number(count);
                }
            }
            None => self.text(" none"),
        }
        self.text("\n");
    }

    /// Text as it is.
    #[inline(never)]
    pub(crate) fn text(&mut self, text: &str) {
        text.bytes().for_each(|byte| self.byte(byte));
    }

    fn number(&mut self, mut value: u64) {
        let mut digits = [0u8; 20];
        let mut used = 0;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (value % 10) as u8;
            value /= 10;
            used += 1;
            if value == 0 {
                break;
            }
        }
        digits.iter().skip(20 - used).for_each(|&digit| self.byte(digit));
    }

    fn byte(&mut self, byte: u8) {
        while load(self.uart + FR) & FR_TXFF != 0 {
            core::hint::spin_loop();
        }
        store(self.uart + DR, u32::from(byte));
    }
}
