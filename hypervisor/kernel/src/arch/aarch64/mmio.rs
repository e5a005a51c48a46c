// SPDX-License-Identifier: MIT OR Apache-2.0
//! Registers of the machine that the kernel itself drives: a frame is had once,
//! from the page it was mapped to, and checks its offsets.

use core::ptr::NonNull;

/// A mapped frame of device registers.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    base: usize,
    len: usize,
}

impl Frame {
    /// The frame at this mapped address.
    ///
    /// # Safety
    /// `base` to `base + len` must stay mapped as Device memory for the program's
    /// life, and hold registers whose access has no effect on the kernel's own memory.
    pub const unsafe fn new(base: usize, len: usize) -> Self {
        Self { base, len }
    }

    /// Part of this frame, of `len` bytes.
    #[must_use]
    pub fn part(self, offset: usize, len: usize) -> Option<Self> {
        let end = offset.checked_add(len)?;
        (end <= self.len).then_some(Self { base: self.base + offset, len })
    }

    /// The frame as the register block of a driver; none if it is smaller.
    #[must_use]
    pub fn as_registers<T>(self) -> Option<NonNull<T>> {
        (size_of::<T>() <= self.len).then(|| NonNull::new(self.base as *mut T)).flatten()
    }

    /// Reads 32 bits; an offset outside reads zero.
    #[must_use]
    pub fn read32(self, offset: usize) -> u32 {
        if offset & 3 != 0 || offset >= self.len {
            return 0;
        }
        // SAFETY: `new`'s caller promised a mapped frame; the offset is aligned and inside.
        unsafe { ((self.base + offset) as *const u32).read_volatile() }
    }

    /// Writes 32 bits; an offset outside is ignored.
    pub fn write32(self, offset: usize, value: u32) {
        if offset & 3 == 0 && offset < self.len {
            // SAFETY: as in `read32`.
            unsafe { ((self.base + offset) as *mut u32).write_volatile(value) }
        }
    }

    /// Reads 64 bits; an offset outside reads zero.
    #[must_use]
    pub fn read64(self, offset: usize) -> u64 {
        if offset & 7 != 0 || offset >= self.len {
            return 0;
        }
        // SAFETY: as in `read32`.
        unsafe { ((self.base + offset) as *const u64).read_volatile() }
    }

    /// Writes 64 bits; an offset outside is ignored.
    pub fn write64(self, offset: usize, value: u64) {
        if offset & 7 == 0 && offset < self.len {
            // SAFETY: as in `read32`.
            unsafe { ((self.base + offset) as *mut u64).write_volatile(value) }
        }
    }
}
