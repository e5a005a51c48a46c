// SPDX-License-Identifier: MIT OR Apache-2.0
//! Integration tests for systems under Bulkhead.
//!
//! A test starts a system from its manifest in the board's emulator, waits for what its
//! partitions say, types at them, steers them by the mailbox as the host at the serial line
//! does, does them harm, and writes a JUnit file. `cargo test` runs it as any other test:
//!
//! ```no_run
//! use bulkhead_test::{Error, State, System, secs};
//!
//! #[test]
//! fn a_killed_driver_is_not_missed() -> Result<(), Error> {
//!     let system = System::start("manifest.toml")?;
//!     system.partition("driver").wait_for("heartbeat 2 ", secs(60))?;
//!     system.mailbox().kill("driver")?;
//!     system.mailbox().wait_for("driver", State::Off, secs(10))?;
//!     system.partition("rtos").skip()?;
//!     let beat = system.partition("rtos").wait_for(r"heartbeat (\d+)", secs(10))?;
//!     assert!(beat.number::<u64>(1) > Some(1));
//!     Ok(())
//! }
//! ```
//!
//! In the test's crate:
//!
//! ```toml
//! [dev-dependencies]
//! bulkhead-test = { path = "…/bulkhead/tests/library" }
//! ```
//!
//! - [`System`] is a running system; dropping it ends its emulator. [`System::setup`] has the
//!   choices: another emulator, more CPUs, another way into the machine.
//! - [`Partition`] is one console: [`Partition::wait_for`] and [`Partition::send`].
//! - [`Mailbox`] has the requests, typed: lists, counters, events, and what changes something.
//! - Faults are [`Mailbox::kill`], [`Mailbox::pause`], [`Mailbox::inject`] (NMI, SError) and
//!   [`System::doorbell_storm`]; noise on the serial line is [`System::send_raw`].
//! - [`Report`] is the JUnit file.
//!
//! The system is built by Bulkhead's own command line, `cargo xtask stage`, in the checkout that
//! this crate lies in or that `BULKHEAD_ROOT` names; guests by name are those of that checkout,
//! images of one's own are paths from the manifest's folder. What is missing is installed, unless
//! `BULKHEAD_NO_INSTALL` is set. An emulator keeps about one CPU busy, so on a small machine
//! `--test-threads` should be small, too. Each test's image and console lie in
//! `target/machines/PROGRAM-TEST-0/` of the checkout.
//!
//! The scenarios of `cargo xtask test` run on this library.
#![forbid(unsafe_code)]

pub mod built;
pub mod emulator;
mod error;
pub mod faults;
mod journal;
pub mod line;
pub mod mailbox;
pub mod mistake;
mod partition;
pub mod report;
mod setup;
pub mod system;

pub use emulator::lines::End;
pub use emulator::way::Boot;
pub use error::Error;
pub use journal::Seen;
pub use mailbox::{Mailbox, State};
pub use partition::Partition;
pub use report::Report;
pub use setup::{NO_INSTALL, Setup};
pub use system::System;

/// A time, as tests write it.
#[must_use]
pub const fn secs(seconds: u64) -> std::time::Duration {
    std::time::Duration::from_secs(seconds)
}
