// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every rule of a bundle and of a machine, broken once, with its sentence.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod example;

use abi::bundle::Bundle;
use abi::crc32c::software;
use abi::draft::Draft;
use abi::machine::{self, Machine};
use abi::placement::Reserved;
use abi::platform::{CHANNEL_MEMORY, PLATFORM, RAM};
use abi::range::Range;
use abi::records::name;
use abi::refusal::Rule;

/// What a change to the example is answered with; only the changed thing may be wrong.
fn refused(change: impl FnOnce(&mut Draft)) -> String {
    let mut draft = example::draft();
    change(&mut draft);
    let bytes = draft.write();
    Bundle::open(&bytes, software, &PLATFORM).unwrap_err().to_string()
}

#[test]
fn partitions() {
    assert_eq!(refused(|draft| *draft = Draft::new(draft.board, draft.platform)), "no partition");
    let many = |draft: &mut Draft| draft.partitions = vec![draft.partitions[0]; 256];
    assert_eq!(refused(many), "256 partitions, at most 255");
    let rows = |draft: &mut Draft| draft.partitions[1].cpus.first = 1.into();
    assert_eq!(
        refused(rows),
        "bundle: rows of cpus in partition beta do not follow the previous one's"
    );
    let rest = |draft: &mut Draft| draft.partitions[1].devices.count = 0.into();
    assert_eq!(
        refused(rest),
        "bundle: rows of devices in partition beta do not follow the previous one's"
    );
    let endless = |draft: &mut Draft| draft.partitions[1].segments.count = u32::MAX.into();
    assert_eq!(
        refused(endless),
        "bundle: rows of segments in partition beta do not follow the previous one's"
    );
}

#[test]
fn names() {
    let called = |text: &'static str| {
        move |draft: &mut Draft| draft.partitions[1].name = name(text).unwrap()
    };
    assert_eq!(refused(called("a b")), "name a b is not 1 to 16 of a-z, 0-9, - and _");
    assert_eq!(refused(called("")), "name  is not 1 to 16 of a-z, 0-9, - and _");
    assert_eq!(
        refused(called("bulkhead")),
        "partition bulkhead: the name belongs to the hypervisor"
    );
    assert_eq!(refused(called("alpha")), "two partitions are called alpha");
    let hidden = |draft: &mut Draft| draft.partitions[1].name = *b"beta\0x\0\0\0\0\0\0\0\0\0\0";
    assert!(refused(hidden).starts_with("name beta is not"));
}

#[test]
fn cpus() {
    let none = |draft: &mut Draft| {
        draft.cpus.truncate(2);
        draft.partitions[1].cpus.count = 0.into();
    };
    assert_eq!(refused(none), "partition beta has no CPU");
    let nine = |draft: &mut Draft| {
        draft.cpus.extend_from_within(..2);
        draft.cpus.extend((10..16).map(|cpu: u32| abi::records::CpuRecord { cpu: cpu.into() }));
        draft.partitions[1].cpus.count = 9.into();
    };
    assert_eq!(refused(nine), "partition beta has 9 CPUs, at most 8");
    assert_eq!(
        refused(|draft| draft.cpus[2].cpu = 1.into()),
        "CPU 1 belongs to partition beta and to partition alpha"
    );
    assert_eq!(
        refused(|draft| draft.cpus[1].cpu = 0.into()),
        "CPU 0 is listed twice in partition alpha"
    );
}

#[test]
fn memory() {
    let size = |size: u64| move |draft: &mut Draft| draft.partitions[1].memory_size = size.into();
    assert_eq!(
        refused(size(0x20_0001)),
        "memory of partition beta is not a multiple of 4 KiB: 2097153 bytes at 0x40000000"
    );
    assert_eq!(refused(size(0)), "partition beta has no memory");
    assert_eq!(
        refused(size(1 << 40)),
        "memory of partition beta ends at 0x10040000000, guest addresses at 0x10000000000"
    );
    let high = |draft: &mut Draft| draft.partitions[1].memory_guest = 0xffff_ffff_fff0_0000.into();
    assert!(refused(high).starts_with("memory of partition beta ends at 0xffffffffffffffff"));
    let low = |draft: &mut Draft| draft.partitions[1].memory_guest = 0x0780_0000.into();
    assert_eq!(refused(low), "memory of partition beta covers the platform's flash at 0x0");
    let pinned = |draft: &mut Draft| {
        draft.partitions[0].memory_host = 0x5000_0000.into();
        draft.partitions[1].memory_host = 0x5070_0000.into();
    };
    assert_eq!(
        refused(pinned),
        "memory of partition beta overlaps that of partition alpha at 0x50700000"
    );
    let identity = |draft: &mut Draft| {
        draft.partitions[1].flags = 2.into();
        draft.partitions[1].memory_host = 0x5000_0000.into();
    };
    assert_eq!(
        refused(identity),
        "memory of partition beta is at guest 0x40000000 but at host 0x50000000, with identity"
    );
}

#[test]
fn images() {
    let flash = |size: u64| move |draft: &mut Draft| draft.partitions[1].rom_size = size.into();
    assert_eq!(
        refused(flash(0x1234)),
        "flash image of partition beta has 4660 bytes, at most 64 MiB"
    );
    assert_eq!(
        refused(flash(0x0800_0000)),
        "flash image of partition beta has 128 MiB, at most 64 MiB"
    );
    let outside = |guest: u64| move |draft: &mut Draft| draft.segments[2].guest = guest.into();
    assert_eq!(
        refused(outside(RAM + 0x20_0000 - 76)),
        "image of partition beta (77 bytes at 0x401fffb4) lies outside its memory"
    );
    assert!(refused(outside(0)).ends_with("lies outside its memory"));
    assert_eq!(
        refused(outside(RAM + 1499)),
        "two parts of the image of partition beta overlap at 0x400005db"
    );
    let entry = |entry: u64| move |draft: &mut Draft| draft.partitions[0].entry = entry.into();
    for address in [RAM + 1500, RAM + 1497, 0, u64::MAX, RAM + 2] {
        let message = format!("entry {address:#x} of partition alpha lies outside its image");
        assert_eq!(refused(entry(address)), message);
    }
}

#[test]
fn devices() {
    let shown = |intids: u32| move |draft: &mut Draft| draft.partitions[0].intids = intids.into();
    for intids in [0, 32, 65, 320] {
        let message = format!(
            "partition alpha shows {intids} interrupts, its controller has whole registers of them up to 288"
        );
        assert_eq!(refused(shown(intids)), message);
    }
    let size = |draft: &mut Draft| draft.devices[0].size = 0x800.into();
    assert_eq!(
        refused(size),
        "device rtc of partition beta is not whole pages of 4 KiB at 0x9010000"
    );
    let at = |guest: u64| move |draft: &mut Draft| draft.devices[0].guest = guest.into();
    assert_eq!(
        refused(at(RAM + 0x1000)),
        "device rtc of partition beta covers its memory at 0x40001000"
    );
    assert_eq!(
        refused(at(0x0900_0000)),
        "device rtc covers the console of partition beta at 0x9000000"
    );
    let twice = |draft: &mut Draft| {
        let rtc = example::rtc();
        draft.add(example::partition("gamma", 0x20_0000), &[3], vec![(RAM, vec![0; 4])], &[rtc]);
    };
    assert_eq!(refused(twice), "device rtc belongs to partition gamma and to partition beta");
    let repeated = |draft: &mut Draft| {
        draft.devices.push(draft.devices[0]);
        draft.partitions[1].devices.count = 2.into();
    };
    assert_eq!(refused(repeated), "device rtc is listed twice in partition beta");
}

#[test]
fn interrupts() {
    let intid = |intid: u32| move |draft: &mut Draft| draft.devices[0].interrupts[2] = intid.into();
    assert_eq!(
        refused(intid(64)),
        "interrupt 64 of rtc is none that partition beta shows (up to 63)"
    );
    assert_eq!(
        refused(intid(27)),
        "interrupt 27 of rtc is none that partition beta shows (up to 63)"
    );
    assert_eq!(
        refused(intid(33)),
        "interrupt 33 of device rtc in partition beta belongs to the console too"
    );
    assert_eq!(
        refused(intid(40)),
        "interrupt 40 of device rtc in partition beta belongs to one too"
    );
    let twice = |draft: &mut Draft| {
        let mut other = example::rtc();
        other.name = name("gpio").unwrap();
        other.host = 0x0a00_0000.into();
        draft.add(example::partition("gamma", 0x20_0000), &[3], vec![(RAM, vec![0; 4])], &[other]);
    };
    assert_eq!(
        refused(twice),
        "interrupt 34 of device gpio belongs to partition gamma and to partition beta"
    );
    let shared = |draft: &mut Draft| {
        let mut other = example::rtc();
        other.name = name("gpio").unwrap();
        other.host = 0x0a00_0000.into();
        other.guest = 0x0a00_0000.into();
        draft.devices.push(other);
        draft.partitions[1].devices.count = 2.into();
    };
    assert_eq!(refused(shared), "interrupt 34 of device gpio in partition beta belongs to rtc too");
}

#[test]
fn channels() {
    let change = |change: fn(&mut abi::records::ChannelRecord)| {
        move |draft: &mut Draft| change(&mut draft.channels[1])
    };
    assert_eq!(
        refused(change(|two| two.name = [0; 16])),
        "name  is not 1 to 16 of a-z, 0-9, - and _"
    );
    assert_eq!(
        refused(change(|two| two.name = name("one").unwrap())),
        "two channels are called one"
    );
    let nobody = change(|two| two.ends[0].partition = 2.into());
    assert_eq!(refused(nobody), "channel two leads to a partition that does not exist");
    let own = change(|two| two.ends[0].partition = 0.into());
    assert_eq!(refused(own), "channel two leads from partition alpha to itself");
    let many = |draft: &mut Draft| {
        draft.channels =
            (0..9).map(|slot| example::channel(&format!("c{slot}"), [0, 1], slot)).collect();
    };
    assert_eq!(refused(many), "partition alpha has 9 channels, at most 8");
    for (size, shown) in [(0, "0 bytes"), (100, "100 bytes"), (1 << 30, "1 GiB")] {
        let message = format!("channel two has {shown}, not a multiple of 4 KiB up to 31 MiB");
        assert_eq!(refused(|draft| draft.channels[1].size = u64::into(size)), message);
    }
    let memory = change(|two| two.ends[1].memory = (CHANNEL_MEMORY - 0x1000).into());
    assert_eq!(
        refused(memory),
        "channel two is at 0xc0ff000 in partition alpha, outside the window for channels"
    );
    let registers = change(|two| two.ends[1].registers = 0x0c00_8000.into());
    assert_eq!(
        refused(registers),
        "channel two is at 0xc008000 in partition alpha, outside the window for channels"
    );
    let overlap = change(|two| two.ends[1].interrupt = 40.into());
    assert_eq!(refused(overlap), "channel two overlaps channel one in partition alpha");
    let interrupt = change(|two| two.ends[1].interrupt = 64.into());
    assert_eq!(
        refused(interrupt),
        "interrupt 64 of two is none that partition alpha shows (up to 63)"
    );
}

#[test]
fn the_machine() {
    let draft = example::draft();
    let tables = draft.tables();
    let ram = [Range::new(RAM, 0x4000_0000)];
    let good = Machine { cpus: 4, ram: &ram, frames: &[], interrupts: &[], ports: &[], cores: &[] };
    assert!(machine::first(&tables, &good).is_ok());
    let refused = |machine: Machine| machine::first(&tables, &machine).unwrap_err().to_string();
    assert_eq!(
        refused(Machine { cpus: 2, ..good }),
        "partition beta wants CPU 2, the machine has 0 to 1"
    );
    let ram = [Range::new(0, 0x4000_0000)];
    assert_eq!(
        refused(Machine { ram: &ram, ..good }),
        "device rtc of partition beta covers the machine's RAM at 0x9010000"
    );
    let frames = [Reserved::new("the clock", 0x0901_0800, 8)];
    let machine = Machine { frames: &frames, ..good };
    assert_eq!(
        refused(machine),
        "device rtc of partition beta covers the clock, which Bulkhead keeps"
    );
    let interrupts = [(name("the clock").unwrap(), 34)];
    let message =
        "interrupt 34 of device rtc in partition beta is the clock's, which Bulkhead keeps";
    assert_eq!(refused(Machine { interrupts: &interrupts, ..good }), message);
}

#[test]
fn every_rule_is_broken_in_some_test() {
    let tests = concat!(
        include_str!("rules.rs"),
        include_str!("pc.rs"),
        include_str!("bundle.rs"),
        include_str!("placement.rs")
    );
    for rule in Rule::ALL {
        let words = rule.sentence().split(['{', '}']).max_by_key(|words| words.len()).unwrap();
        assert!(tests.contains(words.trim()), "no test expects {rule:?}: {words}");
    }
}
