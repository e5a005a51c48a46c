// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rules of an x86 bundle: its platform, and I/O ports.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

use abi::bundle::Bundle;
use abi::crc32c::software;
use abi::draft::Draft;
use abi::machine::{self, Machine};
use abi::placement::Reserved;
use abi::platform::{self, pc};
use abi::range::Range;
use abi::records::{DeviceRecord, PLACE_AT_BOOT, PartitionFlags, PartitionRecord, name};
use zerocopy::FromZeros;

fn partition(called: &str) -> PartitionRecord {
    PartitionRecord {
        name: name(called).unwrap(),
        intids: pc::IO_APIC_PINS.into(),
        memory_host: PLACE_AT_BOOT.into(),
        memory_size: 0x20_0000.into(),
        entry: 0x10_0003.into(),
        ..PartitionRecord::new_zeroed()
    }
}

/// A device that has ports alone.
fn com(called: &str, port: u32, interrupt: u32) -> DeviceRecord {
    DeviceRecord {
        name: name(called).unwrap(),
        port: port.into(),
        ports: 8.into(),
        interrupts: [interrupt.into(), 0.into(), 0.into(), 0.into()],
        ..DeviceRecord::new_zeroed()
    }
}

fn draft() -> Draft {
    let mut draft = Draft::new(name("pc").unwrap(), &pc::PLATFORM);
    let code = || vec![(pc::HIGH, vec![0xf4; 77])];
    draft.add(partition("alpha"), &[0], code(), &[com("com3", 0x3e8, 5)]);
    draft.add(partition("beta"), &[1], code(), &[com("com2", 0x2f8, 3)]);
    draft
}

fn refused(change: impl FnOnce(&mut Draft)) -> String {
    let mut draft = draft();
    change(&mut draft);
    let bytes = draft.write();
    Bundle::open(&bytes, software, &pc::PLATFORM).unwrap_err().to_string()
}

#[test]
fn a_bundle_is_for_one_architecture() {
    let bytes = draft().write();
    assert!(Bundle::open(&bytes, software, &pc::PLATFORM).is_ok());
    let refusal = Bundle::open(&bytes, software, &platform::PLATFORM).unwrap_err();
    assert_eq!(refusal.to_string(), "bundle: written for x86_64, this kernel is for aarch64");
}

#[test]
fn memory_starts_at_zero_and_ends_below_the_devices() {
    assert_eq!(
        refused(|draft| draft.partitions[1].memory_guest = 0x10_0000.into()),
        "memory of partition beta starts at 0x100000, on this platform it starts at 0x0"
    );
    assert_eq!(
        refused(|draft| draft.partitions[1].memory_size = 0xc000_1000.into()),
        "memory of partition beta ends at 0xc0001000, guest addresses at 0xc0000000"
    );
    assert_eq!(
        refused(|draft| draft.partitions[0].intids = 32.into()),
        "partition alpha shows 32 interrupts, its controller has whole registers of them up to 24"
    );
    assert_eq!(
        refused(|draft| draft.partitions[0].rom_size = 0x1000.into()),
        "flash image of partition alpha has 4 KiB, at most 0 bytes"
    );
}

#[test]
fn ports() {
    assert_eq!(
        refused(|draft| draft.devices[1].port = 0x3ec.into()),
        "port 0x3ec of device com2 belongs to partition beta and to partition alpha"
    );
    assert_eq!(
        refused(|draft| draft.devices[1].port = 0x3ff.into()),
        "ports of device com2 cover the console of partition beta at 0x3ff"
    );
    assert_eq!(
        refused(|draft| draft.devices[1].port = 0xffff.into()),
        "ports of device com2 at 0xffff are none that partition beta can have"
    );
    let twice = |draft: &mut Draft| {
        draft.devices.push(com("com4", 0x2ff, 0));
        draft.partitions[1].devices.count = 2.into();
    };
    assert_eq!(refused(twice), "device com4 is listed twice in partition beta");
    assert_eq!(
        refused(|draft| draft.devices[1].ports = 0.into()),
        "device com2 of partition beta is not whole pages of 4 KiB at 0x0"
    );
}

#[test]
fn interrupts_of_the_platform_are_taken() {
    let interrupt = |gsi: u32| move |draft: &mut Draft| draft.devices[1].interrupts[0] = gsi.into();
    assert_eq!(
        refused(interrupt(9)),
        "interrupt 9 of device com2 in partition beta belongs to ACPI too"
    );
    assert_eq!(
        refused(interrupt(24)),
        "interrupt 24 of com2 is none that partition beta shows (up to 23)"
    );
}

#[test]
fn the_machine() {
    let mut draft = draft();
    let ram = [Range::new(0, 0x4000_0000)];
    let good = Machine { cpus: 2, ram: &ram, frames: &[], interrupts: &[], ports: &[], cores: &[] };
    let refused = |draft: &Draft, machine: Machine| {
        machine::first(&draft.tables(), &machine).map_err(|refusal| refusal.to_string())
    };
    assert_eq!(refused(&draft, good), Ok(()));
    let kept = [Reserved::new("the console", 0x2f8, 8)];
    assert_eq!(
        refused(&draft, Machine { ports: &kept, ..good }),
        Err("port 0x2f8 of device com2 in partition beta is the console's, which Bulkhead keeps"
            .into())
    );
    assert_eq!(refused(&draft, Machine { cores: &[0, 1], ..good }), Ok(()));
    let threads = Machine { cores: &[0, 0], ..good };
    let message = "CPU 1 of partition beta is a thread of a core that partition alpha runs on too";
    assert_eq!(refused(&draft, threads), Err(message.into()));
    draft.partitions[0].flags = PartitionFlags::SMT_SHARED.bits().into();
    assert_eq!(refused(&draft, threads), Err(message.into()), "one of two conceded it");
    draft.partitions[1].flags = PartitionFlags::SMT_SHARED.bits().into();
    assert_eq!(refused(&draft, threads), Ok(()));
}
