// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bulkhead's kernel: boot, run loop, partitions, console, channels.
//!
//! Everything that needs a CPU is in [`arch`], behind one contract; the rest is
//! the same for every machine and is tested on the host over `arch/fake`.
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;

/// Whether this build has the mailbox: it does not fit into the program's budget, so
/// that the feature `mailbox` puts it in where a manifest asks for one.
pub const MAILBOX: bool = cfg!(any(feature = "mailbox", not(feature = "bare")));

pub mod acpi;
pub mod arch;
pub mod bell;
pub mod boot;
pub mod channel;
pub mod console;
pub mod cpu;
pub mod devicetree;
#[cfg(feature = "panic-test")]
pub mod drill;
pub mod exit;
pub mod fault;
pub mod interrupt;
pub mod loader;
pub mod log;
pub mod mailbox;
pub mod memory;
pub mod partition;
pub mod records;
pub mod run;
pub mod shared;
pub mod statistics;
pub mod terminal;
pub mod work;
