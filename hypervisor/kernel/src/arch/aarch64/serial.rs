// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine's console: a PL011.

use super::mmio::Frame;
use arm_pl011_uart::{Interrupts, PL011Registers, Uart};
use core::ptr::NonNull;
use safe_mmio::UniqueMmioPointer;

/// Most bytes that its receive FIFO holds (PL011 TRM r1p5, "UARTLCR_H": 32, earlier ones 16).
const FIFO_DEPTH: usize = 32;

/// The physical UART.
pub struct Serial {
    uart: Uart<'static>,
}

impl core::fmt::Debug for Serial {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Serial")
    }
}

impl Serial {
    /// The UART with these registers, at the speed the firmware left it, with
    /// its receive interrupts on. None if the frame is too small.
    ///
    /// # Safety
    /// Nothing else may use the registers any more.
    #[must_use]
    pub unsafe fn new(frame: Frame) -> Option<Self> {
        let registers: NonNull<PL011Registers> = frame.as_registers()?;
        // SAFETY: the frame is mapped for the program's life and the caller gives it up.
        let mut uart = Uart::new(unsafe { UniqueMmioPointer::new(registers) });
        uart.clear_interrupts(Interrupts::all());
        frame.write32(UARTCR, UART_TX_RX_ON);
        frame.write32(UARTLCR_H, FIFO_8_BITS);
        // What came before nobody typed for a partition. Reading it also arms the receive
        // interrupts again, which an emulator raises only where the FIFO's level passes theirs.
        for _ in 0..FIFO_DEPTH {
            if uart.is_rx_fifo_empty() {
                break;
            }
            let _ = uart.read_word();
        }
        uart.set_interrupt_masks(Interrupts::RXI | Interrupts::RTI);
        Some(Self { uart })
    }

    /// Sends a byte; false if there is no room.
    pub fn send(&mut self, byte: u8) -> bool {
        if self.uart.is_tx_fifo_full() {
            return false;
        }
        self.uart.write_word(byte);
        true
    }

    /// Whether the last byte has left.
    #[must_use]
    pub fn sent(&self) -> bool {
        !self.uart.is_busy()
    }

    /// Takes a received byte; one received with an error is dropped.
    ///
    /// Reading the last byte ends the receive interrupts ("UARTRXINTR", "UARTRTINTR"). They are
    /// never cleared by hand: a byte that came between the last look and that would wait for ever.
    pub fn receive(&mut self) -> Option<u8> {
        loop {
            match self.uart.read_word() {
                Ok(word) => return word,
                Err(_) => continue,
            }
        }
    }
}

/// Control register: enabled, both directions. The speed is the firmware's.
const UARTCR: usize = 0x30;
const UART_TX_RX_ON: u32 = 1 << 9 | 1 << 8 | 1;
/// Line control: 8 bits, FIFOs on.
const UARTLCR_H: usize = 0x2c;
const FIFO_8_BITS: u32 = 3 << 5 | 1 << 4;
