// SPDX-License-Identifier: MIT OR Apache-2.0
//! The layout hash: one number that changes when a record does, so that a
//! kernel refuses a bundle written by another build instead of misreading it.

use core::mem::offset_of;

use crate::records::{
    ChannelEnd, ChannelRecord, CpuRecord, DeviceRecord, FORMAT, Header, PartitionRecord,
    SegmentRecord,
};

/// Hash of this build's records.
pub const HASH: u64 = hash(&[
    FORMAT as usize,
    size_of::<Header>(),
    offset_of!(Header, arch),
    offset_of!(Header, board),
    offset_of!(Header, partitions),
    offset_of!(Header, channels),
    offset_of!(Header, management),
    offset_of!(Header, signature),
    size_of::<PartitionRecord>(),
    offset_of!(PartitionRecord, flags),
    offset_of!(PartitionRecord, intids),
    offset_of!(PartitionRecord, memory_guest),
    offset_of!(PartitionRecord, memory_host),
    offset_of!(PartitionRecord, memory_size),
    offset_of!(PartitionRecord, rom_size),
    offset_of!(PartitionRecord, entry),
    offset_of!(PartitionRecord, argument),
    offset_of!(PartitionRecord, restart_on),
    offset_of!(PartitionRecord, restart_max),
    offset_of!(PartitionRecord, restart_within_ns),
    offset_of!(PartitionRecord, restart_backoff_ns),
    offset_of!(PartitionRecord, restart_uptime_ns),
    offset_of!(PartitionRecord, watchdog_ns),
    offset_of!(PartitionRecord, depends),
    offset_of!(PartitionRecord, rights),
    offset_of!(PartitionRecord, cpus),
    offset_of!(PartitionRecord, segments),
    offset_of!(PartitionRecord, devices),
    size_of::<CpuRecord>(),
    size_of::<SegmentRecord>(),
    offset_of!(SegmentRecord, len),
    offset_of!(SegmentRecord, guest),
    size_of::<DeviceRecord>(),
    offset_of!(DeviceRecord, host),
    offset_of!(DeviceRecord, guest),
    offset_of!(DeviceRecord, size),
    offset_of!(DeviceRecord, port),
    offset_of!(DeviceRecord, ports),
    offset_of!(DeviceRecord, interrupts),
    size_of::<ChannelRecord>(),
    offset_of!(ChannelRecord, size),
    offset_of!(ChannelRecord, interval_ns),
    offset_of!(ChannelRecord, ends),
    size_of::<ChannelEnd>(),
    offset_of!(ChannelEnd, interrupt),
    offset_of!(ChannelEnd, registers),
    offset_of!(ChannelEnd, memory),
]);

/// FNV-1a over the numbers, 64 bits.
const fn hash(mut numbers: &[usize]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    while let Some((first, rest)) = numbers.split_first() {
        hash = (hash ^ *first as u64).wrapping_mul(0x0100_0000_01b3);
        numbers = rest;
    }
    hash
}
