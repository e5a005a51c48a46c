// SPDX-License-Identifier: MIT OR Apache-2.0
//! What no emulator shows: that memory which the kernel wrote is where a guest
//! with its caches off finds it, and that its instructions are fetched anew.
//! (Arm ARM: "Data cache maintenance by set/way", "Cache maintenance
//! instructions", "Ordering and completion of data and instruction cache
//! instructions"; ARCHITECTURE.md lists the places.)

use crate::rig::{CODE, HOST_RAM, Rig, SMALL, add, channel, draft, read};
use abi::platform::{CHANNEL_MEMORY, RAM};
use kernel::arch::{Event, Reply, device};
use kernel::exit::{Destination, Direction, Exit, Power, RegisterAccess};
use paging::{GuestPhys, HostPhys, Kind, Rights};

/// Most bytes of a step.
const STEP: u64 = 64 * 1024;
/// RAM that takes several steps, and whose last one is short.
const LARGE: u64 = if cfg!(miri) { SMALL } else { 3 * STEP + 0x1000 };

fn range(event: &Event) -> Option<(u64, u64)> {
    match *event {
        Event::Zeroed { host, len } | Event::Copied { host, len } => Some((host, len)),
        _ => None,
    }
}

/// One large partition, with the log of everything since it was built.
fn large() -> (Rig, Vec<Event>) {
    let mut draft = draft();
    add(&mut draft, "large", &[0], LARGE);
    let rig = Rig::boot(draft);
    rig.settle();
    let events = rig.machine.events();
    (rig, events)
}

/// Every write is cleaned before the next one, all of it before instructions
/// are published, and that before the vCPU starts.
fn assert_in_order(events: &[Event]) {
    let at = |wanted: &dyn Fn(&Event) -> bool| events.iter().rposition(wanted);
    let loaded = at(&|event| matches!(event, Event::Loaded { .. })).expect("it was started");
    let published = at(&|event| *event == Event::Published).expect("code was published");
    let written = at(&|event| range(event).is_some()).expect("memory was written");
    assert!(written < published && published < loaded, "{events:?}");
    for pair in events.windows(2) {
        if let Some((host, len)) = range(&pair[0]) {
            assert_eq!(pair[1], Event::Cleaned { host, len });
        }
    }
}

#[test]
fn an_image_is_in_memory_and_published_before_its_guest_starts() {
    let (rig, events) = large();
    assert_in_order(&events);
    let host = rig.partition(0).memory[0].host;
    let memory = rig.machine.memory(host, LARGE);
    assert_eq!(memory[..CODE.len()], CODE);
    assert!(memory[CODE.len()..0x1800].iter().all(|byte| *byte == 0));
    rig.power(0, 0, Power::SystemReset);
    assert_in_order(&rig.machine.events());
}

#[test]
fn every_byte_of_a_partition_is_zeroed_and_none_of_anybody_else() {
    let (rig, events) = large();
    let host = rig.partition(0).memory[0].host.get();
    let zeroed = events.iter().filter_map(|event| match *event {
        Event::Zeroed { host, len } => Some((host, len)),
        _ => None,
    });
    let mut next = host;
    for (start, len) in zeroed {
        assert_eq!(start, next);
        next = start + len;
    }
    assert_eq!(next, host + LARGE);
    let inside = |(start, len): (u64, u64)| start >= host && start + len <= host + LARGE;
    assert!(events.iter().filter_map(range).all(inside), "{events:?}");
}

#[test]
fn a_turn_does_one_step_and_a_step_is_at_most_64_kib() {
    let mut draft = draft();
    add(&mut draft, "large", &[0], LARGE);
    let rig = Rig::boot(draft);
    for life in 0..2 {
        let mut steps = 0;
        while !rig.machine.is_waiting(0) {
            rig.turn(0).expect("the machine is on");
            let written: Vec<_> = rig.machine.events().iter().filter_map(range).collect();
            assert!(written.len() <= 1 && written.iter().all(|(_, len)| *len <= STEP));
            steps += written.len() as u64;
        }
        assert_eq!(steps, LARGE.div_ceil(STEP) + 2, "in life {life}");
        rig.machine.play(0, 0, [Exit::Power(Power::SystemReset)]);
        rig.turn(0).expect("the machine is on");
    }
}

#[test]
fn maintenance_by_set_and_way_cleans_all_of_the_partitions_memory_first() {
    let (rig, _) = large();
    let host = rig.partition(0).memory[0].host;
    rig.machine.store(host, &[0x5c; LARGE as usize]);
    let clean = Exit::Register(RegisterAccess {
        number: device::CLEAN,
        direction: Direction::Write(0),
        destination: Destination { register: 0, sign_extend: false, wide: true },
    });
    let before = rig.machine.events();
    drop(before);
    rig.machine.play(0, 0, [clean, read(device::SCRATCH)]);
    while rig.machine.left(0, 0) > 0 {
        let dirty = rig.machine.memory(host, LARGE) != rig.machine.cached(host, LARGE);
        rig.turn(0).expect("the machine is on");
        assert!(!dirty || rig.machine.left(0, 0) > 0, "it went on before all was clean");
    }
    assert_eq!(rig.machine.memory(host, LARGE), vec![0x5c; LARGE as usize]);
    assert_eq!(rig.machine.replies(0, 0), [Reply::Register(0), Reply::Access(!0)]);
    let steps = rig.events(|event| matches!(event, Event::Cleaned { len, .. } if *len <= STEP));
    assert_eq!(steps.len() as u64, LARGE.div_ceil(STEP));
}

#[test]
fn a_channels_memory_is_zeroed_at_boot_and_both_ends_see_the_same_uncached_bytes() {
    let mut draft = draft();
    add(&mut draft, "left", &[0], SMALL);
    add(&mut draft, "right", &[1], SMALL);
    draft.channels = vec![channel("line", [0, 1], 0, 0)];
    let rig = Rig::boot(draft);
    let events = rig.machine.events();
    let found = [0, 1].map(|number| {
        let stage2 = &rig.partition(number).stage2;
        let find = || stage2.find(GuestPhys::new(CHANNEL_MEMORY));
        rig.machine.on(0, find).expect("no unwinding").expect("it is mapped")
    });
    assert_eq!(found[0], found[1]);
    assert_eq!(found[0].kind, Kind::NonCacheable);
    assert_eq!(found[0].rights, Rights::READ | Rights::WRITE);
    let host = found[0].host;
    assert_eq!(rig.machine.memory(host, 0x1000), vec![0; 0x1000]);
    assert!(events.contains(&Event::Cleaned { host: host.get(), len: 0x1000 }));
}

#[test]
fn stage_2_leads_to_a_partitions_own_memory_and_nowhere_else() {
    let rig = Rig::pair();
    let find = |number: usize, guest: u64| {
        let stage2 = &rig.partition(number).stage2;
        rig.machine.on(0, || stage2.find(GuestPhys::new(guest))).expect("no unwinding")
    };
    let mut pages = Vec::new();
    for number in 0..2 {
        let memory = rig.partition(number).memory[0];
        for offset in (0..SMALL).step_by(0x1000) {
            let found = find(number, RAM + offset).expect("its RAM is mapped");
            assert_eq!(found.host, HostPhys::new(memory.host.get() + offset));
            assert_eq!((found.rights, found.kind), (Rights::all(), Kind::Normal));
            pages.push(found.host);
        }
        for outside in [0, RAM - 1, RAM + SMALL, HOST_RAM, memory.host.get()] {
            assert_eq!(find(number, outside), None, "at {outside:#x}");
        }
    }
    let all = pages.len();
    pages.sort();
    pages.dedup();
    assert_eq!(pages.len(), all, "two partitions share a page");
    assert!(!pages.contains(&HostPhys::new(HOST_RAM)), "a partition has the hypervisor's memory");
}
