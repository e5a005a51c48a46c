// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ports of the PC. Manual: Intel SDM, "Input/Output".

use abi::platform::pc;
use core::arch::asm;

/// First port of COM1, the console.
pub const COM1: Port = known(pc::COM1);
/// First port of COM2.
pub const COM2: Port = known(0x2f8);
/// Interrupt masks of the two 8259s.
pub const PIC_MASKS: [Port; 2] = [known(pc::PIC1 + 1), known(pc::PIC2 + 1)];
/// Counter 2 of the PIT.
pub const PIT_COUNTER_2: Port = known(pc::PIT + 2);
/// Control word of the PIT.
pub const PIT_CONTROL: Port = known(pc::PIT + 3);
/// Gate (bit 0) and output (bit 5) of the PIT's counter 2.
pub const PIT_GATE: Port = known(pc::PIT_GATE);
/// Reset control: 6 resets the machine.
pub const RESET: Port = known(pc::RESET);
/// PM1a control of the platform and of QEMU's q35.
pub const PM1A_CONTROL: Port = known(pc::PM_CONTROL);
/// PM1a control of Bochs.
pub const PM1A_CONTROL_BOCHS: Port = known(0xb004);

const fn known(number: u16) -> Port {
    // SAFETY: the constants above name devices that do not write to memory.
    unsafe { Port::new(number) }
}

/// One port, and those behind it by an offset.
#[derive(Clone, Copy, Debug)]
pub struct Port(u16);

impl Port {
    /// Port `number`.
    ///
    /// # Safety
    /// No access to it may change memory that Rust owns.
    #[must_use]
    pub const unsafe fn new(number: u16) -> Port {
        Port(number)
    }

    /// The port `offset` further on, of the same device.
    #[must_use]
    pub const fn at(self, offset: u16) -> Port {
        Port(self.0 + offset)
    }

    /// Reads a byte.
    #[must_use]
    pub fn read8(self) -> u8 {
        let value;
        // SAFETY: `new`'s caller vouched for the port.
        unsafe {
            asm!("in al, dx", out("al") value, in("dx") self.0, options(nostack, preserves_flags));
        }
        value
    }

    /// Writes a byte.
    pub fn write8(self, value: u8) {
        // SAFETY: `new`'s caller vouched for the port.
        unsafe {
            asm!("out dx, al", in("al") value, in("dx") self.0, options(nostack, preserves_flags));
        }
    }

    /// Writes two bytes.
    pub fn write16(self, value: u16) {
        // SAFETY: `new`'s caller vouched for the port.
        unsafe {
            asm!("out dx, ax", in("ax") value, in("dx") self.0, options(nostack, preserves_flags));
        }
    }
}
