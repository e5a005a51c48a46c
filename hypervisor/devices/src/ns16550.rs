// SPDX-License-Identifier: MIT OR Apache-2.0
//! A 16550A UART, as Linux's 8250 driver, GRUB and gnumach drive it.
//!
//! A driver that sees the transmitter empty writes sixteen bytes without a
//! further look, so the transmit FIFO is a real one: it is empty unless the
//! sink has no space, and drains whenever somebody looks. A guest that waits
//! for the transmitter loses nothing. Baud rate and line format are remembered
//! and do nothing; the interrupt does not depend on OUT2, as on QEMU.
//! PC16550D data sheet, "Registers", "FIFO Interrupt Mode Operation".

use crate::pl011::Sink;

/// Bytes of a FIFO.
const DEPTH: u8 = 16;
/// Line status: data ready, a byte was lost, transmitter holding register empty, all sent.
const READY: u8 = 1 << 0;
const OVERRUN: u8 = 1 << 1;
const EMPTY: u8 = 1 << 5;
const SENT: u8 = 1 << 6;
/// Interrupt enables, each with its identification.
const RECEIVE: u8 = 1 << 0;
const TRANSMIT: u8 = 1 << 1;
const LINE: u8 = 1 << 2;
const MODEM: u8 = 1 << 3;
/// Line control: the divisor is seen in place of the first two registers.
const DIVISOR: u8 = 1 << 7;
/// Modem control: what is transmitted is received.
const LOOPBACK: u8 = 1 << 4;
/// Modem status: carrier, ready and clear to send, as if a terminal were there.
const CONNECTED: u8 = 0xb0;

/// Bytes on their way.
#[derive(Clone, Copy, Debug)]
struct Fifo {
    bytes: [u8; DEPTH as usize],
    first: u8,
    count: u8,
}

impl Fifo {
    const NEW: Self = Self { bytes: [0; DEPTH as usize], first: 0, count: 0 };

    /// False if it holds `depth` bytes already.
    #[expect(clippy::indexing_slicing, reason = "the index is masked to the array's length")]
    const fn push(&mut self, byte: u8, depth: u8) -> bool {
        if self.count >= depth {
            return false;
        }
        self.bytes[self.first.wrapping_add(self.count) as usize & 15] = byte;
        self.count = self.count.wrapping_add(1);
        true
    }

    /// Zero if it is empty.
    #[expect(clippy::indexing_slicing, reason = "the index is masked to the array's length")]
    const fn pop(&mut self) -> u8 {
        if self.count == 0 {
            return 0;
        }
        let byte = self.bytes[self.first as usize & 15];
        self.first = self.first.wrapping_add(1) & 15;
        self.count = self.count.wrapping_sub(1);
        byte
    }
}

/// The UART.
#[derive(Clone, Debug)]
pub struct Ns16550 {
    received: Fifo,
    waiting: Fifo,
    enabled: u8,
    fifo_control: u8,
    line_control: u8,
    modem_control: u8,
    /// Modem status that changed since it was read.
    modem_changes: u8,
    scratch: u8,
    divisor: [u8; 2],
    /// The transmitter became empty, and nobody was told.
    emptied: bool,
    overrun: bool,
}

impl Ns16550 {
    /// A UART after reset.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            received: Fifo::NEW,
            waiting: Fifo::NEW,
            enabled: 0,
            fifo_control: 0,
            line_control: 0,
            modem_control: 0,
            modem_changes: 0,
            scratch: 0,
            divisor: [12, 0],
            emptied: false,
            overrun: false,
        }
    }

    /// Reads register 0 to 7.
    #[inline(always)]
    pub fn read(&mut self, register: u16, sink: &mut impl Sink) -> u8 {
        if register & 7 == 5 {
            self.drain(sink);
            return self.line_status();
        }
        self.read_other(register & 7)
    }

    fn read_other(&mut self, register: u16) -> u8 {
        let [low, high] = self.divisor;
        let divisor = self.line_control & DIVISOR != 0;
        match register {
            0 if divisor => low,
            0 => self.received.pop(),
            1 if divisor => high,
            1 => self.enabled,
            2 => {
                let (identification, _) = self.identification();
                if identification == 2 {
                    self.emptied = false;
                }
                identification | if self.has_fifos() { 0xc0 } else { 0 }
            }
            3 => self.line_control,
            4 => self.modem_control,
            6 => self.modem_lines() | core::mem::take(&mut self.modem_changes),
            _ => self.scratch,
        }
    }

    /// Writes register 0 to 7.
    #[inline(always)]
    pub fn write(&mut self, register: u16, byte: u8, sink: &mut impl Sink) {
        if register & 7 == 0 && self.line_control & DIVISOR == 0 {
            self.transmit(byte, sink);
        } else {
            self.write_other(register & 7, byte);
        }
    }

    fn write_other(&mut self, register: u16, byte: u8) {
        let [low, high] = self.divisor;
        match register {
            0 => self.divisor = [byte, high],
            1 if self.line_control & DIVISOR != 0 => self.divisor = [low, byte],
            1 => {
                // A driver that asks while the transmitter is empty is told.
                if byte & !self.enabled & TRANSMIT != 0 && self.waiting.count == 0 {
                    self.emptied = true;
                }
                self.enabled = byte & 0xf;
            }
            2 => self.set_fifo_control(byte),
            3 => self.line_control = byte,
            4 => {
                let before = self.modem_lines();
                self.modem_control = byte & 0x1f;
                let changed = before ^ self.modem_lines();
                // The ring line tells only its end.
                let ring = changed & before & 0x40;
                self.modem_changes |= (changed & 0xb0 | ring) >> 4;
            }
            7 => self.scratch = byte,
            _ => {}
        }
    }

    fn set_fifo_control(&mut self, byte: u8) {
        if (self.fifo_control ^ byte) & 1 != 0 || byte & 2 != 0 {
            self.received = Fifo::NEW;
        }
        if ((self.fifo_control ^ byte) & 1 != 0 || byte & 4 != 0) && self.waiting.count != 0 {
            self.waiting = Fifo::NEW;
            self.emptied = true;
        }
        // Without FIFOs the other bits do nothing.
        self.fifo_control = if byte & 1 == 0 { 0 } else { byte & 0xc9 };
    }

    const fn has_fifos(&self) -> bool {
        self.fifo_control & 1 != 0
    }

    const fn depth(&self) -> u8 {
        if self.has_fifos() { DEPTH } else { 1 }
    }

    /// Received bytes that interrupt at once; fewer do so as "timeout".
    const fn trigger(&self) -> u8 {
        match self.fifo_control >> 6 {
            _ if !self.has_fifos() => 1,
            0 => 1,
            1 => 4,
            2 => 8,
            _ => 14,
        }
    }

    #[inline(always)]
    const fn line_status(&mut self) -> u8 {
        let ready = if self.received.count != 0 { READY } else { 0 };
        let empty = if self.waiting.count == 0 { EMPTY | SENT } else { 0 };
        let overrun = if self.overrun { OVERRUN } else { 0 };
        self.overrun = false;
        ready | empty | overrun
    }

    /// Modem status without changes: in loopback, what modem control says.
    const fn modem_lines(&self) -> u8 {
        if self.modem_control & LOOPBACK == 0 {
            return CONNECTED;
        }
        let control = self.modem_control;
        (control & 2) << 3 | (control & 1) << 5 | (control & 0xc) << 4
    }

    /// The interrupt that comes first, as IIR tells it, and whether there is one.
    #[inline(always)]
    const fn identification(&self) -> (u8, bool) {
        if self.enabled & LINE != 0 && self.overrun {
            (6, true)
        } else if self.enabled & RECEIVE != 0 && self.received.count != 0 {
            (if self.received.count >= self.trigger() { 4 } else { 0xc }, true)
        } else if self.enabled & TRANSMIT != 0 && self.emptied {
            (2, true)
        } else if self.enabled & MODEM != 0 && self.modem_changes != 0 {
            (0, true)
        } else {
            (1, false)
        }
    }

    /// The level of the interrupt.
    #[inline(always)]
    #[must_use]
    pub const fn line(&self) -> bool {
        self.identification().1
    }

    /// A byte is written to the transmitter.
    #[inline(always)]
    fn transmit(&mut self, byte: u8, sink: &mut impl Sink) {
        self.emptied = false;
        if self.modem_control & LOOPBACK != 0 {
            self.arrive(byte);
        } else {
            self.drain(sink);
            if self.waiting.count == 0 && sink.has_space() {
                sink.push(byte);
            } else {
                // What comes although the FIFO is full is lost, as on the real one.
                let _ = self.waiting.push(byte, self.depth());
            }
        }
        self.emptied = self.waiting.count == 0;
    }

    /// The sink takes what waits, as far as it has space: at most a FIFO of bytes.
    #[inline(always)]
    pub fn drain(&mut self, sink: &mut impl Sink) {
        if self.waiting.count == 0 {
            return;
        }
        while self.waiting.count != 0 && sink.has_space() {
            sink.push(self.waiting.pop());
        }
        self.emptied |= self.waiting.count == 0;
    }

    /// A byte arrives; false if there is no room and it was not taken.
    pub fn receive(&mut self, byte: u8) -> bool {
        self.modem_control & LOOPBACK == 0 && self.received.push(byte, self.depth())
    }

    /// A byte arrives that cannot wait.
    const fn arrive(&mut self, byte: u8) {
        if !self.received.push(byte, self.depth()) {
            self.overrun = true;
        }
    }
}

impl Default for Ns16550 {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
