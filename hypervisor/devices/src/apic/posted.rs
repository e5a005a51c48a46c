// SPDX-License-Identifier: MIT OR Apache-2.0
//! What others have for a vCPU: interrupts, NMI, INIT and start-up, posted
//! without a lock, and where its local APIC may be found by a logical address.
//!
//! A poster writes the vector's mode, then its bit, then the summary; the owner
//! takes them the other way round. So whatever the summary announces is seen,
//! and nothing is lost: an interrupt posted meanwhile is announced once more.
//! The poster then rings the vCPU; that is not done here.

use super::vectors::Vectors;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// Summary: one bit for each word of vectors, then the events.
const WORDS: u32 = 0xf;
const NMI: u32 = 1 << 4;
const INIT: u32 = 1 << 5;
const STARTUP: u32 = 1 << 6;
/// A start-up vector is there.
const VALID: u32 = 1 << 8;

/// [`Posted::address`]: `LDR` below, and how it is to be read.
pub(super) const X2APIC: u64 = 1 << 32;
pub(super) const CLUSTER: u64 = 1 << 33;

/// One vCPU's letter box.
#[derive(Debug, Default)]
pub struct Posted {
    summary: AtomicU32,
    startup: AtomicU32,
    vectors: [AtomicU64; 4],
    level: [AtomicU64; 4],
    address: AtomicU64,
    /// The level of the 8259's interrupt output (vCPU 0 alone has one).
    external: AtomicBool,
}

/// What was taken out of a letter box beside interrupts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Events {
    /// Interrupts came: what [`super::LocalApic::pending`] answers may have changed.
    pub interrupts: bool,
    /// Something of what follows.
    pub others: bool,
    /// A non-maskable interrupt.
    pub nmi: bool,
    /// INIT: to be answered before a start-up that came with it.
    pub init: bool,
    /// Start-up, with the page that it starts at.
    pub startup: Option<u8>,
}

impl Posted {
    /// An empty letter box.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            summary: AtomicU32::new(0),
            startup: AtomicU32::new(0),
            vectors: [const { AtomicU64::new(0) }; 4],
            level: [const { AtomicU64::new(0) }; 4],
            address: AtomicU64::new(0),
            external: AtomicBool::new(false),
        }
    }

    /// Empties it; nobody posts meanwhile.
    pub fn reset(&self) {
        for word in self.vectors.iter().chain(&self.level) {
            word.store(0, Ordering::Relaxed);
        }
        self.startup.store(0, Ordering::Relaxed);
        self.address.store(0, Ordering::Relaxed);
        self.external.store(false, Ordering::Relaxed);
        self.summary.store(0, Ordering::Release);
    }

    /// An interrupt, triggered by level or edge. Vectors below 16 are illegal and lost.
    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "two bits of index, four words")]
    pub fn post(&self, vector: u8, level: bool) {
        if vector < 16 {
            return;
        }
        let (word, bit) = (Vectors::word(vector), Vectors::bit(vector));
        // The last poster of a vector says its mode, as the last message does on a bus.
        // Relaxed: the vector publishes it. The test spares a locked write.
        let mode = &self.level[word];
        if (mode.load(Ordering::Relaxed) & bit != 0) != level {
            if level {
                mode.fetch_or(bit, Ordering::Relaxed);
            } else {
                mode.fetch_and(!bit, Ordering::Relaxed);
            }
        }
        // Release: whoever sees the vector sees its mode, and through the summary the vector.
        self.vectors[word].fetch_or(bit, Ordering::Release);
        self.summary.fetch_or(1 << word, Ordering::Release);
    }

    /// A non-maskable interrupt.
    pub fn post_nmi(&self) {
        self.summary.fetch_or(NMI, Ordering::Release);
    }

    /// INIT; a start-up that came before it is forgotten.
    pub fn post_init(&self) {
        self.startup.store(0, Ordering::Relaxed);
        self.summary.fetch_or(INIT, Ordering::Release);
    }

    /// Start-up at a page; of several that wait, the last counts.
    pub fn post_startup(&self, page: u8) {
        self.startup.store(VALID | u32::from(page), Ordering::Relaxed);
        self.summary.fetch_or(STARTUP, Ordering::Release);
    }

    /// Whether anything waits here, the 8259's output apart.
    #[inline(always)]
    #[must_use]
    pub fn waits(&self) -> bool {
        // Acquire: whoever goes on to look sees what was announced.
        self.summary.load(Ordering::Acquire) != 0
    }

    /// Takes everything out: `request` is told each word of vectors, those that are new and the
    /// modes. For the vCPU's own CPU.
    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "the index is below four")]
    pub(super) fn take(&self, accept: bool, mut request: impl FnMut(usize, u64, u64)) -> Events {
        // Acquire: pairs with the posters' releases.
        let summary = self.summary.swap(0, Ordering::Acquire);
        let mut words = summary & WORDS;
        let mut events = Events::default();
        while words != 0 {
            let word = words.trailing_zeros() as usize & 3;
            words &= words.wrapping_sub(1);
            let new = self.vectors[word].swap(0, Ordering::Acquire);
            if accept {
                request(word, new, self.level[word].load(Ordering::Relaxed));
                events.interrupts = true;
            }
        }
        if summary & !WORDS != 0 { self.others(summary, events) } else { events }
    }

    /// What there is beside interrupts.
    #[cold]
    #[inline(never)]
    fn others(&self, summary: u32, events: Events) -> Events {
        let startup = self.startup.swap(0, Ordering::Relaxed);
        let startup = (startup & VALID != 0).then_some((startup & 0xff) as u8);
        let (nmi, init) = (summary & NMI != 0, summary & INIT != 0);
        Events { others: true, nmi, init, startup, ..events }
    }

    /// Says where the vCPU's local APIC is found ([`super::LocalApic::address`]).
    pub fn publish(&self, address: u64) {
        // Relaxed: a guest that changes it while others send gets either.
        self.address.store(address, Ordering::Relaxed);
    }

    /// Whether a logical destination names this local APIC.
    #[inline(always)]
    #[must_use]
    pub(super) fn is_named(&self, destination: u32) -> bool {
        let address = self.address.load(Ordering::Relaxed);
        let logical = (address & 0xffff_ffff) as u32;
        if address & X2APIC != 0 {
            return destination == u32::MAX
                || logical >> 16 == destination >> 16 && logical & destination & 0xffff != 0;
        }
        let own = logical >> 24;
        if address & CLUSTER == 0 {
            return own & destination & 0xff != 0;
        }
        destination & 0xff == 0xff
            || own >> 4 == destination >> 4 & 0xf && own & destination & 0xf != 0
    }

    /// The 8259 raises or lowers its output; true if it rose.
    #[inline(always)]
    pub fn set_external(&self, level: bool) -> bool {
        // Relaxed: the shared devices' lock orders its writers, the ring its reader. The test
        // spares a write.
        if self.external.load(Ordering::Relaxed) == level {
            return false;
        }
        self.external.store(level, Ordering::Relaxed);
        level
    }

    /// Whether the 8259 has an interrupt.
    #[inline(always)]
    #[must_use]
    pub fn external(&self) -> bool {
        self.external.load(Ordering::Relaxed)
    }
}
