// SPDX-License-Identifier: MIT OR Apache-2.0
//! A PL011 UART, as Linux, U-Boot, EDK2 and FreeRTOS drive it.
//!
//! Bytes go straight to the sink, so the transmit FIFO is empty or, while the
//! sink has no space, full: a guest that waits for space loses nothing. The
//! receive FIFO holds 16 bytes, or one with FIFOs disabled. Baud rate and
//! modem lines are remembered and do nothing. As on QEMU the UART works
//! whether or not a guest enables it.
//! PrimeCell UART (PL011) Technical Reference Manual (DDI 0183), "Programmers
//! model", "Interrupts".

use crate::Size;

/// Where transmitted bytes go.
pub trait Sink {
    /// Whether it takes a byte now; the guest sees a full FIFO otherwise.
    fn has_space(&self) -> bool;
    /// Takes a byte. One that comes without space is dropped and counted by the sink.
    fn push(&mut self, byte: u8);
}

/// Register offsets.
mod offset {
    pub(super) const DR: u64 = 0x00;
    pub(super) const RSR: u64 = 0x04;
    pub(super) const FR: u64 = 0x18;
    pub(super) const ILPR: u64 = 0x20;
    pub(super) const IBRD: u64 = 0x24;
    pub(super) const FBRD: u64 = 0x28;
    pub(super) const LCR_H: u64 = 0x2c;
    pub(super) const CR: u64 = 0x30;
    pub(super) const IFLS: u64 = 0x34;
    pub(super) const IMSC: u64 = 0x38;
    pub(super) const RIS: u64 = 0x3c;
    pub(super) const MIS: u64 = 0x40;
    pub(super) const ICR: u64 = 0x44;
    pub(super) const DMACR: u64 = 0x48;
    pub(super) const IDENTIFICATION: u64 = 0xfe0;
}

/// `UARTFR.BUSY`: something waits to be transmitted.
const BUSY: u32 = 1 << 3;
/// `UARTFR.RXFE`: nothing was received.
const RECEIVE_EMPTY: u32 = 1 << 4;
/// `UARTFR.TXFF`: a byte written now is lost.
const TRANSMIT_FULL: u32 = 1 << 5;
/// `UARTFR.RXFF`: a byte that arrives now is lost.
const RECEIVE_FULL: u32 = 1 << 6;
/// `UARTFR.TXFE`: all was transmitted.
const TRANSMIT_EMPTY: u32 = 1 << 7;

/// Receive interrupt, in UARTRIS, UARTMIS, UARTIMSC and UARTICR.
const RECEIVE: u32 = 1 << 4;
/// Transmit interrupt.
const TRANSMIT: u32 = 1 << 5;
/// Receive timeout interrupt.
const RECEIVE_TIMEOUT: u32 = 1 << 6;
/// All interrupts there are.
const INTERRUPTS: u32 = 0x7ff;

/// `UARTLCR_H.FEN`: FIFOs are enabled.
const FIFO_ENABLE: u32 = 1 << 4;
/// `UARTCR.LBE`: what is transmitted is received.
const LOOPBACK: u32 = 1 << 7;
/// `UARTCR` after reset: receive and transmit enabled, the UART not.
const CONTROL_RESET: u32 = 0x300;
/// `UARTIFLS` after reset: both triggers at half.
const LEVELS_RESET: u32 = 0x12;
/// `UARTPeriphID0` to 3 and `UARTPCellID0` to 3.
const IDENTIFICATION: [u8; 8] = [0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1];

/// Bytes received and not yet read.
#[derive(Clone, Debug)]
struct Fifo {
    bytes: [u8; 16],
    first: u8,
    count: u8,
}

impl Fifo {
    const fn new() -> Self {
        Self { bytes: [0; 16], first: 0, count: 0 }
    }

    #[expect(clippy::indexing_slicing, reason = "the index is masked to the array's length")]
    const fn push(&mut self, byte: u8) {
        self.bytes[self.first.wrapping_add(self.count) as usize & 15] = byte;
        self.count = self.count.wrapping_add(1);
    }

    #[expect(clippy::indexing_slicing, reason = "the index is masked to the array's length")]
    const fn pop(&mut self) -> u8 {
        let byte = self.bytes[self.first as usize & 15];
        if self.count != 0 {
            self.first = self.first.wrapping_add(1) & 15;
            self.count = self.count.wrapping_sub(1);
        }
        byte
    }
}

/// The UART.
#[derive(Clone, Debug)]
pub struct Pl011 {
    /// Raw interrupts, UARTRIS.
    raw: u32,
    /// Interrupt mask, UARTIMSC.
    mask: u32,
    /// The receive half of UARTFR, kept up to date so that reading it is quick.
    receive_flags: u32,
    control: u32,
    line_control: u32,
    levels: u32,
    integer_baud: u32,
    fractional_baud: u32,
    low_power: u32,
    dma: u32,
    received: Fifo,
}

impl Pl011 {
    /// A UART after reset.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            raw: 0,
            mask: 0,
            receive_flags: RECEIVE_EMPTY,
            control: CONTROL_RESET,
            line_control: 0,
            levels: LEVELS_RESET,
            integer_baud: 0,
            fractional_baud: 0,
            low_power: 0,
            dma: 0,
            received: Fifo::new(),
        }
    }

    /// Back to the state after reset; received bytes are lost.
    pub const fn reset(&mut self) {
        *self = Self::new();
    }

    /// Reads a register: any size at its first byte, as the bus does it.
    /// Other offsets read zero.
    #[inline]
    pub fn read(&mut self, offset: u64, size: Size, sink: &impl Sink) -> u32 {
        if offset == offset::FR {
            let transmit = if sink.has_space() { TRANSMIT_EMPTY } else { TRANSMIT_FULL | BUSY };
            return self.receive_flags | transmit;
        }
        self.read_other(offset) & (size.mask() & 0xffff_ffff) as u32
    }

    #[inline(never)]
    fn read_other(&mut self, offset: u64) -> u32 {
        match offset {
            offset::DR => self.take(),
            offset::ILPR => self.low_power,
            offset::IBRD => self.integer_baud,
            offset::FBRD => self.fractional_baud,
            offset::LCR_H => self.line_control,
            offset::CR => self.control,
            offset::IFLS => self.levels,
            offset::IMSC => self.mask,
            offset::RIS => self.raw,
            offset::MIS => self.raw & self.mask,
            offset::DMACR => self.dma,
            offset::IDENTIFICATION..0x1000 if offset & 3 == 0 => {
                IDENTIFICATION.get((offset >> 2 & 7) as usize).copied().unwrap_or(0).into()
            }
            // UARTRSR: no framing, parity, break or overrun error ever happens here.
            _ => 0,
        }
    }

    /// Writes a register; other offsets are ignored. Byte and halfword writes
    /// set the rest of the register to zero.
    #[inline]
    pub fn write(&mut self, offset: u64, size: Size, value: u32, sink: &mut impl Sink) {
        let value = value & (size.mask() & 0xffff_ffff) as u32;
        if offset == offset::DR {
            self.transmit((value & 0xff) as u8, sink);
        } else {
            self.write_other(offset, value);
        }
    }

    #[inline(never)]
    fn write_other(&mut self, offset: u64, value: u32) {
        match offset {
            offset::RSR => {}
            offset::ILPR => self.low_power = value & 0xff,
            offset::IBRD => self.integer_baud = value & 0xffff,
            offset::FBRD => self.fractional_baud = value & 0x3f,
            offset::LCR_H => self.set_line_control(value & 0xff),
            offset::CR => self.control = value & 0xffff,
            offset::IFLS => self.levels = value & 0x3f,
            offset::IMSC => self.mask = value & INTERRUPTS,
            offset::ICR => self.raw &= !value,
            offset::DMACR => self.dma = value & 7,
            _ => {}
        }
    }

    /// A byte arrives; false if the FIFO is full and the byte was not taken.
    pub fn receive(&mut self, byte: u8) -> bool {
        if self.receive_flags & RECEIVE_FULL != 0 {
            return false;
        }
        self.received.push(byte);
        // Nothing more comes within 32 bit times, as far as the guest can tell.
        self.raw |= RECEIVE_TIMEOUT;
        if self.received.count >= self.receive_trigger() {
            self.raw |= RECEIVE;
        }
        self.update_receive_flags();
        true
    }

    /// The sink, which had no space, has space again: the transmit FIFO empties.
    pub const fn space_returned(&mut self) {
        self.raw |= TRANSMIT;
    }

    /// Level of the interrupt (UARTINTR).
    #[inline]
    #[must_use]
    pub const fn line(&self) -> bool {
        self.raw & self.mask != 0
    }

    /// The transmit interrupt follows the FIFO's way down through its trigger
    /// level: it rises when the byte has left, and falls while bytes wait.
    #[inline]
    fn transmit(&mut self, byte: u8, sink: &mut impl Sink) {
        if self.control & LOOPBACK != 0 {
            self.receive(byte);
            self.raw |= TRANSMIT;
            return;
        }
        sink.push(byte);
        if sink.has_space() { self.raw |= TRANSMIT } else { self.raw &= !TRANSMIT }
    }

    /// The guest takes a byte from the receive FIFO.
    fn take(&mut self) -> u32 {
        let byte = self.received.pop();
        if self.received.count < self.receive_trigger() {
            self.raw &= !RECEIVE;
        }
        if self.received.count == 0 {
            self.raw &= !RECEIVE_TIMEOUT;
        } else {
            self.raw |= RECEIVE_TIMEOUT;
        }
        self.update_receive_flags();
        byte.into()
    }

    /// Enabling or disabling the FIFOs empties them.
    fn set_line_control(&mut self, value: u32) {
        if (self.line_control ^ value) & FIFO_ENABLE != 0 {
            self.received = Fifo::new();
            self.raw &= !(RECEIVE | RECEIVE_TIMEOUT);
        }
        self.line_control = value;
        self.update_receive_flags();
    }

    const fn depth(&self) -> u8 {
        if self.line_control & FIFO_ENABLE != 0 { 16 } else { 1 }
    }

    /// `UARTIFLS.RXIFLSEL`: 1/8 to 7/8 full.
    const fn receive_trigger(&self) -> u8 {
        if self.line_control & FIFO_ENABLE == 0 {
            return 1;
        }
        match self.levels >> 3 & 7 {
            0 => 2,
            1 => 4,
            2 => 8,
            3 => 12,
            _ => 14,
        }
    }

    const fn update_receive_flags(&mut self) {
        let empty = if self.received.count == 0 { RECEIVE_EMPTY } else { 0 };
        let full = if self.received.count >= self.depth() { RECEIVE_FULL } else { 0 };
        self.receive_flags = empty | full;
    }
}

impl Default for Pl011 {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
