// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a guest did that it may not. A [`GuestFault`] is answered inside that
//! guest, by the exception that the architecture prescribes, or it stops that
//! partition. It is never a panic: a panic says that Bulkhead is wrong.

use core::fmt;

/// The answer to a guest's mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestFault {
    /// The instruction does not exist for this guest.
    Undefined,
    /// Nothing answers at the address that it loaded from or stored to.
    NoDevice,
    /// Nothing answers at the address that it fetched an instruction from.
    NoCode,
    /// The partition cannot go on.
    Stop(Why),
}

/// Why a partition was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Why {
    /// The memory system reported an error that no instruction owns.
    SystemError = 1,
    /// An exit that this hypervisor does not know.
    UnknownExit = 2,
    /// Every vCPU switched itself off.
    AllCpusOff = 3,
    /// A CPU of the partition met a bug of the hypervisor.
    HypervisorPanic = 4,
    /// An exception or interrupt could not be delivered, nor the exception that says so (x86).
    Shutdown = 5,
    /// An exception or interrupt met an emulated device instead of memory (x86).
    Undeliverable = 6,
    /// Its watchdog was not kicked in time.
    Watchdog = 7,
}

impl Why {
    /// The reason with this number, as [`crate::partition`] stores it.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::SystemError),
            2 => Some(Self::UnknownExit),
            3 => Some(Self::AllCpusOff),
            4 => Some(Self::HypervisorPanic),
            5 => Some(Self::Shutdown),
            6 => Some(Self::Undeliverable),
            7 => Some(Self::Watchdog),
            _ => None,
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SystemError => "the memory system reported an error",
            Self::UnknownExit => "an exit of an unknown class",
            Self::AllCpusOff => "every vCPU switched itself off",
            Self::HypervisorPanic => "the hypervisor panicked on one of its CPUs",
            Self::Shutdown => "a triple fault",
            Self::Watchdog => "its watchdog was not kicked in time",
            Self::Undeliverable => "an exception or interrupt met a device instead of memory",
        })
    }
}
