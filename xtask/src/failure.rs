// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a command ends: its exit statuses, and the one kind of error that has a
//! status of its own.
//!
//! Errors are `anyhow` chains. A chain that holds a [`Mistake`], or a manifest's
//! [`Mistakes`], ends with [`USAGE`], one of `bulkctl` as that says, every other one with [`FAILED`].

use crate::manifest::mistake::Mistakes;
pub use bulkhead_test::mistake::{Mistake, mistake};
use std::error::Error;

/// The command did what it was asked, and it went well.
pub const PASSED: u8 = 0;
/// The command ran, and what it ran did not go well.
pub const FAILED: u8 = 1;
/// The command line or a file that a user wrote is wrong.
pub const USAGE: u8 = 2;
/// The time given with `--timeout` ran out, as `timeout(1)` says it.
pub const TIMEOUT: u8 = 124;

/// The exit status an error ends with.
pub fn status_of(error: &anyhow::Error) -> u8 {
    if let Some(error) = error.downcast_ref::<bulkctl::error::Error>() {
        return error.status();
    }
    let wrong = |cause: &(dyn Error + 'static)| cause.is::<Mistake>() || cause.is::<Mistakes>();
    if error.chain().any(wrong) { USAGE } else { FAILED }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn a_mistake_keeps_its_status_under_added_context() {
        let plain: anyhow::Result<()> = Err(anyhow::anyhow!("the disk is full"));
        let wrong: anyhow::Result<()> = Err(mistake("no such partition"));
        assert_eq!(status_of(&plain.context("writing").unwrap_err()), FAILED);
        assert_eq!(status_of(&wrong.context("reading").unwrap_err()), USAGE);
    }
}
