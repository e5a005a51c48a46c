// SPDX-License-Identifier: MIT OR Apache-2.0
//! A small valid bundle: two partitions, a device and two channels.

use abi::draft::Draft;
use abi::platform::{CHANNEL_INTID, CHANNEL_MEMORY, CHANNEL_REGISTERS, PLATFORM, RAM};
use abi::records::{
    ChannelEnd, ChannelRecord, DeviceRecord, PLACE_AT_BOOT, PartitionRecord, Span, name,
};
use zerocopy::FromZeros;

/// A partition at the platform's RAM.
pub(crate) fn partition(called: &str, size: u64) -> PartitionRecord {
    PartitionRecord {
        name: name(called).unwrap(),
        flags: 0.into(),
        intids: 64.into(),
        memory_guest: RAM.into(),
        memory_host: PLACE_AT_BOOT.into(),
        memory_size: size.into(),
        rom_size: 0.into(),
        entry: RAM.into(),
        argument: 0.into(),
        restart_on: 0.into(),
        restart_max: 0.into(),
        restart_within_ns: 0.into(),
        restart_backoff_ns: 0.into(),
        restart_uptime_ns: 0.into(),
        watchdog_ns: 0.into(),
        depends: Default::default(),
        rights: Default::default(),
        cpus: Span::new_zeroed(),
        segments: Span::new_zeroed(),
        devices: Span::new_zeroed(),
    }
}

/// QEMU's clock.
pub(crate) fn rtc() -> DeviceRecord {
    DeviceRecord {
        name: name("rtc").unwrap(),
        host: 0x0901_0000.into(),
        guest: 0x0901_0000.into(),
        size: 0x1000.into(),
        port: 0.into(),
        ports: 0.into(),
        interrupts: [34.into(), 0.into(), 0.into(), 0.into()],
    }
}

/// A channel of 64 KiB whose ends are the `slot`th of their partitions.
pub(crate) fn channel(called: &str, between: [u32; 2], slot: u32) -> ChannelRecord {
    let end = |partition: u32| ChannelEnd {
        partition: partition.into(),
        interrupt: (CHANNEL_INTID + slot).into(),
        registers: (CHANNEL_REGISTERS + u64::from(slot) * 0x1000).into(),
        memory: (CHANNEL_MEMORY + u64::from(slot) * 0x1_0000).into(),
    };
    ChannelRecord {
        name: name(called).unwrap(),
        size: 0x1_0000.into(),
        interval_ns: 0.into(),
        ends: between.map(end),
    }
}

/// The whole, about 4 KiB when written.
pub(crate) fn draft() -> Draft {
    let mut draft = Draft::new(name("qemu-arm64").unwrap(), &PLATFORM);
    let code: Vec<u8> = (0..1500).map(|byte| (byte % 251) as u8).collect();
    draft.add(partition("alpha", 0x80_0000), &[0, 1], vec![(RAM, code.clone())], &[]);
    let segments = vec![(RAM, code), (RAM + 0x10_0000, vec![7; 77])];
    draft.add(partition("beta", 0x20_0000), &[2], segments, &[rtc()]);
    draft.channels = vec![channel("one", [0, 1], 0), channel("two", [1, 0], 1)];
    draft
}
