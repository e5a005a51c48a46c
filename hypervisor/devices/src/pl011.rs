// SPDX-License-Identifier: MIT OR Apache-2.0
//! A PL011 UART, as Linux, U-Boot, EDK2 and FreeRTOS drive it.

use crate::Size;

/// Where transmitted bytes go.
pub trait Sink {
    /// Whether it takes a byte now; the guest sees a full FIFO otherwise.
    fn has_space(&self) -> bool;
    /// Takes a byte. One that comes without space is dropped and counted by the sink.
    fn push(&mut self, byte: u8);
}

/// The UART.
#[derive(Clone, Debug)]
pub struct Pl011 {
    raw: u32,
    mask: u32,
}

impl Pl011 {
    /// A UART after reset.
    #[must_use]
    pub const fn new() -> Self {
        Self { raw: 0, mask: 0 }
    }

    /// Back to the state after reset; received bytes are lost.
    pub fn reset(&mut self) {
        *self = Self::new();
    }

    /// Reads a register. Unknown offsets and sizes read zero.
    #[inline]
    pub fn read(&mut self, offset: u64, size: Size, sink: &impl Sink) -> u32 {
        let _ = (offset, size, sink);
        0
    }

    /// Writes a register. Unknown offsets and sizes are ignored.
    pub fn write(&mut self, offset: u64, size: Size, value: u32, sink: &mut impl Sink) {
        let _ = (offset, size, value, sink);
    }

    /// A byte arrives; false if the FIFO is full and the byte was not taken.
    pub fn receive(&mut self, byte: u8) -> bool {
        let _ = byte;
        false
    }

    /// The sink, which had no space, has space again.
    pub fn space_returned(&mut self) {}

    /// Level of the interrupt.
    #[inline]
    #[must_use]
    pub const fn line(&self) -> bool {
        self.raw & self.mask != 0
    }
}

impl Default for Pl011 {
    fn default() -> Self {
        Self::new()
    }
}
