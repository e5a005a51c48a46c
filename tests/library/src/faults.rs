// SPDX-License-Identifier: MIT OR Apache-2.0
//! Faults that are more than one request: a storm of doorbells.
//!
//! The other faults are the mailbox's: [`Mailbox::kill`], [`Mailbox::inject`],
//! [`Mailbox::pause`].
//!
//! [`Mailbox::kill`]: crate::Mailbox::kill
//! [`Mailbox::inject`]: crate::Mailbox::inject
//! [`Mailbox::pause`]: crate::Mailbox::pause

use crate::error::Error;
use crate::mailbox::State;
use crate::system::System;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a partition may take to start or to end.
const CHANGED: Duration = Duration::from_secs(30);

/// What a storm came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storm {
    /// Times the bells were rung.
    pub rings: u64,
    /// Interrupts that bells made meanwhile, by partition.
    pub rung: BTreeMap<String, u64>,
}

impl System {
    /// Starts a partition that rings its channels' bells, lets it for a while, and kills it.
    ///
    /// Only a guest can ring, so the manifest has one for it, on a CPU of its own:
    ///
    /// ```toml
    /// [partition.storm]
    /// guest   = "mischief"        # or anything else that rings once it is started
    /// cmdline = "group=bells"
    /// cpus    = [3]
    /// memory  = "8 MiB"
    /// start   = "manual"
    ///
    /// [channel.storm]
    /// between = ["storm", "rtos"]
    /// size    = "4 KiB"
    /// ```
    ///
    /// # Errors
    /// [`Error::Mailbox`], when the partition is none that waits to be started, and [`Error::Late`].
    pub fn doorbell_storm(&self, partition: &str, time: Duration) -> Result<Storm, Error> {
        let mailbox = self.mailbox();
        let rung = || -> Result<BTreeMap<String, u64>, Error> {
            let others = self.partitions().iter().filter(|name| *name != partition);
            others.map(|name| Ok((name.clone(), mailbox.statistics(name)?.rung))).collect()
        };
        let before = rung()?;
        mailbox.start(partition)?;
        mailbox.wait_for(partition, State::Running, CHANGED)?;
        std::thread::sleep(time);
        let rings = mailbox.statistics(partition)?.rings;
        let mut rung = rung()?;
        for (name, count) in &mut rung {
            // A partition that started afresh meanwhile counts from its start.
            *count = count.saturating_sub(before.get(name).copied().unwrap_or(0));
        }
        mailbox.kill(partition)?;
        mailbox.wait_for(partition, State::Off, CHANGED)?;
        Ok(Storm { rings, rung })
    }
}
