// SPDX-License-Identifier: MIT OR Apache-2.0
//! The heap: partitions, seats and bells are put there at boot. Nothing
//! allocates afterwards, so it only grows, and gets back what it gave last.

#![expect(unsafe_code, reason = "a global allocator hands out raw memory")]

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::null_mut;
use spin::Mutex;

static POOL: Mutex<Pool> = Mutex::new(Pool { start: null_mut(), used: 0, len: 0 });

/// The allocator of the bootable program. There is one heap, so it has no fields.
#[derive(Debug)]
pub struct Heap;

impl Heap {
    /// Gives the heap its memory.
    ///
    /// # Safety
    /// `start` to `start + len` must be mapped writable for the program's life and used by
    /// nobody else. To be called once.
    pub unsafe fn fill(start: *mut u8, len: usize) {
        *POOL.lock() = Pool { start, used: 0, len };
    }

    /// Bytes that were handed out.
    #[must_use]
    pub fn used() -> usize {
        POOL.lock().used
    }
}

/// The heap's memory: what is used, then what is free.
#[derive(Debug)]
struct Pool {
    start: *mut u8,
    used: usize,
    len: usize,
}

// SAFETY: the memory behind `start` belongs to the pool, wherever the pool is.
unsafe impl Send for Pool {}

impl Pool {
    /// The next free memory for a layout; none if it does not fit.
    fn take(&mut self, layout: Layout) -> Option<*mut u8> {
        let free = self.start.addr().checked_add(self.used)?;
        let offset = free.checked_next_multiple_of(layout.align())? - self.start.addr();
        self.resize(offset, layout.size()).then(|| self.start.wrapping_add(offset))
    }

    /// Makes what begins at an offset the last that is used, with this size. False if it does not fit.
    fn resize(&mut self, offset: usize, size: usize) -> bool {
        let Some(used) = offset.checked_add(size).filter(|used| *used <= self.len) else {
            return false;
        };
        self.used = used;
        true
    }

    /// The offset of what was given last, if it is this.
    fn last(&self, at: *mut u8, layout: Layout) -> Option<usize> {
        let offset = at.addr().wrapping_sub(self.start.addr());
        (offset.wrapping_add(layout.size()) == self.used).then_some(offset)
    }
}

// SAFETY: what `take` gives is aligned, lies in the pool's memory and behind all that is used;
// `used` shrinks only when what ends there is given back.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        POOL.lock().take(layout).unwrap_or(null_mut())
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        let mut pool = POOL.lock();
        if let Some(offset) = pool.last(at, layout) {
            pool.used = offset;
        }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let mut pool = POOL.lock();
        if let Some(offset) = pool.last(at, layout) {
            return if pool.resize(offset, size) { at } else { null_mut() };
        }
        let Ok(new) = Layout::from_size_align(size, layout.align()) else { return null_mut() };
        let Some(to) = pool.take(new) else { return null_mut() };
        // SAFETY: the caller passes what was given for `layout`, and `to` is behind all of that.
        unsafe { to.copy_from_nonoverlapping(at, size.min(layout.size())) };
        to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_aligned_and_used_once() {
        static MEMORY: Mutex<[u64; 8]> = Mutex::new([0; 8]);
        let mut memory = MEMORY.lock();
        // SAFETY: this test alone has the memory and fills the heap.
        unsafe { Heap::fill(memory.as_mut_ptr().cast(), 64) }
        let byte = Layout::new::<u8>();
        // SAFETY: what is written and given back was allocated with the same layouts.
        unsafe {
            let first = Heap.alloc(byte);
            first.write(7);
            let word = Heap.alloc(Layout::new::<u64>());
            assert_eq!((word.addr() % 8, Heap::used()), (0, 16));
            let moved = Heap.realloc(first, byte, 8);
            assert_eq!((moved.read(), Heap::used()), (7, 24));
            let eight = Layout::new::<[u8; 8]>();
            assert_eq!(Heap.realloc(moved, eight, 40), moved);
            assert_eq!(Heap::used(), 56);
            assert!(Heap.alloc(Layout::new::<[u64; 2]>()).is_null());
            Heap.dealloc(moved, Layout::new::<[u8; 40]>());
            assert_eq!(Heap::used(), 16);
        }
    }
}
