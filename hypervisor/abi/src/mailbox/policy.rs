// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether a partition that ended is started again: the manifest's
//! `restart = { on = ["crash", "watchdog"], max = 3, within = "60 s", backoff = "1 s", else = "stop" }`.

use super::numbers;
use super::state::Why;

/// Highest `max` of a policy.
pub const MOST_RESTARTS: usize = 16;

numbers! {
    /// What happens when a partition has failed too often.
    Otherwise: u8 {
        /// It stays failed.
        Stop = 0, "stop";
        /// The machine is reset.
        RebootMachine = 1, "reboot-machine";
    }
}

/// When a partition is started again, and how long it may be silent. Times are in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Bit N: after an end for the [`Why`] with number N.
    pub on: u32,
    /// How often within that time, at most [`MOST_RESTARTS`].
    pub max: usize,
    /// That time.
    pub within: u64,
    /// From an end to the next start.
    pub backoff: u64,
    /// From a start to the next one, at least.
    pub uptime: u64,
    /// What happens when it has failed too often.
    pub otherwise: Otherwise,
    /// Its watchdog's time; none if it has none.
    pub watchdog: Option<u64>,
}

impl Policy {
    /// That of a manifest which says nothing: whoever ends stays so.
    pub const NONE: Self = Self {
        on: 0,
        max: 0,
        within: 0,
        backoff: 0,
        uptime: 0,
        otherwise: Otherwise::Stop,
        watchdog: None,
    };

    /// Whether an end for this reason is one to restart after.
    #[must_use]
    pub const fn covers(&self, why: Why) -> bool {
        self.on >> (why as u16 & 31) & 1 != 0
    }
}

/// What becomes of a partition that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is started again, not before this time.
    Again(u64),
    /// It ended as somebody wanted.
    Off,
    /// It failed, and nobody starts it by itself.
    Failed,
    /// It failed too often: it is not started, and this happens.
    GivenUp(Otherwise),
}

/// When a partition was restarted by its policy.
#[derive(Clone, Debug)]
pub struct History {
    /// One past each time, so that zero is never.
    times: [u64; MOST_RESTARTS],
    next: usize,
}

impl History {
    /// Never.
    #[must_use]
    pub const fn new() -> Self {
        Self { times: [0; MOST_RESTARTS], next: 0 }
    }

    /// How many more restarts a policy allows at a time.
    #[must_use]
    pub fn left(&self, policy: &Policy, now: u64) -> usize {
        let counts = |past: &&u64| **past > now.saturating_sub(policy.within) && **past != 0;
        let recent = self.times.iter().filter(counts).count();
        policy.max.min(MOST_RESTARTS).saturating_sub(recent)
    }

    /// A partition that `started` at a time ended: what becomes of it. A restart is counted.
    pub fn ended(&mut self, policy: &Policy, why: Why, started: u64, now: u64) -> Fate {
        match why {
            Why::Reset | Why::Restarted => return Fate::Again(now),
            Why::Stopped | Why::Killed => return Fate::Off,
            Why::Panic => return Fate::Failed,
            Why::Off | Why::Crash | Why::Watchdog => {}
        }
        if !policy.covers(why) {
            return if why == Why::Off { Fate::Off } else { Fate::Failed };
        }
        if self.left(policy, now) == 0 {
            return Fate::GivenUp(policy.otherwise);
        }
        self.count(now);
        let pause = now.saturating_add(policy.backoff);
        Fate::Again(pause.max(started.saturating_add(policy.uptime)))
    }

    fn count(&mut self, now: u64) {
        if let Some(place) = self.times.get_mut(self.next) {
            *place = now.saturating_add(1);
        }
        self.next = self.next.wrapping_add(1) % MOST_RESTARTS;
    }
}

impl Default for History {
    fn default() -> Self {
        Self::new()
    }
}
