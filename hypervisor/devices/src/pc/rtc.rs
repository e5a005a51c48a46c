// SPDX-License-Identifier: MIT OR Apache-2.0
//! The MC146818 real-time clock and its 128 bytes of memory.
//!
//! Time runs in ticks of 32,768 Hz since 1970; registers are computed when they
//! are read. While the guest sets the time (SET), registers hold what it wrote.
//! Flags are brought up to date when somebody looks, and at the deadline that an
//! enabled interrupt asks for. The square wave, daylight saving and the divider's
//! test modes are not there.
//! MC146818 data sheet, "Registers", "Update Cycle", "Interrupts".

use super::date::{Date, alarm_after};
use super::rate::Rate;

/// Ticks in a second, and their logarithm.
const HZ: u64 = 32_768;
const SECOND: u32 = 15;
/// Ticks before an update in which "update in progress" is shown: 244 and 1,984 microseconds.
const UPDATE: u64 = 73;
/// Register B: the guest sets the time; periodic, alarm and update interrupt; binary; 24 hours.
const SET: u8 = 1 << 7;
const PERIODIC: u8 = 1 << 6;
const ALARM: u8 = 1 << 5;
const UPDATED: u8 = 1 << 4;
const BINARY: u8 = 1 << 2;
const HOURS_24: u8 = 1 << 1;
const INTERRUPTS: u8 = PERIODIC | ALARM | UPDATED;
/// The register of the century, as the FADT names it.
const CENTURY: u8 = 0x32;

/// The clock.
#[derive(Clone, Debug)]
pub(super) struct Rtc {
    rate: Rate,
    /// Ticks since 1970 when the TSC was zero, modulo 2^64.
    offset: u64,
    /// Up to when flags are up to date, in ticks since 1970.
    seen: u64,
    index: u8,
    a: u8,
    b: u8,
    flags: u8,
    /// The time while the guest sets it.
    frozen: Option<Date>,
    memory: [u8; 128],
}

impl Rtc {
    pub(super) const fn new(tsc_hz: u64, epoch: u64) -> Self {
        let offset = epoch.wrapping_shl(SECOND);
        Self {
            rate: Rate::new(HZ, tsc_hz),
            offset,
            seen: offset,
            index: 0,
            a: 0x26,
            b: HOURS_24,
            flags: 0,
            frozen: None,
            memory: [0; 128],
        }
    }

    /// Power-up: the time goes on, memory is cleared.
    pub(super) const fn reset(&mut self) {
        self.index = 0;
        self.a = 0x26;
        self.b = HOURS_24;
        self.flags = 0;
        self.frozen = None;
        self.memory = [0; 128];
    }

    const fn ticks(&self, now: u64) -> u64 {
        self.rate.count(now).wrapping_add(self.offset)
    }

    /// Reads port 0x70 or 0x71.
    pub(super) fn read(&mut self, port: u16, now: u64) -> u8 {
        if port & 1 == 0 {
            return 0xff;
        }
        let ticks = self.ticks(now);
        match self.index {
            0xa => {
                let left = HZ.wrapping_sub(ticks & HZ.wrapping_sub(1));
                let updating = left <= UPDATE && self.b & SET == 0;
                self.a | u8::from(updating) << 7
            }
            0xb => self.b,
            0xc => {
                self.advance(now);
                let line = u8::from(self.line()) << 7;
                core::mem::take(&mut self.flags) | line
            }
            0xd => 0x80,
            0 | 2 | 4 | 6..=9 | CENTURY => {
                let date = self.frozen.unwrap_or_else(|| Date::at(ticks >> SECOND));
                self.show(self.index, &date)
            }
            other => self.memory.get(usize::from(other)).copied().unwrap_or(0),
        }
    }

    /// Writes port 0x70 or 0x71.
    pub(super) fn write(&mut self, port: u16, byte: u8, now: u64) {
        if port & 1 == 0 {
            // Bit 7 masks NMI, of which there is none.
            self.index = byte & 0x7f;
            return;
        }
        match self.index {
            0xa => self.a = byte & 0x7f,
            0xb => self.set_b(byte, now),
            0xc | 0xd => {}
            0 | 2 | 4 | 6..=9 | CENTURY => self.set_field(byte, now),
            other => {
                if let Some(slot) = self.memory.get_mut(usize::from(other)) {
                    *slot = byte;
                }
            }
        }
    }

    fn set_b(&mut self, byte: u8, now: u64) {
        if byte & SET != 0 && self.frozen.is_none() {
            self.frozen = Some(Date::at(self.ticks(now) >> SECOND));
        }
        self.b = byte;
        if byte & SET != 0 {
            self.b &= !UPDATED;
        } else if let Some(date) = self.frozen.take() {
            self.set(&date, now);
        }
    }

    /// The clock stands at the start of this second.
    fn set(&mut self, date: &Date, now: u64) {
        let ticks = date.seconds().wrapping_shl(SECOND);
        self.offset = ticks.wrapping_sub(self.rate.count(now));
        self.seen = ticks;
    }

    fn set_field(&mut self, byte: u8, now: u64) {
        let mut date = self.frozen.unwrap_or_else(|| Date::at(self.ticks(now) >> SECOND));
        let value = self.number(byte);
        match self.index {
            0 => date.second = value,
            2 => date.minute = value,
            4 => date.hour = self.hour(byte),
            6 => date.weekday = value,
            7 => date.day = value,
            8 => date.month = value,
            9 => date.year = value,
            _ => date.century = value,
        }
        match &mut self.frozen {
            Some(frozen) => *frozen = date,
            None => self.set(&date, now),
        }
    }

    /// A register's content as the guest reads it.
    fn show(&self, register: u8, date: &Date) -> u8 {
        let number = match register {
            0 => date.second,
            2 => date.minute,
            4 if self.b & HOURS_24 == 0 => {
                let hour = match date.hour % 12 {
                    0 => 12,
                    hour => hour,
                };
                let afternoon = u8::from(date.hour >= 12) << 7;
                return self.digits(hour) | afternoon;
            }
            4 => date.hour,
            6 => date.weekday,
            7 => date.day,
            8 => date.month,
            9 => date.year,
            _ => date.century,
        };
        self.digits(number)
    }

    const fn digits(&self, number: u8) -> u8 {
        if self.b & BINARY != 0 { number } else { (number / 10 % 16) << 4 | (number % 10) }
    }

    const fn number(&self, byte: u8) -> u8 {
        if self.b & BINARY != 0 {
            byte
        } else {
            (byte >> 4).wrapping_mul(10).wrapping_add(byte & 15)
        }
    }

    /// An hour from 0 to 23, or something that no clock shows.
    const fn hour(&self, byte: u8) -> u8 {
        if self.b & HOURS_24 != 0 {
            return self.number(byte);
        }
        let hour = self.number(byte & 0x7f) % 12;
        if byte & 0x80 == 0 { hour } else { hour.wrapping_add(12) }
    }

    /// What the alarm waits for: a number, or nothing in particular.
    const fn alarm(&self) -> [Option<u8>; 3] {
        let [_, second, _, minute, _, hour, ..] = self.memory;
        [
            if second >= 0xc0 { None } else { Some(self.number(second)) },
            if minute >= 0xc0 { None } else { Some(self.number(minute)) },
            if hour >= 0xc0 { None } else { Some(self.hour(hour)) },
        ]
    }

    /// The logarithm of the periodic interrupt's ticks.
    const fn period(&self) -> Option<u32> {
        match self.a & 15 {
            0 => None,
            rate @ 1..=2 => Some(rate.wrapping_add(6) as u32),
            rate => Some(rate.wrapping_sub(1) as u32),
        }
    }

    /// Time has passed: flags rise.
    pub(super) fn advance(&mut self, now: u64) {
        let (before, ticks) = (self.seen, self.ticks(now));
        if ticks <= before {
            return;
        }
        self.seen = ticks;
        if self.period().is_some_and(|period| ticks >> period != before >> period) {
            self.flags |= PERIODIC;
        }
        let (second, last) = (before >> SECOND, ticks >> SECOND);
        if second != last && self.frozen.is_none() {
            self.flags |= UPDATED;
            if alarm_after(second, self.alarm()).is_some_and(|alarm| alarm <= last) {
                self.flags |= ALARM;
            }
        }
    }

    /// The level of the interrupt.
    pub(super) const fn line(&self) -> bool {
        self.flags & self.b & INTERRUPTS != 0
    }

    /// When an enabled interrupt comes next. One that waits already does not come again.
    pub(super) fn deadline(&self, now: u64) -> Option<u64> {
        let wanted = self.b & INTERRUPTS;
        if wanted == 0 || self.line() {
            return None;
        }
        let ticks = self.ticks(now);
        let next = |shift: u32| {
            (ticks.wrapping_shr(shift)).wrapping_add(1).checked_shl(shift).unwrap_or(u64::MAX)
        };
        let periodic = self.period().filter(|_| wanted & PERIODIC != 0).map(next);
        let running = self.frozen.is_none();
        let updated = (running && wanted & UPDATED != 0).then(|| next(SECOND));
        let alarm = (running && wanted & ALARM != 0)
            .then(|| alarm_after(ticks >> SECOND, self.alarm()))
            .flatten()
            .map(|second| second.wrapping_shl(SECOND));
        let first = [periodic, updated, alarm].into_iter().flatten().min()?;
        Some(now.saturating_add(self.rate.wait(first.saturating_sub(ticks))))
    }
}
