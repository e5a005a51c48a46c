// SPDX-License-Identifier: MIT OR Apache-2.0
//! The devices that the vCPUs of a partition share on the `pc` platform, behind
//! one lock of the kernel: the 8259 pair, the I/O APIC, PIT, RTC, ACPI's power
//! management block, COM1, the keyboard controller and the reset port.
//!
//! ```text
//!  PIT, RTC, COM1, SCI ──────line──┬─> 8259 pair ──external──> vCPU 0 (Posted)
//!  channels, granted devices ──────┴─> I/O APIC ───Message───> vCPUs (Posted)
//! ```
//! Nothing here reads a clock: every call says what time it is, in ticks of the
//! TSC, and is told when to call [`Pc::expire`] next. Devices that count derive
//! their state from the time when they are looked at.
//!
//! A port that no device has reads all ones and ignores writes; so do PCI's
//! configuration ports. A wide access to a device of bytes is so many accesses
//! to neighbouring ports, as on an ISA bus.

mod date;
mod io_apic;
mod keyboard;
mod pic;
mod pit;
mod ports;
mod power;
mod rate;
mod rtc;

use crate::Size;
use crate::apic::Posted;
use crate::ns16550::Ns16550;
use crate::pl011::Sink;
use io_apic::IoApic;
use keyboard::Keyboard;
use pic::Pics;
use pit::Pit;
use power::Block;
use rtc::Rtc;

/// Where the I/O APIC's page is.
pub const IO_APIC: u64 = 0xfec0_0000;
/// Bytes of the I/O APIC's page.
pub const IO_APIC_SIZE: u64 = 0x1000;

/// Lines of the devices here. The timer's is pin 2 of the I/O APIC.
const TIMER: u8 = 0;
const COM1: u8 = 4;
const CLOCK: u8 = 8;
const SCI: u8 = 9;

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
    /// When [`Pc::expire`] must be called. None leaves what was said before as it is.
    pub deadline: Option<u64>,
}

impl Outcome {
    #[inline(always)]
    const fn kick(kick: u32) -> Self {
        Self { kick, power: Power::On, deadline: None }
    }
}

/// The shared devices.
#[derive(Clone, Debug)]
pub struct Pc {
    uart: Ns16550,
    power: Block,
    /// Levels of the lines, as the interrupt controllers know them.
    lines: u32,
    pics: Pics,
    pit: Pit,
    io_apic: IoApic,
    keyboard: Keyboard,
    /// Port 0xcf9.
    reset_control: u8,
    rtc: Rtc,
}

impl Pc {
    /// The devices after power-up, on a machine whose TSC has this frequency and
    /// read zero at `epoch`, in seconds since 1970 (UTC).
    #[must_use]
    pub const fn new(tsc_hz: u64, epoch: u64) -> Self {
        Self {
            uart: Ns16550::new(),
            power: Block::new(tsc_hz),
            lines: 0,
            pics: Pics::new(),
            pit: Pit::new(tsc_hz),
            io_apic: IoApic::new(),
            keyboard: Keyboard::new(),
            reset_control: 0,
            rtc: Rtc::new(tsc_hz, epoch),
        }
    }

    /// Back to the state after power-up; the RTC's time goes on.
    pub const fn reset(&mut self) {
        self.uart = Ns16550::new();
        self.power.reset();
        self.lines = 0;
        self.pics = Pics::new();
        self.pit.reset();
        self.io_apic = IoApic::new();
        self.keyboard = Keyboard::new();
        self.reset_control = 0;
        self.rtc.reset();
    }

    /// A load from the I/O APIC's page.
    #[must_use]
    pub fn io_apic_read(&self, offset: u64, size: Size) -> u64 {
        self.io_apic.read(offset, size)
    }

    /// A store to the I/O APIC's page.
    pub fn io_apic_write(&mut self, offset: u64, size: Size, value: u64, bus: &Bus<'_>) -> Outcome {
        let kick = self.advance(bus) | self.io_apic.write(offset, size, value, bus);
        Outcome { kick, power: Power::On, deadline: self.deadline(bus.now) }
    }

    /// A vCPU ended a level-triggered interrupt ([`crate::apic::Effect::EndOfLevel`]).
    pub fn end_of_interrupt(&mut self, vector: u8, bus: &Bus<'_>) -> Outcome {
        Outcome::kick(self.io_apic.end(vector, bus))
    }

    /// The line of a device outside (a granted one, say) rises or falls.
    pub fn set_line(&mut self, gsi: u8, level: bool, bus: &Bus<'_>) -> Outcome {
        Outcome::kick(self.drive(gsi, level, bus))
    }

    /// An edge of a device outside: a channel's bell.
    pub fn pulse(&mut self, gsi: u8, bus: &Bus<'_>) -> Outcome {
        Outcome::kick(self.edge(gsi, bus) | self.drive(gsi, false, bus))
    }

    /// vCPU 0 takes the 8259's interrupt ([`Posted::external`]): its vector.
    pub fn acknowledge_external(&mut self, bus: &Bus<'_>) -> (u8, Outcome) {
        let vector = self.pics.acknowledge();
        (vector, Outcome::kick(self.tell_external(bus)))
    }

    /// Time has passed.
    pub fn expire(&mut self, bus: &Bus<'_>) -> Outcome {
        let kick = self.advance(bus);
        Outcome { kick, power: Power::On, deadline: self.deadline(bus.now) }
    }

    /// A byte arrives at COM1; none if there is no room and the byte was not taken.
    pub fn receive(&mut self, byte: u8, bus: &Bus<'_>) -> Option<Outcome> {
        let taken = self.uart.receive(byte);
        taken.then(|| Outcome::kick(self.uart_line(bus)))
    }

    /// COM1's sink, which had no space, has space again.
    pub fn space_returned(&mut self, bus: &Bus<'_>, sink: &mut impl Sink) -> Outcome {
        self.uart.drain(sink);
        Outcome::kick(self.uart_line(bus))
    }

    /// Somebody presses the power button.
    pub fn power_button(&mut self, bus: &Bus<'_>) -> Outcome {
        self.power.press();
        Outcome::kick(self.drive(SCI, self.power.line(), bus))
    }

    /// The interrupt controllers learn the level of a line, if it changed.
    #[inline(always)]
    fn drive(&mut self, line: u8, level: bool, bus: &Bus<'_>) -> u32 {
        let bit = 1u32.wrapping_shl(line.into());
        if line >= io_apic::PINS || (self.lines & bit != 0) == level {
            return 0;
        }
        self.lines ^= bit;
        self.change(line, level, bus)
    }

    fn change(&mut self, line: u8, level: bool, bus: &Bus<'_>) -> u32 {
        let pin = if line == TIMER { 2 } else { line };
        let mut kick = self.io_apic.set_line(pin, level, bus);
        if line < 16 {
            self.pics.set_line(line, level);
            kick |= self.tell_external(bus);
        }
        kick
    }

    /// A line that may be high already rises, and stays high.
    fn edge(&mut self, line: u8, bus: &Bus<'_>) -> u32 {
        self.drive(line, false, bus) | self.drive(line, true, bus)
    }

    /// vCPU 0 learns the output of the 8259 pair.
    fn tell_external(&mut self, bus: &Bus<'_>) -> u32 {
        let level = self.pics.output();
        bus.apics.first().is_some_and(|posted| posted.set_external(level)).into()
    }

    #[inline(always)]
    fn uart_line(&mut self, bus: &Bus<'_>) -> u32 {
        self.drive(COM1, self.uart.line(), bus)
    }

    /// Timer and clock catch up with the time. To be called before what shows or changes
    /// anything of theirs, or how they interrupt.
    fn advance(&mut self, bus: &Bus<'_>) -> u32 {
        let edge = if self.pit.take_edge(bus.now) { self.edge(TIMER, bus) } else { 0 };
        self.rtc.advance(bus.now);
        edge | self.drive(CLOCK, self.rtc.line(), bus)
    }

    /// When the next of their interrupts comes that can be heard.
    fn deadline(&self, now: u64) -> Option<u64> {
        let heard = |line: u8, pin| !self.pics.is_masked(line) || !self.io_apic.is_masked(pin);
        let timer = if heard(TIMER, 2) { self.pit.next_edge(now) } else { None };
        let clock = if heard(CLOCK, CLOCK.into()) { self.rtc.deadline(now) } else { None };
        match (timer, clock) {
            (Some(timer), Some(clock)) => Some(timer.min(clock)),
            (timer, clock) => timer.or(clock),
        }
    }
}
