// SPDX-License-Identifier: MIT OR Apache-2.0
//! The I/O APIC, with 24 pins.
//!
//! Always: a pin that is triggered by level and whose interrupt was sent has its
//! remote IRR set until a vCPU ends the interrupt; then it is sent again if the
//! line is still high. An edge that comes while its pin is masked is lost. A
//! pin's polarity is remembered and does nothing: lines say whether they are
//! asserted. ExtINT sends nothing, as the 8259 is not behind a pin.
//! Intel 82093AA data sheet, "I/O APIC Registers"; the EOI register is version 0x20's.

use super::Bus;
use crate::Size;
use crate::apic::{Delivery, Destination, Message};

/// Pins.
pub(super) const PINS: u8 = 24;
/// Version 0x20, and the number of the last pin.
const VERSION: u32 = 0x0017_0020;
/// Bits of an entry.
const REMOTE: u64 = 1 << 14;
const LEVEL: u64 = 1 << 15;
const MASKED: u64 = 1 << 16;
const WRITABLE: u64 = 0xff00_0000_0001_afff;

/// The I/O APIC.
#[derive(Clone, Debug)]
pub(super) struct IoApic {
    select: u8,
    id: u8,
    /// Levels of its pins.
    lines: u32,
    entries: [u64; PINS as usize],
}

impl IoApic {
    pub(super) const fn new() -> Self {
        Self { select: 0, id: 0, lines: 0, entries: [MASKED; PINS as usize] }
    }

    #[must_use]
    pub(super) fn read(&self, offset: u64, size: Size) -> u64 {
        let value = match offset {
            0x00 => self.select.into(),
            0x10 => self.window(),
            _ => 0,
        };
        u64::from(value) & size.mask()
    }

    /// Writes; says whom to kick.
    pub(super) fn write(&mut self, offset: u64, size: Size, value: u64, bus: &Bus<'_>) -> u32 {
        let byte = (value & 0xff) as u8;
        match offset {
            0x00 => self.select = byte,
            // Half a redistribution entry's half would be a vector without a mask.
            0x10 if size >= Size::Word => return self.set_window(value & 0xffff_ffff, bus),
            0x40 => return self.end(byte, bus),
            _ => {}
        }
        0
    }

    fn window(&self) -> u32 {
        match self.select {
            0 | 2 => u32::from(self.id) << 24,
            1 => VERSION,
            register => {
                let (pin, shift) = place(register);
                let entry = self.entries.get(pin).copied().unwrap_or(0);
                (entry.wrapping_shr(shift) & 0xffff_ffff) as u32
            }
        }
    }

    fn set_window(&mut self, value: u64, bus: &Bus<'_>) -> u32 {
        if self.select == 0 {
            self.id = (value >> 24 & 0xf) as u8;
        }
        let (pin, shift) = place(self.select);
        let Some(entry) = self.entries.get_mut(pin) else { return 0 };
        let kept = *entry & !0xffff_ffff_u64.wrapping_shl(shift) & WRITABLE;
        let remote = *entry & REMOTE;
        *entry = kept | value.wrapping_shl(shift) & WRITABLE;
        // Becoming an edge is the documented way to forget a level.
        if *entry & LEVEL != 0 {
            *entry |= remote;
        }
        self.send_level(pin, bus)
    }

    /// A pin's line rises or falls; says whom to kick.
    #[inline]
    pub(super) fn set_line(&mut self, pin: u8, high: bool, bus: &Bus<'_>) -> u32 {
        let bit = 1u32.wrapping_shl(pin.into());
        let rises = high && self.lines & bit == 0;
        self.lines = if high { self.lines | bit } else { self.lines & !bit };
        if rises { self.rise(pin.into(), bus) } else { 0 }
    }

    fn rise(&mut self, pin: usize, bus: &Bus<'_>) -> u32 {
        match self.entries.get(pin) {
            Some(entry) if entry & LEVEL != 0 => self.send_level(pin, bus),
            Some(entry) if entry & MASKED == 0 => message(*entry).deliver(0, bus.apics),
            _ => 0,
        }
    }

    /// A pin triggered by level sends if it is high, not masked, and not waiting for an end.
    fn send_level(&mut self, pin: usize, bus: &Bus<'_>) -> u32 {
        let Some(entry) = self.entries.get_mut(pin) else { return 0 };
        let high = u64::from(self.lines) >> (pin & 31) & 1 != 0;
        if !high || *entry & (LEVEL | MASKED | REMOTE) != LEVEL {
            return 0;
        }
        let message = message(*entry);
        if message.level {
            *entry |= REMOTE;
        }
        message.deliver(0, bus.apics)
    }

    /// An interrupt triggered by level ended; says whom to kick.
    pub(super) fn end(&mut self, vector: u8, bus: &Bus<'_>) -> u32 {
        let mut kick = 0;
        for pin in 0..self.entries.len() {
            let Some(entry) = self.entries.get_mut(pin) else { continue };
            if *entry & REMOTE != 0 && *entry & 0xff == u64::from(vector) {
                *entry &= !REMOTE;
                kick |= self.send_level(pin, bus);
            }
        }
        kick
    }

    /// Whether a pin cannot interrupt now.
    pub(super) fn is_masked(&self, pin: usize) -> bool {
        self.entries.get(pin).is_none_or(|entry| entry & MASKED != 0)
    }
}

/// The pin that a register of the window belongs to, and where in its entry it is.
const fn place(register: u8) -> (usize, u32) {
    ((register >> 1).wrapping_sub(8) as usize, if register & 1 == 0 { 0 } else { 32 })
}

/// What an entry sends. Only an interrupt can be ended, so only it has a level.
fn message(entry: u64) -> Message {
    let delivery = Delivery::from_bits((entry >> 8 & 7) as u32);
    let interrupt = matches!(delivery, Delivery::Fixed | Delivery::Lowest);
    Message {
        vector: (entry & 0xff) as u8,
        delivery,
        level: interrupt && entry & LEVEL != 0,
        destination: Destination::narrow((entry >> 56) as u8, entry & 1 << 11 != 0),
    }
}
