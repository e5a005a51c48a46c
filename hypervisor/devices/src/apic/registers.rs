// SPDX-License-Identifier: MIT OR Apache-2.0
//! The local APIC's registers, by their number: xAPIC has each at sixteen times
//! its number in the page, x2APIC at `0x800` plus its number among the MSRs.
//!
//! In the page, 32 bits are read and written at the start of a register; what
//! else is read is the bytes there, what else is written is ignored.
//! Intel SDM volume 3, "Local APIC Register Address Map", "x2APIC Register Address Space".

use super::page::{Page, is_kept};
use super::{
    ERROR, Effect, GeneralProtection, LocalApic, MASKED, Message, Posted, SOFTWARE_ENABLED, TIMER,
};
use crate::Size;
use crate::apic::message::{Delivery, Destination};

/// Numbers of registers.
pub(super) mod number {
    pub(in super::super) const ID: u32 = 0x02;
    pub(in super::super) const VERSION: u32 = 0x03;
    pub(in super::super) const TASK_PRIORITY: u32 = 0x08;
    pub(in super::super) const ARBITRATION: u32 = 0x09;
    pub(in super::super) const PRIORITY: u32 = 0x0a;
    pub(in super::super) const END: u32 = 0x0b;
    pub(in super::super) const REMOTE: u32 = 0x0c;
    pub(in super::super) const LOGICAL: u32 = 0x0d;
    pub(in super::super) const FORMAT: u32 = 0x0e;
    pub(in super::super) const SPURIOUS: u32 = 0x0f;
    pub(in super::super) const IN_SERVICE: u32 = 0x10;
    pub(in super::super) const TRIGGER: u32 = 0x18;
    pub(in super::super) const REQUEST: u32 = 0x20;
    pub(in super::super) const ERRORS: u32 = 0x28;
    pub(in super::super) const COMMAND: u32 = 0x30;
    pub(in super::super) const COMMAND_HIGH: u32 = 0x31;
    pub(in super::super) const VECTORS: u32 = 0x32;
    pub(in super::super) const VECTORS_END: u32 = 0x38;
    pub(in super::super) const INITIAL: u32 = 0x38;
    pub(in super::super) const CURRENT: u32 = 0x39;
    pub(in super::super) const DIVIDE: u32 = 0x3e;
    pub(in super::super) const SELF: u32 = 0x3f;
}

/// Six local vectors; an integrated APIC.
const VERSION: u32 = 0x0005_0014;
/// Errors: an illegal vector sent; an illegal vector in a local entry; a register that is not there.
const SEND_ILLEGAL: u8 = 1 << 5;
const RECEIVE_ILLEGAL: u8 = 1 << 6;
const NO_REGISTER: u8 = 1 << 7;
/// Bits that a guest can set in each local vector.
const WRITABLE: [u32; 6] =
    [0x0007_00ff, 0x0001_07ff, 0x0001_07ff, 0x0001_a7ff, 0x0001_a7ff, 0x100ff];
/// Bits of the ICR that a guest can set: the rest of the low word is status or reserved.
const COMMAND: u64 = 0xffff_ffff_000c_cfff;

impl LocalApic {
    /// A load from the page.
    #[inline]
    #[must_use]
    pub fn read(&mut self, offset: u64, size: Size, now: u64) -> u64 {
        if !self.has_page() {
            return size.mask();
        }
        let number = (offset >> 4 & 0xff) as u32;
        let value = self.value(self.page, number, now).unwrap_or_else(|| {
            self.error(NO_REGISTER);
            0
        });
        let shift = (offset & 15).wrapping_mul(8) as u32;
        u64::from(value).checked_shr(shift).unwrap_or(0) & size.mask()
    }

    /// A store to the page.
    #[inline]
    pub fn write(&mut self, offset: u64, size: Size, value: u64, now: u64) -> Effect {
        if offset & 15 != 0 || size != Size::Word || !self.has_page() {
            return Effect::None;
        }
        let value = (value & 0xffff_ffff) as u32;
        match (offset >> 4 & 0xff) as u32 {
            number::END => self.end_of_interrupt(),
            number::TASK_PRIORITY => self.set_task_priority((value & 0xff) as u8),
            number::COMMAND => {
                let effect = self.send(self.command_high() | u64::from(value));
                if let Some(page) = self.page {
                    page.set(number::COMMAND, (self.command & 0xffff_ffff) as u32);
                }
                effect
            }
            number::COMMAND_HIGH => {
                self.command = self.command & 0xffff_ffff | u64::from(value & 0xff00_0000) << 32;
                Effect::None
            }
            number => self.store_page(number, value, now),
        }
    }

    /// The upper half of the ICR, whose writes a CPU that virtualizes registers does not tell of.
    #[inline]
    fn command_high(&self) -> u64 {
        match self.page {
            None => self.command & !0xffff_ffff,
            Some(page) => u64::from(page.get(number::COMMAND_HIGH)) << 32,
        }
    }

    /// Reads an MSR from [`super::X2APIC_FIRST`] to [`super::X2APIC_END`].
    ///
    /// # Errors
    /// Outside x2APIC mode, and where no readable register is.
    #[inline]
    pub fn read_msr(&mut self, msr: u32, now: u64) -> Result<u64, GeneralProtection> {
        if !self.is_extended() {
            return Err(GeneralProtection);
        }
        match msr & 0xff {
            number::COMMAND => Ok(self.command),
            // Not there, or written only, in this mode.
            number::ARBITRATION
            | number::END
            | number::REMOTE
            | number::FORMAT
            | number::COMMAND_HIGH
            | number::SELF => Err(GeneralProtection),
            number => self.value(self.page, number, now).map(u64::from).ok_or(GeneralProtection),
        }
    }

    /// Writes an MSR from [`super::X2APIC_FIRST`] to [`super::X2APIC_END`].
    ///
    /// # Errors
    /// Outside x2APIC mode, where no writable register is, and for reserved bits.
    #[inline]
    pub fn write_msr(
        &mut self,
        msr: u32,
        value: u64,
        now: u64,
    ) -> Result<Effect, GeneralProtection> {
        if !self.is_extended() {
            return Err(GeneralProtection);
        }
        match msr & 0xff {
            number::END if value == 0 => Ok(self.end_of_interrupt()),
            number::TASK_PRIORITY if value >> 8 == 0 => {
                Ok(self.set_task_priority((value & 0xff) as u8))
            }
            number::COMMAND if value & !COMMAND == 0 => Ok(self.send(value)),
            number => {
                let effect = self.store_msr(number, value, now);
                self.show(number);
                effect
            }
        }
    }

    /// `IA32_TSC_DEADLINE`.
    #[must_use]
    pub const fn tsc_deadline(&self) -> u64 {
        self.timer.deadline
    }

    /// Writes `IA32_TSC_DEADLINE`, which does nothing in the timer's other modes.
    #[inline]
    pub const fn set_tsc_deadline(&mut self, deadline: u64) -> Effect {
        self.timer.arm(self.vectors[TIMER], deadline);
        Effect::Timer
    }

    /// What a register reads; none if there is no such register. ICR is read in two halves. What
    /// the CPU keeps is in `page`.
    #[inline(never)]
    pub(super) fn value(&self, page: Option<&Page>, register: u32, now: u64) -> Option<u32> {
        if let Some(page) = page {
            let kept =
                is_kept(register) || matches!(register, number::COMMAND | number::COMMAND_HIGH);
            if kept {
                return Some(page.get(register));
            }
            if register == number::ARBITRATION {
                return Some(page.priority().into());
            }
        }
        Some(match register {
            number::ID if self.is_extended() => self.id.into(),
            number::ID => u32::from(self.id) << 24,
            number::VERSION => VERSION,
            number::TASK_PRIORITY => self.task_priority.into(),
            number::ARBITRATION | number::PRIORITY => self.priority().into(),
            number::END | number::REMOTE => 0,
            number::LOGICAL => self.logical,
            number::FORMAT => self.format,
            number::SPURIOUS => self.spurious,
            number::IN_SERVICE..number::TRIGGER => self.isr.register(register),
            number::TRIGGER..number::REQUEST => self.tmr.register(register),
            number::REQUEST..number::ERRORS => self.irr.register(register),
            number::ERRORS => self.errors.into(),
            number::COMMAND => (self.command & 0xffff_ffff) as u32,
            number::COMMAND_HIGH => (self.command >> 32) as u32,
            number::VECTORS..number::VECTORS_END => {
                *self.vectors.get(register.wrapping_sub(number::VECTORS) as usize)?
            }
            number::INITIAL => self.timer.initial,
            number::CURRENT => self.timer.count(self.vectors[TIMER], now),
            number::DIVIDE => self.timer.divide,
            _ => return None,
        })
    }

    /// The registers that are written in both modes alike; none if it is none of them.
    #[inline]
    fn store(&mut self, register: u32, value: u32, now: u64) -> Option<Effect> {
        match register {
            number::SPURIOUS => Some(self.set_spurious(value)),
            number::ERRORS => {
                self.errors = core::mem::take(&mut self.new_errors);
                Some(Effect::None)
            }
            number::VECTORS..number::VECTORS_END => {
                Some(self.set_vector(register.wrapping_sub(number::VECTORS) as usize, value, now))
            }
            number::INITIAL => {
                self.timer.start(self.vectors[TIMER], value, now);
                Some(Effect::Timer)
            }
            number::DIVIDE => {
                self.timer.set_divide(self.vectors[TIMER], value, now);
                Some(Effect::Timer)
            }
            _ => None,
        }
    }

    fn store_page(&mut self, register: u32, value: u32, now: u64) -> Effect {
        let mut effect = Effect::Everything;
        match register {
            number::LOGICAL => self.logical = value & 0xff00_0000,
            number::FORMAT => self.format = value | 0x0fff_ffff,
            // The vCPU's number for ever.
            number::ID => effect = Effect::None,
            number::VERSION | number::ARBITRATION | number::PRIORITY => return Effect::None,
            number::IN_SERVICE..number::ERRORS | number::REMOTE | number::CURRENT => {
                return Effect::None;
            }
            _ => {
                effect = self.store(register, value, now).unwrap_or_else(|| {
                    self.error(NO_REGISTER);
                    Effect::Pending
                });
            }
        }
        self.show(register);
        effect
    }

    #[inline(never)]
    fn store_msr(
        &mut self,
        register: u32,
        value: u64,
        now: u64,
    ) -> Result<Effect, GeneralProtection> {
        let allowed = match register {
            number::SELF => 0xff,
            number::SPURIOUS => 0x1ff,
            number::VECTORS..number::VECTORS_END => {
                let n = register.wrapping_sub(number::VECTORS) as usize;
                u64::from(WRITABLE.get(n).copied().unwrap_or(0)) | 0x5000
            }
            number::INITIAL => 0xffff_ffff,
            number::DIVIDE => 0xb,
            _ => 0,
        };
        if value & !allowed != 0 {
            return Err(GeneralProtection);
        }
        let low = (value & 0xffff_ffff) as u32;
        if register == number::SELF {
            return Ok(self.send(1 << 18 | value));
        }
        self.store(register, low, now).ok_or(GeneralProtection)
    }

    /// A write to the ICR that sends. Nearly all are an interrupt.
    #[inline(always)]
    fn send(&mut self, icr: u64) -> Effect {
        self.command = icr & COMMAND;
        if icr & 0x700 == 0 && icr & 0xf0 != 0 { Effect::Send } else { self.send_other() }
    }

    #[inline(never)]
    fn send_other(&mut self) -> Effect {
        let Some(message) = self.message() else {
            return Effect::None;
        };
        match message.delivery {
            Delivery::Nothing => Effect::None,
            Delivery::Fixed | Delivery::Lowest if message.vector < 16 => {
                self.error(SEND_ILLEGAL);
                Effect::Pending
            }
            // A local APIC cannot do these to itself.
            Delivery::Nmi | Delivery::Init | Delivery::StartUp
                if message.destination == Destination::Own =>
            {
                Effect::None
            }
            Delivery::Fixed
            | Delivery::Lowest
            | Delivery::Nmi
            | Delivery::Init
            | Delivery::StartUp => Effect::Send,
        }
    }

    /// What the ICR holds.
    pub(super) fn message(&self) -> Option<Message> {
        Message::from_command(self.command, self.is_extended())
    }

    /// Posts the message of [`Effect::Send`], if it is an interrupt for one that it names: nearly
    /// always. That one must be rung.
    #[inline(always)]
    #[must_use]
    pub fn deliver_to_one(&self, apics: &[Posted]) -> Option<usize> {
        // Fixed, physical, no shorthand.
        if self.command & 0xc_0f00 != 0 {
            return None;
        }
        // To everyone is a number that nobody has.
        let id = self.command >> if self.is_extended() { 32 } else { 56 };
        let id = usize::try_from(id).ok()?;
        apics.get(id)?.post((self.command & 0xff) as u8, false);
        Some(id)
    }

    /// Posts the message of [`Effect::Send`] to all that it reaches, one bit each; these must
    /// be rung.
    #[inline(never)]
    #[must_use]
    pub fn deliver(&self, apics: &[Posted]) -> u32 {
        self.message().map_or(0, |message| message.deliver(self.id.into(), apics))
    }

    /// Software disables the APIC: all local vectors become masked.
    fn set_spurious(&mut self, value: u32) -> Effect {
        self.spurious = value & 0x1ff;
        if value & SOFTWARE_ENABLED == 0 {
            for vector in &mut self.vectors {
                *vector |= MASKED;
            }
        }
        Effect::Everything
    }

    fn set_vector(&mut self, n: usize, value: u32, now: u64) -> Effect {
        // What ran out while the timer was masked does not interrupt once it is not.
        if n == TIMER {
            let _ = self.expire(now);
        }
        let masked = if self.spurious & SOFTWARE_ENABLED == 0 { MASKED } else { 0 };
        let (Some(vector), Some(writable)) = (self.vectors.get_mut(n), WRITABLE.get(n)) else {
            return Effect::None;
        };
        let new = value & writable | masked;
        if n == TIMER {
            self.timer.change(*vector, new);
        }
        *vector = new;
        if n == ERROR || new & MASKED != 0 || new & 0xff >= 16 || new & super::MODE != 0 {
            return Effect::Everything;
        }
        self.error(RECEIVE_ILLEGAL);
        Effect::Everything
    }

    /// Notes an error, which may interrupt.
    #[cold]
    fn error(&mut self, error: u8) {
        if self.new_errors & error == 0 {
            self.new_errors |= error;
            let vector = self.vectors[ERROR];
            let _ = self.request(vector);
        }
    }
}
