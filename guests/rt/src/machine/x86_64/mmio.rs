// SPDX-License-Identifier: MIT OR Apache-2.0
//! Device registers. Each access is one plain MOV with a base register: what a
//! hypervisor must decode is as simple as it can be.

use abi::platform::pc;
use core::arch::asm;

/// A device's registers.
#[derive(Clone, Copy, Debug)]
pub struct Registers {
    base: u64,
    size: u64,
}

/// The I/O APIC.
// SAFETY: the platform has this page and only the `apic` module drives it.
pub const IO_APIC: Registers = unsafe { Registers::new(pc::IO_APIC, pc::IO_APIC_SIZE) };
/// This CPU's local APIC, where it is not an x2APIC.
// SAFETY: the platform has this page and only the `apic` module drives it.
pub const LOCAL_APIC: Registers = unsafe { Registers::new(pc::LOCAL_APIC, pc::LOCAL_APIC_SIZE) };

/// A window that the platform's description gives to a channel.
pub(super) fn channel_window(base: u64, size: u64) -> Option<Registers> {
    let end = base.checked_add(size)?;
    let inside = base >= pc::CHANNEL_REGISTERS && end <= pc::CHANNEL_END;
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
            asm!("mov {0:e}, [{1}]", out(reg) value, in(reg) address, options(nostack, preserves_flags));
        }
        value
    }

    /// Writes the 32-bit register at `offset`.
    pub fn write32(&self, offset: u64, value: u32) {
        let address = self.address(offset, 4);
        // SAFETY: aligned and inside the window that `new`'s caller vouched for.
        unsafe {
            asm!("mov [{1}], {0:e}", in(reg) value, in(reg) address, options(nostack, preserves_flags));
        }
    }

    /// Reads the 64-bit register at `offset`.
    #[must_use]
    pub fn read64(&self, offset: u64) -> u64 {
        let address = self.address(offset, 8);
        let value;
        // SAFETY: aligned and inside the window that `new`'s caller vouched for.
        unsafe {
            asm!("mov {0}, [{1}]", out(reg) value, in(reg) address, options(nostack, preserves_flags));
        }
        value
    }

    /// Writes the 64-bit register at `offset`.
    pub fn write64(&self, offset: u64, value: u64) {
        let address = self.address(offset, 8);
        // SAFETY: aligned and inside the window that `new`'s caller vouched for.
        unsafe {
            asm!("mov [{1}], {0}", in(reg) value, in(reg) address, options(nostack, preserves_flags));
        }
    }
}
