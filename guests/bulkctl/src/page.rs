// SPDX-License-Identifier: MIT OR Apache-2.0
//! The mailbox's two pages in this program's memory. All unsafe code is here.
#![allow(unsafe_code, reason = "the border to the hypervisor's pages")]

use crate::place::Place;
use abi::mailbox::ring::{MEMORY_LEN, Words};
use abi::platform::channel::DOORBELL;
use rustix::mm::{MapFlags, ProtFlags, mmap};
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst, fence};

/// Bytes of the register page.
const REGISTERS_LEN: usize = 0x1000;

/// Both pages, mapped until the program ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pages {
    registers: *mut u8,
    memory: *mut u8,
}

impl Pages {
    /// Maps them through /dev/mem.
    pub(crate) fn map(memory: &File, place: Place) -> io::Result<Self> {
        let map = |address: u64, length: usize| {
            let protection = ProtFlags::READ | ProtFlags::WRITE;
            // SAFETY: the system chooses where, so nothing else is there; what lies at the address is the mailbox, as
            // the hypervisor's own description of the platform says, and no memory of this or another program.
            unsafe {
                mmap(std::ptr::null_mut(), length, protection, MapFlags::SHARED, memory, address)
            }
        };
        Ok(Self {
            registers: map(place.registers, REGISTERS_LEN)?.cast(),
            memory: map(place.memory, MEMORY_LEN as usize)?.cast(),
        })
    }

    /// Tells the hypervisor that there are requests.
    pub(crate) fn ring(self) {
        // A mailbox has the registers of a channel.
        // SAFETY: the register is aligned and inside the page, which stays mapped; any value may be written.
        unsafe { self.registers.add(DOORBELL as usize).cast::<u32>().write_volatile(1) }
    }

    /// The word at an offset, if it is aligned and inside.
    fn word<T>(&self, offset: u32) -> Option<*mut T> {
        let (offset, size) = (offset as usize, size_of::<T>());
        let inside = offset % size == 0 && offset + size <= MEMORY_LEN as usize;
        // SAFETY: the offset is inside what was mapped.
        inside.then(|| unsafe { self.memory.add(offset).cast() })
    }

    fn word32(&self, offset: u32) -> Option<&AtomicU32> {
        // SAFETY: `word` says that it is aligned and inside; it stays mapped, and this program has it as atomics only.
        self.word(offset).map(|word| unsafe { AtomicU32::from_ptr(word) })
    }

    fn word64(&self, offset: u32) -> Option<&AtomicU64> {
        // SAFETY: as above; a count's word is either loaded as a part of a 64-bit word or alone, which x86 and Arm allow.
        self.word(offset).map(|word| unsafe { AtomicU64::from_ptr(word) })
    }
}

impl Words for Pages {
    fn load(&self, offset: u32) -> [u8; 8] {
        self.word64(offset).map_or(0, |word| word.load(Relaxed)).to_ne_bytes()
    }

    fn store(&self, offset: u32, bytes: [u8; 8]) {
        if let Some(word) = self.word64(offset) {
            word.store(u64::from_ne_bytes(bytes), Relaxed);
        }
    }

    fn count(&self, offset: u32) -> u32 {
        u32::from_le(self.word32(offset).map_or(0, |word| word.load(Relaxed)))
    }

    fn set_count(&self, offset: u32, count: u32) {
        if let Some(word) = self.word32(offset) {
            word.store(count.to_le(), Relaxed);
        }
    }

    fn barrier(&self) {
        fence(SeqCst);
    }
}
