// SPDX-License-Identifier: MIT OR Apache-2.0
//! Addresses where this partition has nothing, and what lies there on the
//! machine or on the platform.

use crate::Setting;
use abi::platform;

/// A place and what could be there.
pub(crate) struct Place {
    /// What another partition or the machine has there.
    pub name: &'static str,
    /// First address.
    pub address: u64,
}

const fn place(name: &'static str, address: u64) -> Place {
    Place { name, address }
}

/// Devices of QEMU's `virt` machine (its `hw/arm/virt.c`) that no guest has unless the manifest grants them.
pub(crate) const DEVICES: &[Place] = &[
    place("flash", platform::FLASH),
    place("second-flash", 0x0400_0000),
    place("gicv2-cpu", 0x0801_0000),
    place("its", 0x0808_0000),
    place("past-redistributors", 0x0900_0000 - 0x1_0000),
    place("rtc", 0x0901_0000),
    place("fw-cfg", 0x0902_0000),
    place("gpio", platform::GPIO),
    place("second-uart", 0x0904_0000),
    place("smmu", 0x0905_0000),
    place("virtio", 0x0a00_0000),
    place("channels", platform::CHANNEL_REGISTERS),
    place("past-channels", platform::CHANNEL_END - 0x1000),
    place("secure-memory", 0x0e00_0000),
    place("pci-memory", 0x1000_0000),
    place("pci-ports", 0x3eff_0000),
    place("pci-config", 0x3f00_0000),
    place("high-redistributors", 0x40_0000_0000),
    place("high-pci-config", 0x40_1000_0000),
    place("high-pci-memory", 0x80_0000_0000),
];

/// Addresses beside and far from this partition's memory, where the machine has other partitions' and the hypervisor's.
pub(crate) fn far(setting: &Setting) -> [Place; 12] {
    let (start, end) = setting.memory;
    [
        place("below-memory", start - 0x1000),
        place("past-memory", end),
        place("past-memory-2m", end + 0x20_0000),
        place("past-memory-16m", end + 0x100_0000),
        place("past-memory-1g", end + 0x4000_0000),
        place("machine-memory-1g", 0x7fff_f000),
        place("machine-memory-2g", 0xbfff_f000),
        place("machine-memory-4g", 0x1_3fff_f000),
        place("40-bits", 0xff_ffff_f000),
        place("44-bits", 0xfff_ffff_f000),
        place("48-bits", 0xffff_ffff_f000),
        place("64-bits", 0xffff_ffff_ffff_f000),
    ]
}

/// Whether `address` is memory or a device that this partition has.
pub(crate) fn own(setting: &Setting, address: u64) -> bool {
    let (start, end) = setting.memory;
    let devices = [
        (platform::GICD, platform::GICD + platform::GICD_SIZE),
        (platform::GICR, 0x0900_0000),
        (platform::UART, platform::UART + platform::UART_SIZE),
        (platform::CHANNEL_REGISTERS, platform::CHANNEL_END),
    ];
    (start..end).contains(&address)
        || devices.iter().any(|&(from, to)| (from..to).contains(&address))
}
