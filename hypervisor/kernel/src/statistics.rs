// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a vCPU did. Its CPU alone counts, with plain loads and stores; whoever
//! reads takes nothing away and stops nobody.

use crate::MAILBOX;
use crate::arch::time;
use crate::exit::Exit;
use abi::mailbox::body::Reason;
use core::sync::atomic::{AtomicU64, Ordering};

/// Counters of a vCPU since its partition's last start.
#[derive(Debug)]
pub struct Counters {
    exits: [AtomicU64; REASONS],
    /// Ticks that it was on, up to `since`.
    on: AtomicU64,
    /// When it was switched on; zero while it is off.
    since: AtomicU64,
}

const REASONS: usize = Reason::ALL.len();

impl Counters {
    /// Of a vCPU that did nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            exits: [const { AtomicU64::new(0) }; REASONS],
            on: AtomicU64::new(0),
            since: AtomicU64::new(0),
        }
    }

    /// An exit.
    #[inline(always)]
    pub fn count(&self, exit: &Exit) {
        if !MAILBOX {
            return;
        }
        let reason = match exit {
            Exit::Interrupt => Reason::Interrupt,
            Exit::Memory(_) => Reason::Memory,
            Exit::Port(_) => Reason::Port,
            Exit::Register(_) => Reason::Register,
            Exit::Call(_) => Reason::Call,
            Exit::Power(_) => Reason::Power,
            Exit::Idle => Reason::Idle,
            Exit::Done => Reason::Other,
            Exit::Fault(_) => Reason::Fault,
        };
        if let Some(place) = self.exits.get(reason as usize) {
            // One writer.
            place.store(place.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
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
            self.on.store(self.on.load(Ordering::Relaxed) + (now - since), Ordering::Relaxed);
        }
        self.since.store(if on { now } else { 0 }, Ordering::Relaxed);
    }

    /// The partition starts afresh.
    pub fn reset(&self) {
        if !MAILBOX {
            return;
        }
        for place in &self.exits {
            place.store(0, Ordering::Relaxed);
        }
        self.on.store(0, Ordering::Relaxed);
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
