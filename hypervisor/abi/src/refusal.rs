// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is wrong with a bundle, in one sentence that names both owners.
//!
//! A [`Refusal`] is a rule and the facts that broke it. The sentences are
//! templates in one table: the kernel's share of this is a few kilobytes, and
//! `xtask` prints the same words with the line and the cure added.

use core::fmt;

use crate::records::{self, Name};

macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident => $sentence:literal,)*) => {
        /// A rule that a bundle, or a machine with that bundle, must keep.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Rule { $($(#[$doc])* $rule,)* }

        impl Rule {
            /// Every rule, in the order they are checked.
            pub const ALL: &'static [Self] = &[$(Self::$rule,)*];

            /// The sentence, with places for the facts in braces.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$rule => $sentence,)* }
            }
        }
    };
}

rules! {
    /// The bundle does not lie at a multiple of eight.
    Align => "bundle: lies at {at}, not at a multiple of {limit}",
    /// The bundle ends before its header does.
    Short => "bundle: shorter than its header",
    /// Something else lies there.
    Magic => "bundle: does not begin with BULKHEAD",
    /// Another version of the format.
    Format => "bundle: format {n}, this kernel reads {limit}",
    /// Another build wrote it.
    Layout => "bundle: written by another build of xtask",
    /// For another architecture.
    Arch => "bundle: written for {what}, this kernel is for {other}",
    /// Cut or extended.
    Length => "bundle: {n} bytes in flash, {limit} in its header",
    /// Damaged.
    Checksum => "bundle: damaged, CRC-32C {at} instead of {to}",
    /// A table leaves the bundle.
    Table => "bundle: table of {what} lies outside",
    /// A partition's rows are not its own.
    Rows => "bundle: rows of {what} in partition {owner} do not follow the previous one's",
    /// A segment leaves the bundle.
    Payload => "bundle: image of partition {owner} lies outside",
    /// Nothing to run.
    NoPartition => "no partition",
    /// More than VMIDs.
    ManyPartitions => "{n} partitions, at most {limit}",
    /// A name is empty or not printable ASCII.
    BadName => "name {what} is not 1 to 16 of a-z, 0-9, - and _",
    /// A partition calls itself as the hypervisor does.
    ReservedName => "partition {owner}: the name belongs to the hypervisor",
    /// Two with the same name.
    NameTwice => "two partitions are called {owner}",
    /// A partition that cannot run.
    NoCpu => "partition {owner} has no CPU",
    /// More vCPUs than the platform has.
    ManyCpus => "partition {owner} has {n} CPUs, at most {limit}",
    /// A CPU has two owners.
    CpuTwice => "CPU {n} belongs to partition {owner} and to partition {other}",
    /// A CPU is listed twice.
    CpuRepeated => "CPU {n} is listed twice in partition {owner}",
    /// Memory is not whole pages.
    MemoryUnaligned => "memory of partition {owner} is not a multiple of 4 KiB: {size} at {to}",
    /// A partition without memory.
    NoMemory => "partition {owner} has no memory",
    /// Memory ends behind the last guest address.
    MemoryHigh => "memory of partition {owner} ends at {at}, guest addresses at {to}",
    /// Memory starts where the platform has none.
    MemoryStart => "memory of partition {owner} starts at {at}, on this platform it starts at {to}",
    /// Memory where the platform has something else.
    MemoryOnPlatform => "memory of partition {owner} covers the platform's {what} at {at}",
    /// Two pinned memories overlap.
    MemoryOverlap => "memory of partition {owner} overlaps that of partition {other} at {at}",
    /// `identity` with two addresses.
    Identity => "memory of partition {owner} is at guest {at} but at host {to}, with identity",
    /// The interrupt controller cannot show that many.
    Intids => "partition {owner} shows {n} interrupts, its controller has whole registers of them up to {limit}",
    /// Read-only flash that is too large or no whole pages.
    Rom => "flash image of partition {owner} has {size}, at most {most}",
    /// A segment leaves its partition's memory.
    SegmentOutside => "image of partition {owner} ({size} at {to}) lies outside its memory",
    /// Two segments overlap.
    SegmentOverlap => "two parts of the image of partition {owner} overlap at {at}",
    /// The first instruction is outside.
    EntryOutside => "entry {at} of partition {owner} lies outside its image",
    /// Registers are not whole pages.
    DeviceUnaligned => "device {what} of partition {owner} is not whole pages of 4 KiB at {at}",
    /// A device where the guest has memory.
    DeviceOnMemory => "device {what} of partition {owner} covers its memory at {at}",
    /// A device where the platform has something else.
    DeviceOnPlatform => "device {what} covers the {other} of partition {owner} at {at}",
    /// A device has two owners.
    DeviceTwice => "device {what} belongs to partition {owner} and to partition {other}",
    /// A device is listed twice or two of a partition overlap.
    DeviceRepeated => "device {what} is listed twice in partition {owner}",
    /// Ports that do not exist.
    PortRange => "ports of device {what} at {at} are none that partition {owner} can have",
    /// Ports where the platform has something else.
    PortOnPlatform => "ports of device {what} cover the {other} of partition {owner} at {at}",
    /// Ports have two owners.
    PortTwice => "port {at} of device {what} belongs to partition {owner} and to partition {other}",
    /// No such interrupt in that partition.
    InterruptRange => "interrupt {n} of {what} is none that partition {owner} shows (up to {limit})",
    /// An interrupt has two owners.
    InterruptTwice => "interrupt {n} of device {what} belongs to partition {owner} and to partition {other}",
    /// An interrupt of a partition has two uses.
    InterruptTaken => "interrupt {n} of device {what} in partition {owner} belongs to {other} too",
    /// More channels than windows.
    ManyChannels => "partition {owner} has {n} channels, at most {limit}",
    /// A channel's end is no partition.
    ChannelNobody => "channel {what} leads to a partition that does not exist",
    /// Both ends are one.
    ChannelSelf => "channel {what} leads from partition {owner} to itself",
    /// No memory, or not whole pages.
    ChannelSize => "channel {what} has {size}, not a multiple of 4 KiB up to {most}",
    /// Two channels with one name.
    ChannelTwice => "two channels are called {what}",
    /// A channel appears where none can.
    ChannelWindow => "channel {what} is at {at} in partition {owner}, outside the window for channels",
    /// Two channels at one place.
    ChannelOverlap => "channel {what} overlaps channel {other} in partition {owner}",
    /// The machine has fewer CPUs.
    CpuAbsent => "partition {owner} wants CPU {n}, the machine has 0 to {limit}",
    /// Two partitions on one core.
    CoreShared => "CPU {n} of partition {owner} is a thread of a core that partition {other} runs on too",
    /// A device that is memory.
    DeviceOnRam => "device {what} of partition {owner} covers the machine's RAM at {at}",
    /// A device the hypervisor uses.
    DeviceReserved => "device {what} of partition {owner} covers {other}, which Bulkhead keeps",
    /// A port the hypervisor uses.
    PortReserved => "port {at} of device {what} in partition {owner} is {other}'s, which Bulkhead keeps",
    /// An interrupt the hypervisor uses.
    InterruptReserved => "interrupt {n} of device {what} in partition {owner} is {other}'s, which Bulkhead keeps",
    /// Pinned where no RAM is.
    PinnedOutside => "memory of partition {owner} ({size} at {to}) lies outside the machine's RAM",
    /// Pinned where something else lies.
    PinnedReserved => "memory of partition {owner} ({size} at {to}) covers {other}",
    /// No room left.
    NoRoom => "no room for {what} {owner}: {size}",
}

/// A broken rule and the facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What was broken.
    pub rule: Rule,
    /// Whose fault it is, first.
    pub owner: Name,
    /// The other owner.
    pub other: Name,
    /// The thing they quarrel about.
    pub what: Name,
    /// `{n}`, `{at}` or `{size}`.
    pub value: u64,
    /// `{limit}`, `{to}` or `{most}`.
    pub limit: u64,
}

impl Refusal {
    /// A refusal without facts yet.
    #[must_use]
    pub const fn new(rule: Rule) -> Self {
        let none = [0; records::NAME_LEN];
        Self { rule, owner: none, other: none, what: none, value: 0, limit: 0 }
    }

    /// With its first owner.
    #[must_use]
    pub const fn owner(self, owner: Name) -> Self {
        Self { owner, ..self }
    }

    /// With its second owner.
    #[must_use]
    pub const fn other(self, other: Name) -> Self {
        Self { other, ..self }
    }

    /// With the thing in question.
    #[must_use]
    pub const fn what(self, what: Name) -> Self {
        Self { what, ..self }
    }

    /// With its numbers.
    #[must_use]
    pub const fn numbers(self, value: u64, limit: u64) -> Self {
        Self { value, limit, ..self }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.rule.sentence();
        while !rest.is_empty() {
            let (words, more) = cut(rest, b'{');
            let (place, behind) = cut(more, b'}');
            rest = behind;
            f.write_str(words)?;
            match place {
                "owner" => f.write_str(records::text(&self.owner))?,
                "other" => f.write_str(records::text(&self.other))?,
                "what" => f.write_str(records::text(&self.what))?,
                "n" => fmt::Display::fmt(&self.value, f)?,
                "limit" => fmt::Display::fmt(&self.limit, f)?,
                "at" => hexadecimal(self.value, f)?,
                "to" => hexadecimal(self.limit, f)?,
                "size" => bytes(self.value, f)?,
                "most" => bytes(self.limit, f)?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// What stands before the first such byte, and behind it.
fn cut(text: &str, at: u8) -> (&str, &str) {
    let end = text.bytes().position(|byte| byte == at).unwrap_or(text.len());
    (text.get(..end).unwrap_or(text), text.get(end.saturating_add(1)..).unwrap_or(""))
}

/// An address, as 0x….
fn hexadecimal(value: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("0x")?;
    fmt::LowerHex::fmt(&value, f)
}

/// A size in the largest unit that leaves no rest.
fn bytes(value: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (shift, unit) = match value.trailing_zeros() {
        _ if value == 0 => (0, " bytes"),
        30.. => (30, " GiB"),
        20.. => (20, " MiB"),
        10.. => (10, " KiB"),
        _ => (0, " bytes"),
    };
    fmt::Display::fmt(&(value >> shift), f)?;
    f.write_str(unit)
}
