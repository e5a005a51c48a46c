// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine's clock, read once, so that guests find the date.
//!
//! MC146818 data sheet, "Time, Calendar and Alarm Locations", "Update Cycle".

use super::super::sysreg::{inb, outb};

const INDEX: u16 = 0x70;
const DATA: u16 = 0x71;
const STATUS_A: u8 = 10;
const STATUS_B: u8 = 11;
const UPDATING: u8 = 1 << 7;
const BINARY: u8 = 1 << 2;
const HOURS_24: u8 = 1 << 1;
/// Looks at the clock before it is taken for broken.
const PATIENCE: usize = 100_000;

fn read_register(number: u8) -> u8 {
    outb(INDEX, number);
    inb(DATA)
}

/// Second, minute, hour, day, month, year.
fn registers() -> [u8; 6] {
    [0, 2, 4, 7, 8, 9].map(read_register)
}

/// Seconds since 1970, in this century.
pub(super) fn read() -> u64 {
    for _ in 0..PATIENCE {
        if read_register(STATUS_A) & UPDATING != 0 {
            continue;
        }
        let found = registers();
        if found == registers() {
            return seconds(found, read_register(STATUS_B));
        }
    }
    0
}

/// Seconds since 1970 of what the registers hold.
fn seconds(registers: [u8; 6], status: u8) -> u64 {
    let afternoon = status & HOURS_24 == 0 && registers[2] & 0x80 != 0;
    let number = |byte: u8| match status & BINARY {
        0 => u64::from(byte >> 4) * 10 + u64::from(byte & 15),
        _ => u64::from(byte),
    };
    let [second, minute, mut hour, day, month, year] =
        [registers[0], registers[1], registers[2] & 0x7f, registers[3], registers[4], registers[5]]
            .map(number);
    let (year, month, day) = (2000 + year, month.max(1), day.max(1));
    if status & HOURS_24 == 0 {
        hour = hour % 12 + if afternoon { 12 } else { 0 };
    }
    // Days since 1 March of the year 0: a leap day is its year's last (Howard Hinnant,
    // "chrono-Compatible Low-Level Date Algorithms").
    let (years, months) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = years * 365 + years / 4 - years / 100 + years / 400 + (153 * months + 2) / 5 + day;
    (((days - 1).saturating_sub(719_468) * 24 + hour) * 60 + minute) * 60 + second
}
