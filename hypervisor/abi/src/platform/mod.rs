// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a guest sees at fixed addresses, for each architecture: Arm's [`virt`],
//! whose names are here directly too, and x86's [`pc`].
//!
//! The rules and the placement take a [`Platform`] as data, so that one program
//! checks bundles for either: the kernel passes its own, `xtask` the board's.

pub mod channel;
pub mod pc;
pub mod virt;

pub use virt::*;

use crate::machine;
use crate::range::Range;
use crate::records::Name;
use crate::rules;

/// Bytes of a channel's register page, on every platform.
pub const CHANNEL_REGISTERS_STRIDE: u64 = 0x1000;
/// Channels that one partition can have.
pub const CHANNELS_PER_PARTITION: usize = 8;
/// vCPUs that one partition can have.
pub const VCPUS_PER_PARTITION: usize = 8;

/// A guest platform, as far as rules and placement ask.
#[derive(Clone, Copy, Debug)]
pub struct Platform {
    /// The instruction set, as the bundle's header names it.
    pub arch: Name,
    /// Where guest RAM starts.
    pub ram: u64,
    /// One past the last address that guest RAM can have.
    pub ram_end: u64,
    /// Guest addresses where neither RAM nor a device can be, and what is there.
    pub reserved: &'static [(&'static str, Range)],
    /// One past the last I/O port; zero where the architecture has none.
    pub port_end: u64,
    /// Ports that belong to the platform, and what is there.
    pub ports: &'static [(&'static str, Range)],
    /// Where read-only flash is, and at most how much; none if it has no size.
    pub flash: Range,
    /// The interrupt controller's inputs.
    pub interrupts: Interrupts,
    /// Where channels appear.
    pub channels: Channels,
    /// Where a mailbox appears.
    pub mailbox: Mailbox,
    /// What the first instruction's address is a multiple of.
    pub entry_align: u64,
    /// Rules that its bundles keep beside those of all.
    pub rules: &'static [rules::Check],
    /// The same of rules that need the machine.
    pub machine_rules: &'static [machine::Check],
}

/// How many inputs an interrupt controller can show, and which are taken.
#[derive(Clone, Copy, Debug)]
pub struct Interrupts {
    /// The first one that a device's line can be bound to.
    pub first: u32,
    /// Fewest that a partition shows.
    pub least: u32,
    /// Most that a partition shows.
    pub most: u32,
    /// The number shown is a multiple of this.
    pub step: u32,
    /// Those of the platform's own devices, and whose they are.
    pub taken: &'static [(&'static str, u32)],
}

/// Where the mailbox of a partition appears.
#[derive(Clone, Copy, Debug)]
pub struct Mailbox {
    /// The register page.
    pub registers: u64,
    /// The shared memory, [`crate::mailbox::ring::MEMORY_LEN`] bytes.
    pub memory: u64,
    /// Its interrupt, an edge.
    pub interrupt: u32,
}

/// Where the channels of a partition appear, the first one first.
#[derive(Clone, Copy, Debug)]
pub struct Channels {
    /// The first register page.
    pub registers: u64,
    /// All shared memory.
    pub memory: Range,
    /// The first bell.
    pub interrupt: u32,
}
