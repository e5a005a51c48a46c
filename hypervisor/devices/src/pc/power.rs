// SPDX-License-Identifier: MIT OR Apache-2.0
//! ACPI's power management block: event and control registers, and the timer.
//!
//! The guest is in ACPI mode from the start (SCI_EN is one, there is no SMI
//! command port). Of the events only the power button ever happens; the
//! timer's carry is not reported.
//! ACPI specification, "PM1 Event Grouping", "PM1 Control Grouping", "Power Management Timer".

use super::rate::Rate;

/// Counts of the timer in a second.
const HZ: u64 = 3_579_545;
/// Event of the power button, in the status and enable registers.
const BUTTON: u16 = 1 << 8;
/// Events that a guest can enable: timer, global lock, buttons, RTC.
const EVENTS: u16 = 0x0721;
/// Control: SCI_EN, bus master reload; sleep type; sleep enable.
const SCI_ENABLED: u16 = 1;
const KEPT: u16 = 0x1c02;
const SLEEP: u16 = 1 << 13;
const SLEEP_TYPE: u16 = 7 << 10;
/// The sleep type that the DSDT gives for S5.
const OFF: u16 = 5 << 10;

/// The block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    rate: Rate,
    status: u16,
    enabled: u16,
    control: u16,
}

impl Block {
    pub(super) const fn new(tsc_hz: u64) -> Self {
        Self { rate: Rate::new(HZ, tsc_hz), status: 0, enabled: 0, control: SCI_ENABLED }
    }

    pub(super) const fn reset(&mut self) {
        self.status = 0;
        self.enabled = 0;
        self.control = SCI_ENABLED;
    }

    /// The timer.
    #[inline]
    pub(super) const fn timer(&self, now: u64) -> u32 {
        (self.rate.count(now) & 0xffff_ffff) as u32
    }

    /// Reads port 0x600 to 0x60b.
    pub(super) fn read(&self, port: u16, now: u64) -> u8 {
        let [timer0, timer1, timer2, timer3] = self.timer(now).to_le_bytes();
        let half = |register: u16| if port & 1 == 0 { register } else { register >> 8 };
        let byte = match port & 15 {
            0 | 1 => half(self.status),
            2 | 3 => half(self.enabled),
            4 | 5 => half(self.control),
            8 => timer0.into(),
            9 => timer1.into(),
            10 => timer2.into(),
            11 => timer3.into(),
            _ => 0xff,
        };
        (byte & 0xff) as u8
    }

    /// Writes port 0x600 to 0x60b; true if the partition is to be switched off.
    pub(super) const fn write(&mut self, port: u16, byte: u8) -> bool {
        let high = port & 1 != 0;
        let (value, other) =
            if high { ((byte as u16) << 8, 0x00ff) } else { (byte as u16, 0xff00) };
        match port & 15 {
            0 | 1 => self.status &= !value,
            2 | 3 => self.enabled = self.enabled & other | value & EVENTS,
            4 | 5 => {
                self.control = self.control & other | value & KEPT | SCI_ENABLED;
                return value & SLEEP != 0 && self.control & SLEEP_TYPE == OFF;
            }
            _ => {}
        }
        false
    }

    /// The level of the SCI.
    pub(super) const fn line(&self) -> bool {
        self.status & self.enabled != 0
    }

    /// Somebody presses the power button.
    pub(super) const fn press(&mut self) {
        self.status |= BUTTON;
    }
}
