// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ranges of addresses, host or guest, that cannot be confused by wrapping:
//! one that would pass the last address ends there.

/// Bytes of the smallest page, on every architecture.
pub const PAGE: u64 = 0x1000;
/// Bytes of a level-2 block.
pub const BLOCK_2M: u64 = 0x20_0000;
/// Bytes of a level-1 block.
pub const BLOCK_1G: u64 = 0x4000_0000;

/// Addresses from `start`, `size` of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// First address.
    pub start: u64,
    /// Bytes.
    pub size: u64,
}

impl Range {
    /// The range of `size` bytes from `start`.
    #[must_use]
    pub const fn new(start: u64, size: u64) -> Self {
        Self { start, size }
    }

    /// One past the last address.
    #[must_use]
    pub const fn end(self) -> u64 {
        self.start.saturating_add(self.size)
    }

    /// Whether the end can be written as an address.
    #[must_use]
    pub const fn wraps(self) -> bool {
        self.start.checked_add(self.size).is_none()
    }

    /// Whether some address lies in both.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        self.size != 0 && other.size != 0 && self.start < other.end() && other.start < self.end()
    }

    /// Whether all of `other` lies in this one.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        !other.wraps() && self.start <= other.start && other.end() <= self.end()
    }

    /// Whether start and size are multiples of 4 KiB.
    #[must_use]
    pub const fn is_paged(self) -> bool {
        (self.start | self.size).is_multiple_of(PAGE)
    }
}

const _: () = {
    let low = Range::new(0x1000, 0x1000);
    assert!(low.end() == 0x2000 && low.is_paged());
    assert!(!low.overlaps(Range::new(0x2000, 0x1000)));
    assert!(low.overlaps(Range::new(0x1fff, 1)));
    assert!(!low.overlaps(Range::new(0x1800, 0)));
    assert!(low.contains(Range::new(0x1800, 0x800)) && !low.contains(Range::new(0x1800, 0x801)));
    assert!(Range::new(u64::MAX, 2).wraps());
};
