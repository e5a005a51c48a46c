// SPDX-License-Identifier: MIT OR Apache-2.0
//! What happened in this machine, the newest events of it. Readers ask by
//! number and learn how many they missed; nobody waits for them.

use crate::MAILBOX;
use crate::arch::{self, time};
use crate::bell::Wish;
use crate::mailbox::nanoseconds;
use abi::mailbox::event::{Event, Kind};
use abi::records::{U16, U32, U64};
use core::sync::atomic::{AtomicU64, Ordering};

/// Events that are kept.
const KEPT: usize = 64;

/// Attempts to take the log's lock, which nobody holds for long.
const PATIENCE: usize = 100_000;

/// From one event about what happens often to the next one at least.
const SELDOM_NS: u64 = 1_000_000_000;

/// After so many events at most everybody who listens takes a turn, so that what it does not want
/// never leaves the log unseen and counts as lost.
const UNSEEN: u64 = KEPT as u64 / 2;

/// When to tell of what a guest could make happen without end: at once, and then once a second.
#[derive(Debug)]
pub struct Seldom {
    next: AtomicU64,
    told: AtomicU64,
}

impl Seldom {
    /// Nothing was told yet.
    #[must_use]
    pub const fn never() -> Self {
        Self { next: AtomicU64::new(0), told: AtomicU64::new(0) }
    }

    /// How often it happened since it was last told, if it is to be told now; it happened so often in all.
    #[inline(never)]
    pub fn due(&self, count: u64) -> Option<u64> {
        let now = time::now();
        if !MAILBOX || now < self.next.load(Ordering::Relaxed) {
            return None;
        }
        let since = count.saturating_sub(self.told.swap(count, Ordering::Relaxed));
        if since == 0 {
            return None;
        }
        self.next.store(now.saturating_add(time::ticks(SELDOM_NS)), Ordering::Relaxed);
        Some(since)
    }
}

/// The log.
#[derive(Debug)]
pub struct Log {
    events: [Event; KEPT],
    /// Events so far.
    count: u64,
}

impl Log {
    /// In which nothing happened yet.
    #[must_use]
    pub const fn new() -> Self {
        const NONE: Event = Event {
            place: U32::new(0),
            kind: U16::new(0),
            partition: U16::new(0),
            number: U64::new(0),
            time_ns: U64::new(0),
            lost: U32::new(0),
            code: U32::new(0),
            first: U64::new(0),
            second: U64::new(0),
            reserved: [U64::new(0); 2],
        };
        Self { events: [NONE; KEPT], count: 0 }
    }

    /// Number that the next event will have.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.count + 1
    }

    /// The first event from a number on, and how many before it are lost.
    #[must_use]
    pub fn from(&self, number: u64) -> Option<(Event, u64)> {
        let first = self.next().saturating_sub(KEPT as u64).max(1);
        let number = number.max(1);
        let found = number.max(first);
        if found > self.count {
            return None;
        }
        let event = self.events.get(found as usize % KEPT)?;
        Some((*event, found - number))
    }

    /// Writes it down; its number.
    fn push(&mut self, event: Event) -> u64 {
        self.count += 1;
        if let Some(place) = self.events.get_mut(self.count as usize % KEPT) {
            *place = Event { number: self.count.into(), ..event };
        }
        self.count
    }
}

impl Default for Log {
    fn default() -> Self {
        Self::new()
    }
}

/// Something happened: it is written down, and who wants to know looks at it.
#[inline(always)]
pub fn tell(kind: Kind, partition: Option<usize>, code: u32, first: u64, second: u64) {
    if MAILBOX {
        write_down(kind, partition, code, first, second);
    }
}

#[cold]
#[inline(never)]
fn write_down(kind: Kind, partition: Option<usize>, code: u32, first: u64, second: u64) {
    let row = partition.and_then(|row| u16::try_from(row).ok());
    let event = Event {
        time_ns: nanoseconds(time::now()).into(),
        code: code.into(),
        first: first.into(),
        second: second.into(),
        ..Event::new(kind, row)
    };
    let shared = arch::shared();
    // Who panicked may hold the lock: then there is one event less.
    let Some(mut log) = (0..PATIENCE).find_map(|_| shared.log.try_lock()) else { return };
    let number = log.push(event);
    drop(log);
    for partition in shared.partitions.get().copied().unwrap_or(&[]) {
        if let Some(mailbox) = partition.mailbox()
            && (mailbox.wants(&event) || mailbox.listens() && number.is_multiple_of(UNSEEN))
        {
            partition.ring(1, Wish::MAILBOX);
        }
    }
}
