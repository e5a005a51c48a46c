// SPDX-License-Identifier: MIT OR Apache-2.0
//! Host memory with a write-back cache in front of it, so that it matters
//! whether what was written was also cleaned: a guest with its caches off reads
//! [`Machine::memory`], one with caches on [`Machine::cached`].
//!
//! What nobody wrote reads as garbage.

use super::events::Event;
use super::machine::Machine;
use super::std::collections::BTreeMap;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::AtomicU64;
use paging::{HostPhys, PAGE};

/// Every byte of memory before it is written.
pub const GARBAGE: u8 = 0xa5;

type Bytes = Box<[u8]>;

/// One page, in memory and, if it was written since it was cleaned, in the cache.
#[derive(Debug)]
struct Page {
    memory: Bytes,
    cache: Option<Bytes>,
}

/// The machine's memory, by page number.
#[derive(Debug, Default)]
pub(super) struct Pages(BTreeMap<u64, Page>);

impl Pages {
    fn page(&mut self, address: u64) -> &mut Page {
        let garbage = || alloc::vec![GARBAGE; PAGE as usize].into_boxed_slice();
        self.0.entry(address / PAGE).or_insert_with(|| Page { memory: garbage(), cache: None })
    }

    /// Writes through a cache: the bytes of each piece come from `fill`.
    fn store(&mut self, host: u64, len: u64, mut fill: impl FnMut(&mut [u8], usize)) {
        let mut done = 0;
        for (address, inside) in pieces(host, len) {
            let Page { memory, cache } = self.page(address);
            if let Some(bytes) = cache.get_or_insert_with(|| memory.clone()).get_mut(inside) {
                fill(bytes, done);
                done += bytes.len();
            }
        }
    }

    /// Writes bytes through a cache.
    fn store_bytes(&mut self, host: u64, bytes: &[u8]) {
        self.store(host, bytes.len() as u64, |piece, done| {
            let from = bytes.get(done..done + piece.len()).unwrap_or(&[]);
            piece.copy_from_slice(from);
        });
    }

    /// Writes back what the cache has of these pages.
    fn clean(&mut self, host: u64, len: u64) {
        for (address, _) in pieces(host, len) {
            let page = self.page(address);
            if let Some(line) = page.cache.take() {
                page.memory = line;
            }
        }
    }

    fn read(&mut self, host: u64, len: u64, cached: bool) -> Vec<u8> {
        let mut read = Vec::new();
        for (address, inside) in pieces(host, len) {
            let Page { memory, cache } = self.page(address);
            let bytes = cache.as_ref().filter(|_| cached).unwrap_or(memory);
            read.extend_from_slice(bytes.get(inside).unwrap_or(&[]));
        }
        read
    }
}

/// A range, page by page: an address in the page, and which bytes of it.
fn pieces(host: u64, len: u64) -> impl Iterator<Item = (u64, Range<usize>)> {
    let (first, end) = (host / PAGE * PAGE, host + len);
    (first..end).step_by(PAGE as usize).map(move |page| {
        let inside = |address: u64| (address.clamp(page, page + PAGE) - page) as usize;
        (page, inside(host)..inside(end))
    })
}

/// Writes zeros and cleans them to memory. `host` and `len` are multiples of 4 KiB.
pub fn zero(host: HostPhys, len: usize) {
    Machine::current().with(|state| {
        state.pages.store(host.get(), len as u64, |piece, _| piece.fill(0));
        state.log(Event::Zeroed { host: host.get(), len: len as u64 });
    });
    clean(host, len);
}

/// Copies bytes and cleans them to memory.
pub fn copy(host: HostPhys, bytes: &[u8]) {
    Machine::current().with(|state| {
        state.pages.store_bytes(host.get(), bytes);
        state.log(Event::Copied { host: host.get(), len: bytes.len() as u64 });
    });
    clean(host, bytes.len());
}

/// Memory that outlives a reset.
#[must_use]
pub fn kept() -> &'static [AtomicU64] {
    Machine::current().kept
}

/// Nothing: it has no cache.
pub fn keep(_words: &[AtomicU64]) {}

/// Writes what caches hold of a range back to memory and drops it.
pub fn clean(host: HostPhys, len: usize) {
    Machine::current().with(|state| {
        state.pages.clean(host.get(), len as u64);
        state.log(Event::Cleaned { host: host.get(), len: len as u64 });
    });
}

/// Reads eight bytes at once, as a guest wrote them.
#[must_use]
pub fn peek(host: HostPhys) -> u64 {
    let bytes = Machine::current().cached(host, 8);
    u64::from_le_bytes(bytes.try_into().unwrap_or_default())
}

/// Writes eight bytes at once, to memory.
pub fn poke(host: HostPhys, value: u64) {
    copy(host, &value.to_le_bytes());
}

/// Writes four bytes at once, to memory.
pub fn poke32(host: HostPhys, value: u32) {
    copy(host, &value.to_le_bytes());
}

/// Instructions that were copied are fetched anew by every CPU.
pub fn publish_code() {
    Machine::current().with(|state| state.log(Event::Published));
}

/// CRC-32C of `bytes`, continuing `crc`.
#[must_use]
pub fn crc32c(crc: u32, bytes: &[u8]) -> u32 {
    abi::crc32c::software(crc, bytes)
}

/// What guests do to memory.
impl Machine {
    /// A guest writes with its caches on.
    pub fn store(&self, host: HostPhys, bytes: &[u8]) {
        self.with(|state| state.pages.store_bytes(host.get(), bytes));
    }

    /// What a guest reads with its caches off.
    #[must_use]
    pub fn memory(&self, host: HostPhys, len: u64) -> Vec<u8> {
        self.with(|state| state.pages.read(host.get(), len, false))
    }

    /// What a guest reads with its caches on.
    #[must_use]
    pub fn cached(&self, host: HostPhys, len: u64) -> Vec<u8> {
        self.with(|state| state.pages.read(host.get(), len, true))
    }
}
