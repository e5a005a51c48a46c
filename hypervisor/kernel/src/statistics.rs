// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a vCPU did. Its CPU alone counts, with plain loads and stores; whoever
//! reads takes nothing away and stops nobody.

use crate::MAILBOX;
use crate::arch::time;
use crate::mailbox::nanoseconds;
use abi::mailbox::body::{BUCKETS, Histogram as Places, Reason};
use core::sync::atomic::{AtomicU64, Ordering};

/// Adds to a number that one CPU writes and any may read.
#[inline(always)]
fn add(place: &AtomicU64, more: u64) {
    place.store(place.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
}

/// How long something took, in ticks.
#[derive(Debug)]
#[repr(C)]
pub struct Histogram {
    /// A time's place is the number of its leading zeros.
    places: [AtomicU64; PLACES],
    sum: AtomicU64,
    worst: AtomicU64,
}

/// Leading zeros that a number of 64 bits can have.
const PLACES: usize = u64::BITS as usize + 1;

impl Histogram {
    const fn new() -> Self {
        Self {
            places: [const { AtomicU64::new(0) }; PLACES],
            sum: AtomicU64::new(0),
            worst: AtomicU64::new(0),
        }
    }

    /// It took so long.
    #[inline(always)]
    #[expect(
        clippy::indexing_slicing,
        reason = "there is a place for each number of leading zeros"
    )]
    pub fn took(&self, ticks: u64) {
        add(&self.places[ticks.leading_zeros() as usize], 1);
        add(&self.sum, ticks);
        if ticks > self.worst.load(Ordering::Relaxed) {
            self.worst.store(ticks, Ordering::Relaxed);
        }
    }

    /// How often it was told.
    fn count(&self) -> u64 {
        self.places.iter().map(|place| place.load(Ordering::Relaxed)).sum()
    }

    fn reset(&self) {
        for place in self.places.iter().chain([&self.sum, &self.worst]) {
            place.store(0, Ordering::Relaxed);
        }
    }

    /// As the mailbox tells it.
    #[must_use]
    pub fn read(&self) -> Places {
        let mut answer = Places {
            time_ns: nanoseconds(time::now()).into(),
            worst_ns: nanoseconds(self.worst.load(Ordering::Relaxed)).into(),
            sum_ns: nanoseconds(self.sum.load(Ordering::Relaxed)).into(),
            first_ps: (1_000_000_000_000 / time::frequency().max(1)).into(),
            ..Places::default()
        };
        for (bits, place) in self.places.iter().rev().enumerate() {
            if let Some(to) = answer.places.get_mut(bits.min(BUCKETS - 1)) {
                *to = (to.get() + place.load(Ordering::Relaxed)).into();
            }
        }
        answer
    }
}

/// Counters of a vCPU since its partition's last start. What every exit adds to comes first, where
/// the CPU reaches it from the base without another instruction.
#[derive(Debug)]
#[repr(C)]
pub struct Counters {
    /// From an exit until the guest is entered again.
    pub exit_time: Histogram,
    exits: [AtomicU64; REASONS],
    /// Reasons of the last exits, the newest in the lowest four bits.
    last: AtomicU64,
    interrupts: AtomicU64,
    /// Ticks that it was on, up to `since`.
    on: AtomicU64,
    /// When it was switched on; zero while it is off.
    since: AtomicU64,
    /// From when a timer of the guest was due until its interrupt was answered.
    pub lateness: Histogram,
}

const REASONS: usize = Reason::ALL.len();
const _: () = assert!(REASONS <= 15, "a reason and its absence fit into four bits");

impl Counters {
    /// Of a vCPU that did nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            exits: [const { AtomicU64::new(0) }; REASONS],
            last: AtomicU64::new(0),
            interrupts: AtomicU64::new(0),
            on: AtomicU64::new(0),
            since: AtomicU64::new(0),
            exit_time: Histogram::new(),
            lateness: Histogram::new(),
        }
    }

    /// An exit came. Gives what [`Counters::answered`] needs.
    #[inline(always)]
    pub fn begin(&self) -> u64 {
        if MAILBOX { time::glance() } else { 0 }
    }

    /// Why it came.
    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "there is a place for each reason")]
    pub fn count(&self, reason: Reason) {
        if MAILBOX {
            add(&self.exits[reason as usize], 1);
            let last = self.last.load(Ordering::Relaxed);
            self.last.store(last << 4 | (reason as u64 + 1), Ordering::Relaxed);
        }
    }

    /// The exit that began at that time is answered.
    #[inline(always)]
    pub fn answered(&self, begun: u64) {
        if MAILBOX {
            self.exit_time.took(time::glance().wrapping_sub(begun));
        }
    }

    /// A timer's interrupt, which the vCPU was handed, came so many ticks after it was due.
    #[inline(always)]
    pub fn late(&self, ticks: u64) {
        if MAILBOX {
            self.lateness.took(ticks);
        }
    }

    /// The vCPU was handed one or more interrupts of others.
    #[inline(always)]
    pub fn interrupted(&self) {
        if MAILBOX {
            add(&self.interrupts, 1);
        }
    }

    /// The vCPU is switched on or off.
    pub fn switch(&self, on: bool) {
        if !MAILBOX {
            return;
        }
        let since = self.since.load(Ordering::Relaxed);
        let now = time::now();
        if since != 0 {
            add(&self.on, now.wrapping_sub(since));
        }
        self.since.store(if on { now } else { 0 }, Ordering::Relaxed);
    }

    /// The partition starts afresh.
    pub fn reset(&self) {
        if !MAILBOX {
            return;
        }
        for place in self.exits.iter().chain([&self.last, &self.interrupts, &self.on]) {
            place.store(0, Ordering::Relaxed);
        }
        self.exit_time.reset();
        self.lateness.reset();
    }

    /// How many exits there were for a reason.
    #[must_use]
    pub fn exits(&self, reason: usize) -> u64 {
        self.exits.get(reason).map_or(0, |place| place.load(Ordering::Relaxed))
    }

    /// All of them.
    #[must_use]
    pub fn all_exits(&self) -> u64 {
        (0..REASONS).map(|reason| self.exits(reason)).sum()
    }

    /// Reasons of the last exits, the newest first.
    pub fn last(&self) -> impl Iterator<Item = Reason> {
        let last = self.last.load(Ordering::Relaxed);
        (0..16)
            .map_while(move |n| Reason::from_number((last >> (4 * n) & 15).checked_sub(1)? as u16))
    }

    /// How often it was handed interrupts.
    #[must_use]
    pub fn interrupts(&self) -> u64 {
        self.interrupts.load(Ordering::Relaxed) + self.lateness.count()
    }

    /// Ticks that it was on, and whether it is.
    #[must_use]
    pub fn on(&self) -> (u64, bool) {
        let since = self.since.load(Ordering::Relaxed);
        let running = if since == 0 { 0 } else { time::now().saturating_sub(since) };
        (self.on.load(Ordering::Relaxed) + running, since != 0)
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self::new()
    }
}
