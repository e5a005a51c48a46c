// SPDX-License-Identifier: MIT OR Apache-2.0
//! A partition's life: it ends or starts afresh as a whole, alone, and leaves
//! nothing behind; with the last one the machine ends.

use crate::rig::{CODE, Rig, SECOND, SMALL, TABLES, add, cpu_on, draft, read};
use abi::mailbox::state::State;
use abi::platform::RAM;
use kernel::arch::{Event, Reply, device, memory_used, name_of_vcpu, power_result};
use kernel::exit::{CpuState, Exit, Power, PowerAnswer};
use kernel::fault::{GuestFault, Why};
use kernel::partition::End;
use paging::HostPhys;

/// Restarts in a row.
const MANY: u32 = if cfg!(miri) { 5 } else { 100 };

fn is_parked(event: &Event) -> bool {
    matches!(event, Event::Parked { .. })
}

/// The first bytes of a partition's memory, as a fresh start leaves them.
fn image() -> Vec<u8> {
    let mut image = vec![0; SMALL as usize];
    image[..CODE.len()].copy_from_slice(&CODE);
    let second = SECOND as usize;
    image[second..second + TABLES.len()].copy_from_slice(&TABLES);
    image
}

/// What the guest wrote: one page is still in the cache, one is not.
fn scribble(rig: &Rig, host: HostPhys) {
    rig.machine.store(host, &[0xee; SMALL as usize]);
    assert_ne!(rig.machine.memory(host, SMALL), rig.machine.cached(host, SMALL));
}

#[test]
fn switching_off_parks_every_vcpu_and_wipes_the_memory() {
    let rig = Rig::pair();
    let host = rig.partition(0).memory[0].host;
    scribble(&rig, host);
    assert_eq!(rig.power(0, 1, Power::SystemOff), None);
    let mut parked = rig.events(is_parked);
    parked.sort_by_key(|event| format!("{event:?}"));
    let expected: Vec<_> = (0..3).map(|vcpu| Event::Parked { partition: 0, vcpu }).collect();
    assert_eq!(parked, expected);
    assert_eq!(rig.machine.memory(host, SMALL), vec![0; SMALL as usize]);
    assert_eq!(rig.machine.cached(host, SMALL), vec![0; SMALL as usize]);
    assert_eq!((rig.partition(0).state(), rig.partition(0).how()), (State::Off, End::Off));
    assert_eq!(rig.console(), "[bulkhead] three: off\r\n");
    assert!(!rig.machine.is_off());
}

#[test]
fn a_restart_is_a_fresh_start_from_the_image() {
    let rig = Rig::pair();
    let host = rig.partition(0).memory[0].host;
    assert_eq!(rig.machine.memory(host, SMALL), image());
    scribble(&rig, host);
    assert_eq!(rig.power(0, 2, Power::SystemReset), None);
    assert_eq!(rig.machine.memory(host, SMALL), image());
    assert_eq!(rig.machine.cached(host, SMALL), image());
    assert_eq!(rig.partition(0).state(), State::Running);
    assert_eq!(rig.partition(0).life().restarts(), 1);
    assert_eq!(rig.console(), "[bulkhead] three: restarted (1)\r\n");
    let loaded = rig.events(|event| matches!(event, Event::Loaded { .. }));
    let (entry, argument) = (RAM + 8, RAM + SECOND);
    assert_eq!(loaded, [Event::Loaded { partition: 0, vcpu: 0, entry, argument }]);
    // The others are off, as at the first start, and can be started.
    for vcpu in 1..3 {
        let ask = Power::CpuState { target: name_of_vcpu(vcpu), level: 0 };
        let off = power_result(PowerAnswer::State(CpuState::Off));
        assert_eq!(rig.power(0, 0, ask), Some(Reply::Call(off)));
        let success = power_result(PowerAnswer::Success);
        assert_eq!(rig.power(0, 0, cpu_on(vcpu, RAM, 0)), Some(Reply::Call(success)));
    }
}

#[test]
fn devices_come_out_of_reset_with_their_partition() {
    let rig = Rig::alone();
    rig.play(0, 0, &[crate::rig::write(device::SCRATCH, 5_u32), Exit::Power(Power::SystemReset)]);
    assert_eq!(rig.play(0, 0, &[read(device::SCRATCH)]), [Reply::Access(!0)]);
}

#[test]
fn restarts_cost_the_same_every_time_and_leave_nothing_behind() {
    let rig = Rig::pair();
    let used = rig.machine.on(0, memory_used);
    let mut first = None;
    for round in 1..=MANY {
        rig.power(0, 0, cpu_on(1, RAM, 0));
        rig.power(0, 0, Power::SystemReset);
        assert_eq!(rig.console(), format!("[bulkhead] three: restarted ({round})\r\n"));
        let events = rig.machine.events();
        if round > 1 {
            assert_eq!(*first.get_or_insert_with(|| events.clone()), events);
        }
    }
    assert_eq!(rig.partition(0).life().restarts(), MANY);
    assert_eq!(rig.machine.on(0, memory_used), used);
    assert_eq!(rig.partition(1).life().restarts(), 0);
    assert_eq!(rig.power(0, 0, Power::SystemOff), None);
    assert_eq!(rig.partition(0).how(), End::Off);
}

#[test]
fn a_fault_in_one_partition_leaves_the_other_running() {
    let rig = Rig::pair();
    rig.play(0, 1, &[Exit::Fault(GuestFault::Stop(Why::SystemError))]);
    assert_eq!(rig.partition(0).state(), State::Failed);
    assert_eq!(rig.play(1, 0, &[read(device::SCRATCH)]), [Reply::Access(!0)]);
    assert_eq!(rig.partition(1).state(), State::Running);
    assert!(!rig.machine.is_off());
    assert!(!rig.console().contains("end:"));
}

#[test]
fn the_machine_ends_with_its_last_partition() {
    let rig = Rig::pair();
    rig.power(0, 0, Power::SystemOff);
    assert!(!rig.machine.is_off());
    rig.power(1, 0, Power::SystemOff);
    assert!(rig.machine.is_off());
    assert_eq!(
        rig.console(),
        "[bulkhead] three: off\r\n[bulkhead] other: off\r\n[bulkhead] end: ok\r\n"
    );
}

#[test]
fn the_machines_last_line_names_the_first_partition_that_failed() {
    let rig = Rig::pair();
    rig.play(1, 0, &[Exit::Fault(GuestFault::Stop(Why::UnknownExit))]);
    rig.power(0, 0, Power::SystemOff);
    assert!(rig.machine.is_off());
    let console = rig.console();
    let last = "[bulkhead] end: failed other an exit of an unknown class\r\n";
    assert!(console.ends_with(last), "{console}");
    assert!(console.contains("[bulkhead] other: stopped: an exit of an unknown class\r\n"));
}

#[test]
fn a_partition_that_ended_answers_to_nothing_any_more() {
    let rig = Rig::pair();
    rig.power(0, 0, Power::SystemOff);
    let _ = rig.machine.events();
    assert!(!rig.partition(0).end(End::Restart));
    rig.play(0, 0, &[read(device::SCRATCH)]);
    rig.machine.interrupt(0, kernel::interrupt::Interrupt::Guest(27));
    rig.settle();
    assert_eq!(rig.machine.left(0, 0), 1, "it was entered");
    let touched = |event: &Event| !matches!(event, Event::Raised { .. } | Event::Kicked { .. });
    assert_eq!(rig.events(touched), []);
}

#[test]
fn partitions_start_at_once_and_each_says_so() {
    let mut draft = draft();
    add(&mut draft, "one", &[0], SMALL);
    add(&mut draft, "two", &[1], SMALL);
    let rig = Rig::boot(draft);
    assert_eq!(rig.partition(0).state(), State::Starting);
    let _ = rig.console();
    rig.settle();
    assert_eq!(rig.console(), "[bulkhead] one: started\r\n[bulkhead] two: started\r\n");
    assert_eq!(rig.partition(1).state(), State::Running);
}
