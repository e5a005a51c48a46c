// SPDX-License-Identifier: MIT OR Apache-2.0
//! Physical addresses where this partition has nothing, and what lies there on
//! the machine or on the platform.

use crate::Setting;

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

/// First address of the platform's devices, one past the last; and what of the first MiB is no RAM.
const DEVICES_START: u64 = 0xc000_0000;
const DEVICES_END: u64 = 1 << 32;
const LOW_END: u64 = 0x10_0000;

/// Devices of a PC that no guest has unless the manifest grants them.
pub(crate) const DEVICES: &[Place] = &[
    place("vga", 0xa_0000),
    place("option-rom", 0xc_0000),
    place("pci-config-q35", 0xb000_0000),
    place("channels", 0xd000_0000),
    place("past-channels", 0xdfff_f000),
    place("pci-config", 0xe000_0000),
    place("pci-memory", 0xf000_0000),
    place("past-io-apic", 0xfec0_1000),
    place("hpet", 0xfed0_0000),
    place("tpm", 0xfed4_0000),
    place("amd-iommu", 0xfed8_0000),
    place("intel-iommu", 0xfed9_0000),
    place("past-local-apic", 0xfee0_1000),
    place("messages", 0xfeef_f000),
    place("flash", 0xffc0_0000),
    place("reset-vector", 0xffff_f000),
];

/// Addresses beside and far from this partition's memory, where the machine has other partitions' and the hypervisor's.
pub(crate) fn far(setting: &Setting) -> [Place; 11] {
    let (_, end) = setting.memory;
    [
        place("past-memory", end),
        place("past-memory-2m", end + 0x20_0000),
        place("past-memory-16m", end + 0x100_0000),
        place("past-memory-1g", end + 0x4000_0000),
        place("machine-memory-2g", 0x7fff_f000),
        place("machine-memory-4g", 0x1_0000_0000),
        place("machine-memory-16g", 0x3_ffff_f000),
        place("36-bits", 0xf_ffff_f000),
        place("40-bits", 0xff_ffff_f000),
        place("48-bits", 0xffff_ffff_f000),
        place("52-bits", 0xf_ffff_ffff_f000),
    ]
}

/// Whether `address` is memory or a device that this partition has.
pub(crate) fn own(setting: &Setting, address: u64) -> bool {
    let (start, end) = setting.memory;
    (start..end).contains(&address)
        || address < LOW_END
        || (DEVICES_START..DEVICES_END).contains(&address)
}
