// SPDX-License-Identifier: MIT OR Apache-2.0
//! The records of a bundle: the checked manifest as fixed-size little-endian
//! tables, with the guest images behind them.
//!
//! ```text
//!  0            HEADER_LEN                                            total_len
//!  | Header     | partitions | cpus | segments | devices | channels | payload … |
//!                ^ Header::partitions.offset …                        ^ Segment::offset
//! ```
//! Offsets count from the header's first byte. A table is named by a [`Table`]
//! in the header; a record names its own rows in another table by a [`Span`].
//! The bundle and each table lie at a multiple of [`ALIGN`]: with fields that may
//! lie anywhere the kernel's checks would be twice as long, since it has no
//! unaligned loads. `host` addresses are machine addresses, `guest` addresses are IPAs.

use crate::mailbox::rights::{Rights, Set};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// First eight bytes of every bundle.
pub const MAGIC: [u8; 8] = *b"BULKHEAD";
/// Version of the bundle format.
pub const FORMAT: u32 = 3;
/// Value of a `host` field whose address the kernel chooses at boot.
pub const PLACE_AT_BOOT: u64 = u64::MAX;
/// Bytes of a name, padded with zeros.
pub const NAME_LEN: usize = 16;

/// Alignment of a bundle and of its tables.
pub const ALIGN: usize = 8;

/// A little-endian number of 64 bits.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, Immutable, IntoBytes, KnownLayout,
)]
#[repr(transparent)]
pub struct U64(u64);

impl U64 {
    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        u64::from_le(self.0)
    }

    /// From the number, also in constants.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number.to_le())
    }
}

impl From<u64> for U64 {
    fn from(number: u64) -> Self {
        Self::new(number)
    }
}

/// A little-endian number of 32 bits.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, Immutable, IntoBytes, KnownLayout,
)]
#[repr(transparent)]
pub struct U32(u32);

impl U32 {
    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        u32::from_le(self.0)
    }

    /// From the number, also in constants.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number.to_le())
    }
}

impl From<u32> for U32 {
    fn from(number: u32) -> Self {
        Self::new(number)
    }
}

/// A little-endian number of 16 bits.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, Immutable, IntoBytes, KnownLayout,
)]
#[repr(transparent)]
pub struct U16(u16);

impl U16 {
    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        u16::from_le(self.0)
    }

    /// From the number, also in constants.
    #[must_use]
    pub const fn new(number: u16) -> Self {
        Self(number.to_le())
    }
}

impl From<u16> for U16 {
    fn from(number: u16) -> Self {
        Self::new(number)
    }
}

/// A name in ASCII, padded with zeros.
pub type Name = [u8; NAME_LEN];

/// The text as a name, if it is ASCII and fits.
#[must_use]
pub const fn name(text: &str) -> Option<Name> {
    let mut name = [0; NAME_LEN];
    match name.split_at_mut_checked(text.len()) {
        Some((start, _)) if text.is_ascii() => start.copy_from_slice(text.as_bytes()),
        _ => return None,
    }
    Some(name)
}

/// The name without its padding; `?` if it is no text.
#[must_use]
pub fn text(name: &Name) -> &str {
    let bytes = name.split(|byte| *byte == 0).next().unwrap_or(name);
    core::str::from_utf8(bytes).unwrap_or("?")
}

/// Where a table lies in the bundle.
#[derive(Clone, Copy, Debug, Default, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Table {
    /// Bytes from the header's first byte.
    pub offset: U32,
    /// Rows.
    pub count: U32,
}

/// Consecutive rows of a table.
#[derive(Clone, Copy, Debug, Default, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Span {
    /// First row.
    pub first: U32,
    /// Rows.
    pub count: U32,
}

/// Start of the bundle.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Header {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`FORMAT`].
    pub format: U32,
    /// CRC-32C (Castagnoli) of the whole bundle with this field zero.
    pub crc: U32,
    /// Hash of the record layouts; a kernel refuses a bundle with another one.
    pub layout: U64,
    /// Bytes from this header to the end of the payload.
    pub total_len: U64,
    /// Instruction set of the hypervisor and of all guests.
    pub arch: Name,
    /// Board the manifest was written for.
    pub board: Name,
    /// Table of [`PartitionRecord`].
    pub partitions: Table,
    /// Table of [`CpuRecord`].
    pub cpus: Table,
    /// Table of [`SegmentRecord`].
    pub segments: Table,
    /// Table of [`DeviceRecord`].
    pub devices: Table,
    /// Table of [`ChannelRecord`].
    pub channels: Table,
    /// The UART on which the host is answered; without registers and ports there is none, and it
    /// shares the console's.
    pub management: DeviceRecord,
    /// Zero: the place of a key's name and signature.
    pub signature: [u8; 96],
}

bitflags::bitflags! {
    /// Concessions and options of a partition.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct PartitionFlags: u32 {
        /// WFI is an exit (`idle = "trap"`).
        const TRAP_IDLE = 1 << 0;
        /// Guest addresses equal host addresses (`identity = true`).
        const IDENTITY = 1 << 1;
        /// A device may write anywhere (`dma = "unprotected"`).
        const UNPROTECTED_DMA = 1 << 2;
        /// Threads of a core may be in another such partition (`smt = "shared"`).
        const SMT_SHARED = 1 << 3;
        /// It has a mailbox.
        const MAILBOX = 1 << 4;
        /// It waits until somebody starts it (`start = "manual"`).
        const MANUAL = 1 << 5;
        /// The machine is reset when its policy gives it up.
        const REBOOT_MACHINE = 1 << 6;
    }
}

/// One partition.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct PartitionRecord {
    /// Name; printable ASCII, unique.
    pub name: Name,
    /// Bits of [`PartitionFlags`].
    pub flags: U32,
    /// Interrupts that the guest's distributor or I/O APIC shows.
    pub intids: U32,
    /// RAM: first guest address.
    pub memory_guest: U64,
    /// RAM: first host address or [`PLACE_AT_BOOT`].
    pub memory_host: U64,
    /// RAM: bytes, a multiple of 4 KiB.
    pub memory_size: U64,
    /// Read-only flash where the platform has it: bytes, zero if none, a multiple of 4 KiB. Placed at boot.
    pub rom_size: U64,
    /// First instruction, a guest address.
    pub entry: U64,
    /// Value of x0 (a device tree's guest address) or of EBX at entry.
    pub argument: U64,
    /// Ends after which it is started again: bit N for the [`crate::mailbox::state::Why`] with number N.
    pub restart_on: U32,
    /// How often within that time, at most [`crate::mailbox::policy::MOST_RESTARTS`].
    pub restart_max: U32,
    /// That time, in nanoseconds.
    pub restart_within_ns: U64,
    /// From an end to the next start, in nanoseconds.
    pub restart_backoff_ns: U64,
    /// From a start to the next one at least, in nanoseconds.
    pub restart_uptime_ns: U64,
    /// Its watchdog's time in nanoseconds; zero if it has none.
    pub watchdog_ns: U64,
    /// The partitions that run before it is started.
    pub depends: Set,
    /// What its mailbox lets it do to others.
    pub rights: Rights,
    /// Its vCPUs, in order, in the cpus table.
    pub cpus: Span,
    /// What is copied before it starts, in the segments table.
    pub segments: Span,
    /// Its devices, in the devices table.
    pub devices: Span,
}

/// The CPU one vCPU runs on.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct CpuRecord {
    /// Number of the CPU, in the order the firmware lists them.
    pub cpu: U32,
}

/// Bytes copied into a partition before it starts.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct SegmentRecord {
    /// Bytes from the bundle's first byte; a multiple of 64.
    pub offset: U64,
    /// Bytes.
    pub len: U64,
    /// First guest address, in RAM or in the read-only flash.
    pub guest: U64,
}

/// A device granted to a partition, or kept for the host.
#[derive(Clone, Copy, Debug, Default, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct DeviceRecord {
    /// Name in board.toml.
    pub name: Name,
    /// Registers: first host address, a multiple of 4 KiB.
    pub host: U64,
    /// Registers: first guest address, a multiple of 4 KiB.
    pub guest: U64,
    /// Registers: bytes, a multiple of 4 KiB; zero for a device that has ports alone.
    pub size: U64,
    /// First I/O port, the same for host and guest.
    pub port: U32,
    /// I/O ports; zero if none.
    pub ports: U32,
    /// INTIDs or inputs of the I/O APIC, the same for host and guest; zero is none.
    pub interrupts: [U32; 4],
}

impl DeviceRecord {
    /// Its interrupts, without the places that have none.
    pub fn lines(&self) -> impl Iterator<Item = u32> {
        self.interrupts.iter().map(|line| line.get()).filter(|line| *line != 0)
    }
}

/// Memory that two partitions share, with a doorbell each.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct ChannelRecord {
    /// Name; unique.
    pub name: Name,
    /// Shared memory: bytes, a multiple of 4 KiB.
    pub size: U64,
    /// Shortest time between two interrupts at a receiver, in nanoseconds.
    pub interval_ns: U64,
    /// Both ends, in the order of `between`.
    pub ends: [ChannelEnd; 2],
}

/// What one partition sees of a channel.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct ChannelEnd {
    /// Row in the partitions table.
    pub partition: U32,
    /// INTID of the bell, or its input of the I/O APIC.
    pub interrupt: U32,
    /// Guest address of the register page.
    pub registers: U64,
    /// Guest address of the shared memory.
    pub memory: U64,
}
