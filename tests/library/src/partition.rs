// SPDX-License-Identifier: MIT OR Apache-2.0
//! One partition's console.

use crate::error::Error;
use crate::journal::{HYPERVISOR, Journal, Seen};
use crate::system::System;
use regex::Regex;
use std::time::Duration;

/// One partition's console, or the hypervisor's own lines.
#[derive(Clone, Debug)]
pub struct Partition<'a> {
    system: &'a System,
    name: String,
}

impl<'a> Partition<'a> {
    pub(crate) fn new(system: &'a System, name: &str) -> Self {
        Self { system, name: name.to_owned() }
    }

    /// Waits for a line that matches a regular expression. The line has no tag in front.
    ///
    /// Lines that came before this was called count, but not those up to the last one that
    /// was waited for: what a test awaits, it awaits in order. A line without an end, such as a
    /// shell's prompt, counts once it has stood for a fifth of a second.
    ///
    /// # Errors
    /// [`Error::Late`], [`Error::Ended`], [`Error::Panic`], [`Error::NoPartition`] and
    /// [`Error::Pattern`].
    pub fn wait_for(&self, pattern: &str, within: Duration) -> Result<Seen, Error> {
        let awaited = format!("line `{pattern}` of {}", self.name);
        let pattern = Regex::new(pattern)?;
        let find = |journal: &mut Journal| journal.find(&self.name, &pattern);
        self.system.wait(&awaited, within, self.check()?, find)
    }

    /// Types at the partition, as a person would who moved the console's focus there. A line
    /// needs its `\n`; a partition that reads nothing has room for 256 bytes.
    ///
    /// # Errors
    /// [`Error::NoPartition`].
    pub fn send(&self, text: &str) -> Result<(), Error> {
        self.system.send(&self.name, text)
    }

    /// Passes over what the console has shown so far: it is not waited for any more.
    ///
    /// # Errors
    /// [`Error::NoPartition`].
    pub fn skip(&self) -> Result<(), Error> {
        self.check()?;
        self.system.journal().skip(&self.name);
        Ok(())
    }

    /// Every whole line so far, without tags.
    ///
    /// # Errors
    /// [`Error::NoPartition`].
    pub fn lines(&self) -> Result<Vec<String>, Error> {
        self.check()?;
        Ok(self.system.journal().of(&self.name))
    }

    /// Whether this is the hypervisor, whose panic may be awaited; an error if nobody has the name.
    fn check(&self) -> Result<bool, Error> {
        if self.name == HYPERVISOR {
            return Ok(true);
        }
        self.system.place(&self.name).map(|_| false)
    }
}
