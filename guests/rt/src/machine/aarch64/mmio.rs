// SPDX-License-Identifier: MIT OR Apache-2.0
//! Device registers. Each access is one plain load or store with a base
//! register, so that its syndrome is valid at EL2 (ESR_EL2.ISV): compilers use
//! post-indexed forms for volatile accesses, which have none.

use abi::platform;
use core::arch::asm;

/// A device's registers.
#[derive(Clone, Copy, Debug)]
pub struct Registers {
    base: u64,
    size: u64,
}

/// The GIC's distributor.
// SAFETY: the platform has this frame and only the `gic` module drives it.
pub const GICD: Registers = unsafe { Registers::new(platform::GICD, platform::GICD_SIZE) };
/// The console.
// SAFETY: the platform has this frame; its registers have no side effect on memory.
pub const UART: Registers = unsafe { Registers::new(platform::UART, platform::UART_SIZE) };
/// The PL031, if the partition owns it.
// SAFETY: the `virt` machine has this frame; its registers have no side effect on memory.
pub const RTC: Registers = unsafe { Registers::new(0x0901_0000, 0x1000) };

/// Both frames of CPU `cpu`'s redistributor.
#[must_use]
pub fn redistributor(cpu: usize) -> Registers {
    let base = platform::GICR + cpu as u64 * platform::GICR_STRIDE;
    // SAFETY: each CPU of the platform has these frames and only the `gic` module drives them.
    unsafe { Registers::new(base, platform::GICR_STRIDE) }
}

/// A window that the device tree gives to a channel.
pub(crate) fn channel_window(base: u64, size: u64) -> Option<Registers> {
    let end = base.checked_add(size)?;
    let inside = base >= platform::CHANNEL_REGISTERS && end <= platform::CHANNEL_END;
    // SAFETY: between these addresses the platform has channels only, whose memory no Rust object lies in.
    inside.then(|| unsafe { Registers::new(base, size) })
}

impl Registers {
    /// Registers at `base`.
    ///
    /// # Safety
    /// No write to these `size` bytes may change memory that Rust owns.
    #[must_use]
    pub const unsafe fn new(base: u64, size: u64) -> Registers {
        Registers { base, size }
    }

    /// Bytes of the window.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    fn address(&self, offset: u64, width: u64) -> u64 {
        assert!(
            offset.is_multiple_of(width) && offset + width <= self.size,
            "register {offset:#x}"
        );
        self.base + offset
    }

    /// Reads the 32-bit register at `offset`.
    #[must_use]
    pub fn read32(&self, offset: u64) -> u32 {
        let address = self.address(offset, 4);
        let value;
        // SAFETY: aligned and inside the window that `new`'s caller vouched for.
        unsafe {
            asm!("ldr {0:w}, [{1}]", out(reg) value, in(reg) address, options(nostack, preserves_flags))
        };
        value
    }

    /// Writes the 32-bit register at `offset`.
    pub fn write32(&self, offset: u64, value: u32) {
        let address = self.address(offset, 4);
        // SAFETY: aligned and inside the window that `new`'s caller vouched for.
        unsafe {
            asm!("str {0:w}, [{1}]", in(reg) value, in(reg) address, options(nostack, preserves_flags))
        };
    }

    /// Reads the 64-bit register at `offset`.
    #[must_use]
    pub fn read64(&self, offset: u64) -> u64 {
        let address = self.address(offset, 8);
        let value;
        // SAFETY: aligned and inside the window that `new`'s caller vouched for.
        unsafe {
            asm!("ldr {0}, [{1}]", out(reg) value, in(reg) address, options(nostack, preserves_flags))
        };
        value
    }

    /// Writes the 64-bit register at `offset`.
    pub fn write64(&self, offset: u64, value: u64) {
        let address = self.address(offset, 8);
        // SAFETY: aligned and inside the window that `new`'s caller vouched for.
        unsafe {
            asm!("str {0}, [{1}]", in(reg) value, in(reg) address, options(nostack, preserves_flags))
        };
    }
}
