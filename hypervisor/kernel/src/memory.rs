// SPDX-License-Identifier: MIT OR Apache-2.0
//! The heap: partitions, seats and bells are put there at boot. Nothing
//! allocates afterwards, and nothing is ever given back.

#![expect(unsafe_code, reason = "a global allocator hands out raw memory")]

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;
use spin::Mutex;

static POOL: Mutex<linked_list_allocator::Heap> = Mutex::new(linked_list_allocator::Heap::empty());

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
        // SAFETY: as the caller promises.
        unsafe { POOL.lock().init(start, len) }
    }

    /// Bytes that were handed out.
    #[must_use]
    pub fn used() -> usize {
        POOL.lock().used()
    }
}

// SAFETY: linked_list_allocator upholds the contract of GlobalAlloc under the lock.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        POOL.lock().allocate_first_fit(layout).map_or(core::ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        if let Some(at) = NonNull::new(at) {
            // SAFETY: the caller passes what `alloc` gave for this layout.
            unsafe { POOL.lock().deallocate(at, layout) }
        }
    }
}
