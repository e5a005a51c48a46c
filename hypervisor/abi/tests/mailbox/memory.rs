// SPDX-License-Identifier: MIT OR Apache-2.0
//! Shared memory as the two sides of a mailbox see it, and what each of them did to it.

use abi::mailbox::ring::{MEMORY_LEN, Words};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// Both halves of each 64-bit word have an atomic of their own: what is stored
/// whole is seen whole or half, which is the worst that either side can meet.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    halves: Arc<[AtomicU32]>,
    loads: Arc<AtomicU64>,
    /// Offsets that may be stored to; others stop the test.
    writable: fn(u32) -> bool,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self::of_len(MEMORY_LEN)
    }

    pub(crate) fn of_len(len: u32) -> Self {
        let halves = (0..len / 4).map(|_| AtomicU32::new(0)).collect();
        Self { halves, loads: Arc::default(), writable: |_| true }
    }

    /// The same memory as one side sees it that may store to some of it.
    pub(crate) fn side(&self, writable: fn(u32) -> bool) -> Self {
        Self { writable, ..self.clone() }
    }

    /// Halves loaded since the last call.
    pub(crate) fn take_loads(&self) -> u64 {
        self.loads.swap(0, Ordering::Relaxed)
    }

    fn half(&self, offset: u32) -> Option<&AtomicU32> {
        self.halves.get(offset as usize / 4).filter(|_| offset.is_multiple_of(4))
    }
}

impl Words for Memory {
    fn load(&self, offset: u32) -> [u8; 8] {
        assert!(offset.is_multiple_of(8), "{offset:#x} is not aligned");
        let [low, high] = [self.count(offset), self.count(offset + 4)];
        (u64::from(high) << 32 | u64::from(low)).to_le_bytes()
    }

    fn store(&self, offset: u32, bytes: [u8; 8]) {
        assert!(offset.is_multiple_of(8), "{offset:#x} is not aligned");
        let word = u64::from_le_bytes(bytes);
        self.set_count(offset, word as u32);
        self.set_count(offset + 4, (word >> 32) as u32);
    }

    fn count(&self, offset: u32) -> u32 {
        self.loads.fetch_add(1, Ordering::Relaxed);
        self.half(offset).map_or(0, |half| half.load(Ordering::Relaxed))
    }

    fn set_count(&self, offset: u32, count: u32) {
        assert!((self.writable)(offset), "{offset:#x} belongs to the other side");
        if let Some(half) = self.half(offset) {
            half.store(count, Ordering::Relaxed);
        }
    }

    fn barrier(&self) {
        fence(Ordering::SeqCst);
    }
}
