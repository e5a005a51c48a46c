// SPDX-License-Identifier: MIT OR Apache-2.0
//! The mailbox from the command line: what can be typed, how it is asked and how
//! the answers are shown. `cargo xtask ctl` speaks it over a serial line, the
//! program `bulkctl` in a Linux guest over the guest's mailbox; each brings a
//! [`link::Link`], and all else is here, so that both behave the same.
#![forbid(unsafe_code)]

pub mod changes;
pub mod console;
pub mod error;
pub mod faults;
pub mod keys;
pub mod link;
pub mod log;
pub mod person;
pub mod session;
pub mod show;
pub mod table;
pub mod top;
pub mod verbs;
