// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a guest stopped running and what it wants: the one value that every
//! architecture yields and the run loop answers.
//!
//! VT-x, AMD-V and EL2 decode their syndromes into these types; nothing here
//! names a manufacturer. A guest chose every number in here.

use crate::fault::GuestFault;
use devices::Size;
use paging::GuestPhys;

/// Why a vCPU stopped running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// A physical interrupt waits to be acknowledged.
    Interrupt,
    /// A load or store where no memory is mapped.
    Memory(MemoryAccess),
    /// A port of the machine (x86 alone has them).
    Port(PortAccess),
    /// A system register (Arm) or model-specific register (x86).
    Register(RegisterAccess),
    /// A call to the hypervisor that does not concern power.
    Call(Call),
    /// A call, or a write to an interrupt controller, that starts or stops vCPUs.
    Power(Power),
    /// The guest waits for an interrupt and its manifest traps that.
    Idle,
    /// Nothing is left to do: the architecture has answered it.
    Done,
    /// Something that only a fault answers.
    Fault(GuestFault),
}

/// Which way the data goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Into the guest's register.
    Read,
    /// This value out of it, already cut to the access's size.
    Write(u64),
}

/// How a loaded value reaches the guest's register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Number of the register; 31 discards the value (Arm).
    pub register: u8,
    /// The value's top bit fills what is above it.
    pub sign_extend: bool,
    /// All 64 bits are written; else the upper half becomes zero.
    pub wide: bool,
}

/// One load or store of an emulated device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryAccess {
    /// Where.
    pub address: GuestPhys,
    /// Bytes.
    pub size: Size,
    /// Which way.
    pub direction: Direction,
    /// Where a loaded value goes.
    pub destination: Destination,
}

/// One IN or OUT. A string instruction is as many exits as it has elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortAccess {
    /// Which port.
    pub port: u16,
    /// Bytes: never eight.
    pub size: Size,
    /// Which way.
    pub direction: Direction,
}

/// One access to a register that traps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegisterAccess {
    /// Which one, in the architecture's own numbering.
    pub number: u32,
    /// Which way.
    pub direction: Direction,
    /// Where a read value goes.
    pub destination: Destination,
}

/// A call whose answer needs nothing but its number and first argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Function number.
    pub function: u32,
    /// First argument.
    pub argument: u64,
}

/// A request about vCPUs or the whole partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// Start a vCPU.
    CpuOn {
        /// Its architectural name (MPIDR affinity, APIC id).
        target: u64,
        /// First instruction, a guest address.
        entry: u64,
        /// Value it finds in its first argument register.
        argument: u64,
    },
    /// Stop this vCPU.
    CpuOff,
    /// Wait for an interrupt.
    Suspend,
    /// Tell whether a vCPU runs.
    CpuState {
        /// Its architectural name.
        target: u64,
        /// Lowest affinity level asked about.
        level: u64,
    },
    /// End the partition.
    SystemOff,
    /// Start the partition afresh from its image.
    SystemReset,
}

/// What a [`Power`] request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerAnswer {
    /// Done.
    Success,
    /// No such vCPU, or an entry that is not in the partition's memory.
    InvalidParameters,
    /// The entry address is not in the partition's memory.
    InvalidAddress,
    /// It runs already.
    AlreadyOn,
    /// It is being started.
    OnPending,
    /// The vCPU's state, as [`Power::CpuState`] asked.
    State(CpuState),
}

/// Whether a vCPU runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CpuState {
    /// It runs.
    On = 0,
    /// It does not.
    Off = 1,
    /// It will in a moment.
    OnPending = 2,
}
