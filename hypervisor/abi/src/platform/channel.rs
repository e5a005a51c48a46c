// SPDX-License-Identifier: MIT OR Apache-2.0
//! Registers of a channel, at the offsets that ivshmem's BAR0 has
//! (QEMU, `docs/specs/ivshmem-spec.rst`, "Device registers"). 32-bit accesses only.

/// Read and write: bit 0 lets the peer's bell interrupt this side. One after reset.
pub const MASK: u64 = 0x0;
/// Read: bit 0 says that the peer rang since the last read; reading clears it.
pub const STATUS: u64 = 0x4;
/// Read: this side's number, 0 or 1, in the order of the manifest's `between`.
pub const POSITION: u64 = 0x8;
/// Write: bits 31:16 name the peer's number; any vector rings its bell.
pub const DOORBELL: u64 = 0xc;
/// Read: bytes of the shared memory.
pub const SIZE: u64 = 0x10;
