// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a test can see of a machine: what the kernel did to it, what guests
//! got, and how a CPU's loop was left.

use crate::fault::{GuestFault, Why};

/// Why a CPU's loop was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The machine was switched off.
    Machine,
    /// The machine was reset.
    Reset,
    /// The CPU does nothing any more.
    Cpu,
    /// The CPU has nothing to do, and its test wanted to know.
    Waiting,
}

/// What the kernel did to the machine, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Zeros were written to memory.
    Zeroed {
        /// First host address.
        host: u64,
        /// Bytes.
        len: u64,
    },
    /// Bytes were written to memory.
    Copied {
        /// First host address.
        host: u64,
        /// Bytes.
        len: u64,
    },
    /// A range was cleaned to memory.
    Cleaned {
        /// First host address.
        host: u64,
        /// Bytes.
        len: u64,
    },
    /// Copied instructions became visible to fetches.
    Published,
    /// A vCPU was started.
    Loaded {
        /// Number of its partition.
        partition: usize,
        /// Its number.
        vcpu: usize,
        /// First instruction.
        entry: u64,
        /// First argument.
        argument: u64,
    },
    /// A vCPU was parked.
    Parked {
        /// Number of its partition.
        partition: usize,
        /// Its number.
        vcpu: usize,
    },
    /// An interrupt reached a partition's interrupt controller.
    Raised {
        /// Number of the partition.
        partition: usize,
        /// Its number.
        interrupt: u32,
    },
    /// A CPU was kicked.
    Kicked {
        /// Number of the CPU.
        cpu: usize,
    },
}

/// What a guest got for an exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A memory or port access ended with this value.
    Access(u64),
    /// A register access ended with this value.
    Register(u64),
    /// A call came back with this result.
    Call(u64),
    /// The instruction was skipped.
    Skipped,
    /// An exception.
    Injected(GuestFault),
    /// The partition stops; this was recorded.
    Recorded(Why),
    /// It is to dump itself.
    Dumped,
}
