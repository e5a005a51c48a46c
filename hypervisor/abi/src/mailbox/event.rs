// SPDX-License-Identifier: MIT OR Apache-2.0
//! Events: what happened, in the machine's log and in the rings of those who subscribed.

use super::{EVENT_LEN, NOBODY, numbers};
use crate::records::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

numbers! {
    /// What happened.
    Kind: u16 {
        /// A partition runs. `code`: times it was started afresh.
        Started = 1, "started";
        /// A partition has ended and is not started again by itself. `code`: the reason.
        Stopped = 2, "stopped";
        /// A partition failed; what becomes of it follows as another event. `code`: the reason.
        Crashed = 3, "crashed";
        /// A partition was started afresh. `code`: how many times so far.
        Restarted = 4, "restarted";
        /// A partition failed more often than its policy allows. `code`: how many times it was restarted.
        GaveUp = 5, "gave-up";
        /// A watchdog was not kicked in time. `first`: its time in nanoseconds.
        Watchdog = 6, "watchdog";
        /// A partition wrote more than its console takes. `first`: bytes dropped since the last such event.
        ConsoleFlood = 7, "console-flood";
        /// A partition asked for what it may not. `code`: the last message so; `first`: how many since the last such event; `second`: the partition it was about.
        Denied = 8, "denied";
        /// A channel was rung faster than its interval lets through. `first`: rings that made no interrupt of their own since the last such event; `second`: place of the channel in the manifest.
        Doorbell = 9, "doorbell";
        /// Told to one partition alone: end yourself. `first`: nanoseconds that are left.
        StopRequested = 10, "stop-requested";
        /// A partition's vCPUs were halted.
        Paused = 11, "paused";
        /// They run again.
        Resumed = 12, "resumed";
        /// The other side of a channel has gone. `second`: place of the channel in the manifest.
        PeerGone = 13, "peer-gone";
        /// It is back.
        PeerBack = 14, "peer-back";
        /// The machine is about to be reset or switched off. `code`: the message that asked for it.
        Machine = 15, "machine";
        /// A CPU met a bug of the hypervisor. `code`: the CPU.
        Panic = 16, "panic";
    }
}

bitflags::bitflags! {
    /// A set of kinds: bit N for the kind with number N.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct KindSet: u64 {
        /// All that this build knows: numbers 1 to 16.
        const ALL = 0x1_fffe;
    }
}

impl KindSet {
    /// Whether it has the kind.
    #[must_use]
    pub const fn has(self, kind: Kind) -> bool {
        self.bits() >> (kind as u16) & 1 != 0
    }
}

/// One event.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, Immutable, IntoBytes, KnownLayout,
)]
#[repr(C)]
pub struct Event {
    /// In a ring: its place in that ring's stream, from 1 on; zero while it is written. Elsewhere zero.
    pub place: U32,
    /// Number of the [`Kind`].
    pub kind: U16,
    /// Row of the partition it is about, or [`NOBODY`].
    pub partition: U16,
    /// Its number in the machine's log, from 1 on, without gaps.
    pub number: U64,
    /// Nanoseconds since boot.
    pub time_ns: U64,
    /// In a ring: events of the log that were overwritten before this reader's turn came, since the one before.
    pub lost: U32,
    /// As the kind says.
    pub code: U32,
    /// As the kind says.
    pub first: U64,
    /// As the kind says.
    pub second: U64,
    /// Zero.
    pub reserved: [U64; 2],
}

const _: () = assert!(size_of::<Event>() == EVENT_LEN);

impl Event {
    /// An event about a partition, or about none.
    #[must_use]
    pub fn new(kind: Kind, partition: Option<u16>) -> Self {
        Self {
            kind: U16::from(kind.number()),
            partition: U16::from(partition.unwrap_or(NOBODY)),
            ..Self::default()
        }
    }

    /// What happened, if this build knows it.
    #[must_use]
    pub const fn known(&self) -> Option<Kind> {
        Kind::from_number(self.kind.get())
    }

    /// What bytes say, as many as there are; the rest counts as zero.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        let mut whole = [0; EVENT_LEN];
        for (to, from) in whole.iter_mut().zip(bytes) {
            *to = *from;
        }
        Self::read_from_bytes(&whole).unwrap_or_default()
    }
}
