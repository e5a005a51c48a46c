// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether a partition that ended is started again, and when: its manifest's
//! policy, as `abi` has it. Times are in ticks.

use crate::arch::time;
use crate::fault;
use crate::partition::End;
use abi::mailbox::policy::{Fate, History, Otherwise, Policy};
use abi::mailbox::state::Why;
use abi::records::PartitionRecord;
use core::sync::atomic::{AtomicU64, Ordering};
use spin::Mutex;

/// A partition's policy, and when it was restarted.
#[derive(Debug)]
pub struct Restart {
    policy: Policy,
    /// Taken by the last CPU that parks, and no other lock with it.
    history: Mutex<History>,
    start: AtomicU64,
}

impl Restart {
    /// The policy of a manifest's partition, which has never been restarted.
    #[must_use]
    pub fn new(record: &PartitionRecord) -> Self {
        let policy = Policy {
            on: record.restart_on.get(),
            max: record.restart_max.get() as usize,
            within: time::ticks(record.restart_within_ns.get()),
            backoff: time::ticks(record.restart_backoff_ns.get()),
            uptime: 0,
            otherwise: Otherwise::Stop,
            watchdog: None,
        };
        Self { policy, history: Mutex::new(History::new()), start: AtomicU64::new(0) }
    }

    /// What becomes of the partition after this end, which is counted.
    pub fn decide(&self, how: End) -> Fate {
        let why = match how {
            End::Restart => Why::Reset,
            End::Off => Why::Off,
            End::Fault(fault::Why::HypervisorPanic) => Why::Panic,
            End::Fault(_) => Why::Crash,
        };
        let now = time::now();
        let fate = self.history.lock().ended(&self.policy, why, now, now);
        if let Fate::Again(at) = fate {
            // Relaxed: read on the CPU that is handed the memory after this.
            self.start.store(at, Ordering::Relaxed);
        }
        fate
    }

    /// How often it is restarted before it is given up.
    #[must_use]
    pub const fn max(&self) -> usize {
        self.policy.max
    }

    /// Whether it may start now. If not yet, this CPU will be interrupted when it may.
    #[must_use]
    pub fn is_due(&self) -> bool {
        let start = self.start.load(Ordering::Relaxed);
        let due = time::now() >= start;
        if !due {
            time::arm(start);
        }
        due
    }
}
