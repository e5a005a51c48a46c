// SPDX-License-Identifier: MIT OR Apache-2.0
//! The mailbox: how a partition, or the host at a serial line, sees and steers
//! the machine. `MAILBOX.md` beside this crate's manifest is the specification,
//! and a test holds the two together. Both sides are pure: the memory is behind
//! [`ring::Words`], the kernel behind [`server::Backend`].
//!
//! ```text
//!  asker ── Request (64 bytes) ──> request ring ──> [server::serve] ── Order ──> the kernel
//!  asker <─ Answer (256 bytes) ── answer ring  <── exactly one for each request
//!  asker <─ Event (64 bytes)  ─── event ring   <── what it subscribed to
//! ```
//! Everything is little-endian and of fixed size. What a side does not know of
//! a longer message it ignores, what a shorter one lacks it reads as zero.
//! Whatever comes from the other side is read once, then checked.

pub mod answer;
pub mod body;
pub mod client;
pub mod event;
pub mod frame;
pub mod life;
pub mod policy;
pub mod request;
pub mod rights;
pub mod ring;
pub mod server;
pub mod state;
pub mod watchdog;

/// Version of the protocol. A change that an older side could misread raises it;
/// new messages, longer messages and new values do not.
pub const VERSION: u32 = 1;
/// Bytes of a request.
pub const REQUEST_LEN: usize = 64;
/// Bytes of an answer.
pub const ANSWER_LEN: usize = 256;
/// Bytes of an event.
pub const EVENT_LEN: usize = 64;
/// Bytes of what every request and every answer begins with.
pub const HEAD_LEN: usize = 16;
/// The partition field of a request that is about its own partition.
pub const OWN: u16 = 0xffff;
/// The partition field of an event that is about none.
pub const NOBODY: u16 = 0xffff;

/// Numbers with names: an enum, all of its values, and the value of a number.
macro_rules! numbers {
    ($(#[$doc:meta])* $name:ident: $type:ty { $($(#[$item:meta])* $value:ident = $number:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr($type)]
        pub enum $name { $($(#[$item])* $value = $number,)* }

        impl $name {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$value,)*];

            /// The one with a number; none if this build knows none.
            #[must_use]
            pub const fn from_number(number: $type) -> Option<Self> {
                match number { $($number => Some(Self::$value),)* _ => None }
            }

            /// Its number.
            #[must_use]
            pub const fn number(self) -> $type {
                self as $type
            }

            /// The word that the specification, logs and command lines use.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$value => $text,)* }
            }
        }
    };
}
pub(crate) use numbers;

numbers! {
    /// What is asked.
    Message: u16 {
        /// Which protocol, and who am I.
        Hello = 1, "hello";
        /// What the machine is.
        Machine = 2, "machine";
        /// Which partitions there are.
        List = 3, "list";
        /// One partition in detail.
        Partition = 4, "partition";
        /// Counters of a partition.
        Statistics = 5, "statistics";
        /// Counters of a vCPU.
        Vcpu = 6, "vcpu";
        /// Start a partition that does not run.
        Start = 7, "start";
        /// Ask a partition to end; kill it after a time.
        Stop = 8, "stop";
        /// End a partition now.
        Kill = 9, "kill";
        /// Start a partition afresh.
        Restart = 10, "restart";
        /// Keep a partition's vCPUs from running.
        Pause = 11, "pause";
        /// Let them run again.
        Resume = 12, "resume";
        /// What a partition wrote to its console.
        ConsoleRead = 13, "console-read";
        /// Type something to a partition.
        ConsoleWrite = 14, "console-write";
        /// Make a partition dump itself: NMI or SError.
        Inject = 15, "inject";
        /// Set a watchdog.
        WatchdogArm = 16, "watchdog-arm";
        /// Tell a watchdog that all is well.
        WatchdogKick = 17, "watchdog-kick";
        /// Take a watchdog away.
        WatchdogDisarm = 18, "watchdog-disarm";
        /// The last fault record of a partition, or of the hypervisor.
        Fault = 19, "fault";
        /// Events from a number on.
        Log = 20, "log";
        /// Choose which events are told.
        Subscribe = 21, "subscribe";
        /// Reset the machine.
        Reboot = 22, "reboot";
        /// Switch the machine off.
        PowerOff = 23, "power-off";
    }
}

numbers! {
    /// How a request was answered.
    Code: u16 {
        /// Done, or under way as the message says.
        Ok = 0, "ok";
        /// This server has no such message.
        Unknown = 1, "unknown";
        /// The length is less than a head or more than a request.
        Length = 2, "length";
        /// A field has a value that it cannot have; `detail` is its offset.
        Argument = 3, "argument";
        /// There is no such partition.
        NoPartition = 4, "no-partition";
        /// The partition has no such vCPU; `detail` is how many it has.
        NoVcpu = 5, "no-vcpu";
        /// The asker lacks a right; `detail` has its bit.
        Denied = 6, "denied";
        /// Not in this state; `detail` is the state.
        State = 7, "state";
        /// A change is under way; ask again. `detail` is the state.
        Busy = 8, "busy";
        /// This machine cannot do that.
        Unsupported = 9, "unsupported";
        /// There is nothing of that kind, for example no fault record.
        Nothing = 10, "nothing";
        /// The server speaks no version that the asker does; `detail` is its own.
        Version = 11, "version";
    }
}

bitflags::bitflags! {
    /// What a server can do beyond the messages of version 1. A bit that a side does not know it ignores.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Features: u64 {
        /// It measures time in exits and timer lateness.
        const HISTOGRAMS = 1 << 0;
        /// Fault records survive a warm reset.
        const FAULTS_SURVIVE = 1 << 1;
        /// A partition can be told to dump itself.
        const INJECT = 1 << 2;
    }
}

/// A request that failed, and what more there is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub code: Code,
    /// What [`Code`] says of it.
    pub detail: u32,
}

impl Failure {
    /// Without a detail.
    #[must_use]
    pub const fn new(code: Code) -> Self {
        Self { code, detail: 0 }
    }

    /// With one.
    #[must_use]
    pub const fn with(code: Code, detail: u32) -> Self {
        Self { code, detail }
    }
}
