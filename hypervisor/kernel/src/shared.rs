// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the CPUs of one machine share beside their partitions' own doorbells:
//! the console, who the partitions are, and how many of them have not ended.
//!
//! There is one of it in a machine, which `arch` keeps, so that tests on the
//! host can have many machines side by side.

use crate::console::Console;
use crate::log::Log;
use crate::mailbox::Facts;
use crate::partition::Partition;
use crate::records::Records;
use core::sync::atomic::{AtomicU64, AtomicUsize};
use spin::{Mutex, Once};

/// What all CPUs may reach.
#[derive(Debug)]
pub struct Shared {
    /// The one UART. No lock is taken under its own.
    pub console: Mutex<Console>,
    /// All partitions, in the manifest's order; set once, by boot.
    pub partitions: Once<&'static [&'static Partition]>,
    /// Partitions that have not ended, nor wait for somebody who starts them.
    pub alive: AtomicUsize,
    /// What happened. No lock is taken under its own.
    pub log: Mutex<Log>,
    /// What the mailbox tells of the machine; set once, by boot.
    pub facts: Once<Facts>,
    /// How partitions failed. No lock is taken under its own.
    pub records: Mutex<Records>,
    /// Requests that were denied.
    pub denied: AtomicU64,
}

impl Shared {
    /// A machine without partitions.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            console: Mutex::new(Console::new()),
            partitions: Once::new(),
            alive: AtomicUsize::new(0),
            log: Mutex::new(Log::new()),
            facts: Once::new(),
            records: Mutex::new(Records::new()),
            denied: AtomicU64::new(0),
        }
    }

    /// All partitions; none before boot has built them.
    #[must_use]
    pub fn partitions(&self) -> &'static [&'static Partition] {
        self.partitions.get().copied().unwrap_or(&[])
    }
}

impl Default for Shared {
    fn default() -> Self {
        Self::new()
    }
}
