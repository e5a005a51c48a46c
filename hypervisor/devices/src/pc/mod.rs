// SPDX-License-Identifier: MIT OR Apache-2.0
//! The devices that the vCPUs of a partition share on the `pc` platform, behind
//! one lock of the kernel: the 8259 pair, the I/O APIC, PIT, RTC, ACPI's power
//! management block, COM1, the keyboard controller and the reset port.
//!
//! ```text
//!  PIT, RTC, COM1, SCI, keyboard ──line──┬─> 8259 pair ──external──> vCPU 0 (Posted)
//!  channels, granted devices ────────────┴─> I/O APIC ───Message───> vCPUs (Posted)
//! ```
//! Nothing here reads a clock: every call says what time it is, in ticks of the
//! TSC, and is told when to call [`Pc::expire`] next. Devices that count derive
//! their state from the time when they are looked at.
//!
//! A port that no device has reads all ones and ignores writes; so do PCI's
//! configuration ports. A wide access to a device of bytes is so many accesses
//! to neighbouring ports, as on an ISA bus.

use crate::Size;
use crate::apic::Posted;
use crate::pl011::Sink;

/// What a call needs of the rest of the partition.
#[derive(Clone, Copy, Debug)]
pub struct Bus<'a> {
    /// Ticks of the machine's TSC.
    pub now: u64,
    /// The letter boxes of all vCPUs, in their order.
    pub apics: &'a [Posted],
}

/// Whether the partition runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Power {
    /// It does.
    #[default]
    On,
    /// It is switched off.
    Off,
    /// It starts afresh.
    Reset,
}

/// What the caller must do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Outcome {
    /// vCPUs, one bit each, that have something new in their letter boxes or, vCPU 0,
    /// from the 8259; the caller's own may be among them.
    pub kick: u32,
    /// What becomes of the partition.
    pub power: Power,
    /// When [`Pc::expire`] must be called, if it must be.
    pub deadline: Option<u64>,
}

/// The shared devices.
#[derive(Clone, Debug)]
pub struct Pc {
    tsc_hz: u64,
    epoch: u64,
}

impl Pc {
    /// The devices after power-up, on a machine whose TSC has this frequency and
    /// read zero at `epoch`, in seconds since 1970 (UTC).
    #[must_use]
    pub const fn new(tsc_hz: u64, epoch: u64) -> Self {
        Self { tsc_hz, epoch }
    }

    /// Back to the state after power-up; the RTC's time goes on.
    pub const fn reset(&mut self) {
        *self = Self::new(self.tsc_hz, self.epoch);
    }

    /// An IN; bytes above the size are zero.
    #[inline]
    pub fn port_read(
        &mut self,
        _port: u16,
        size: Size,
        _bus: &Bus<'_>,
        _sink: &mut impl Sink,
    ) -> (u64, Outcome) {
        (size.mask(), Outcome::default())
    }

    /// An OUT.
    #[inline]
    pub fn port_write(
        &mut self,
        _port: u16,
        _size: Size,
        _value: u64,
        _bus: &Bus<'_>,
        _sink: &mut impl Sink,
    ) -> Outcome {
        Outcome::default()
    }

    /// A load from the I/O APIC's page.
    #[must_use]
    pub fn io_apic_read(&self, _offset: u64, _size: Size) -> u64 {
        0
    }

    /// A store to the I/O APIC's page.
    pub fn io_apic_write(
        &mut self,
        _offset: u64,
        _size: Size,
        _value: u64,
        _bus: &Bus<'_>,
    ) -> Outcome {
        Outcome::default()
    }

    /// A vCPU ended a level-triggered interrupt ([`crate::apic::Effect::EndOfLevel`]).
    pub fn end_of_interrupt(&mut self, _vector: u8, _bus: &Bus<'_>) -> Outcome {
        Outcome::default()
    }

    /// The line of a device outside (a granted one, say) rises or falls.
    pub fn set_line(&mut self, _gsi: u8, _level: bool, _bus: &Bus<'_>) -> Outcome {
        Outcome::default()
    }

    /// An edge of a device outside: a channel's bell.
    pub fn pulse(&mut self, _gsi: u8, _bus: &Bus<'_>) -> Outcome {
        Outcome::default()
    }

    /// vCPU 0 takes the 8259's interrupt ([`Posted::external`]): its vector.
    pub fn acknowledge_external(&mut self, _bus: &Bus<'_>) -> (u8, Outcome) {
        (0, Outcome::default())
    }

    /// Time has passed.
    pub fn expire(&mut self, _bus: &Bus<'_>) -> Outcome {
        Outcome::default()
    }

    /// A byte arrives at COM1; none if its FIFO is full and the byte was not taken.
    pub fn receive(&mut self, _byte: u8, _bus: &Bus<'_>) -> Option<Outcome> {
        None
    }

    /// COM1's sink, which had no space, has space again.
    pub fn space_returned(&mut self, _bus: &Bus<'_>, _sink: &mut impl Sink) -> Outcome {
        Outcome::default()
    }

    /// Somebody presses the power button.
    pub fn power_button(&mut self, _bus: &Bus<'_>) -> Outcome {
        Outcome::default()
    }
}
