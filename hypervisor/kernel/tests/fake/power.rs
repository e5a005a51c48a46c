// SPDX-License-Identifier: MIT OR Apache-2.0
//! vCPUs are started, stopped and asked about, by name, inside one partition.

use crate::rig::{Rig, SMALL, add, cpu_on, draft, read};
use abi::mailbox::state::State;
use abi::platform::RAM;
use kernel::arch::{Event, Reply, device, name_of_vcpu, power_result};
use kernel::exit::{CpuState, Exit, Power, PowerAnswer};
use kernel::fault::Why;
use kernel::interrupt::Interrupt;
use kernel::partition::End;

fn result(answer: PowerAnswer) -> Option<Reply> {
    Some(Reply::Call(power_result(answer)))
}

fn state(state: CpuState) -> Option<Reply> {
    result(PowerAnswer::State(state))
}

fn ask(vcpu: usize) -> Power {
    Power::CpuState { target: name_of_vcpu(vcpu), level: 0 }
}

fn is_loaded(event: &Event) -> bool {
    matches!(event, Event::Loaded { .. })
}

/// Two vCPUs, the first of which runs.
fn two() -> Rig {
    let mut draft = draft();
    add(&mut draft, "two", &[0, 1], SMALL);
    Rig::running(draft)
}

#[test]
fn a_vcpu_starts_where_and_with_what_its_partition_says() {
    let rig = two();
    assert_eq!(rig.power(0, 0, cpu_on(1, RAM + 0x40, 99)), result(PowerAnswer::Success));
    let event = Event::Loaded { partition: 0, vcpu: 1, entry: RAM + 0x40, argument: 99 };
    assert_eq!(rig.events(is_loaded), [event]);
    assert_eq!(rig.play(0, 1, &[read(device::SCRATCH)]), [Reply::Access(!0)]);
}

#[test]
fn a_vcpu_that_runs_or_is_about_to_is_not_started_again() {
    let rig = two();
    rig.machine.play(0, 0, [cpu_on(1, RAM, 1), cpu_on(1, RAM, 2), ask(1)].map(Exit::Power));
    rig.turn(0).expect("the machine is on");
    let expected = [PowerAnswer::Success, PowerAnswer::OnPending];
    let mut expected: Vec<_> = expected.map(result).into_iter().flatten().collect();
    expected.extend(state(CpuState::OnPending));
    assert_eq!(rig.machine.replies(0, 0), expected);
    rig.settle();
    assert_eq!(rig.power(0, 0, cpu_on(1, RAM, 3)), result(PowerAnswer::AlreadyOn));
    assert_eq!(rig.power(0, 0, cpu_on(0, RAM, 3)), result(PowerAnswer::AlreadyOn));
    let event = Event::Loaded { partition: 0, vcpu: 1, entry: RAM, argument: 1 };
    assert_eq!(rig.events(is_loaded), [event]);
}

#[test]
fn absent_and_foreign_vcpus_cannot_be_named() {
    let rig = Rig::pair();
    let names = [name_of_vcpu(3), name_of_vcpu(31), name_of_vcpu(0) - 1, 0, 3, u64::MAX];
    for target in names {
        let invalid = result(PowerAnswer::InvalidParameters);
        assert_eq!(rig.power(0, 0, Power::CpuOn { target, entry: RAM, argument: 0 }), invalid);
        assert_eq!(rig.power(0, 0, Power::CpuState { target, level: 0 }), invalid);
    }
    assert_eq!(
        rig.power(0, 0, Power::CpuState { target: name_of_vcpu(0), level: 1 }),
        result(PowerAnswer::InvalidParameters)
    );
    assert_eq!(rig.events(is_loaded), []);
    // The other partition's only vCPU has the same name as vCPU 0 here, and is not meant.
    assert_eq!(rig.power(1, 0, ask(1)), result(PowerAnswer::InvalidParameters));
}

#[test]
fn a_vcpu_starts_only_in_its_partitions_memory() {
    let rig = two();
    for entry in [RAM - 1, RAM + SMALL, 0, u64::MAX] {
        assert_eq!(rig.power(0, 0, cpu_on(1, entry, 0)), result(PowerAnswer::InvalidAddress));
    }
    assert_eq!(rig.power(0, 0, ask(1)), state(CpuState::Off));
    assert_eq!(rig.power(0, 0, cpu_on(1, RAM + SMALL - 4, 0)), result(PowerAnswer::Success));
}

#[test]
fn a_vcpu_can_be_switched_off_and_on_again() {
    let rig = two();
    for round in 0..3 {
        assert_eq!(rig.power(0, 0, ask(1)), state(CpuState::Off));
        assert_eq!(rig.power(0, 0, cpu_on(1, RAM, round)), result(PowerAnswer::Success));
        assert_eq!(rig.power(0, 0, ask(1)), state(CpuState::On));
        assert_eq!(rig.power(0, 1, Power::CpuOff), None);
    }
    assert_eq!(rig.events(is_loaded).len(), 3);
    assert_eq!(rig.partition(0).state(), State::Running);
}

#[test]
fn a_vcpu_may_leave_as_soon_as_it_has_started_another() {
    let rig = two();
    rig.machine.play(0, 0, [cpu_on(1, RAM, 7), Power::CpuOff].map(Exit::Power));
    // vCPU 0 is off before vCPU 1's CPU has looked at its bell.
    rig.turn(0).expect("the machine is on");
    rig.settle();
    assert_eq!(rig.partition(0).state(), State::Running);
    assert_eq!(rig.power(0, 1, ask(0)), state(CpuState::Off));
    assert_eq!(rig.power(0, 1, cpu_on(0, RAM, 8)), result(PowerAnswer::Success));
}

#[test]
fn a_start_that_was_refused_counts_for_nothing() {
    let rig = two();
    rig.power(0, 0, cpu_on(1, RAM, 0));
    rig.power(0, 0, cpu_on(1, RAM, 0));
    rig.power(0, 1, Power::CpuOff);
    rig.power(0, 0, Power::CpuOff);
    assert_eq!(rig.partition(0).how(), End::Fault(Why::AllCpusOff));
}

#[test]
fn a_partition_without_a_vcpu_left_has_failed() {
    let rig = Rig::pair();
    for vcpu in 0..3 {
        assert_eq!(rig.partition(0).state(), State::Running);
        rig.power(0, vcpu, Power::CpuOff);
    }
    assert_eq!(rig.partition(0).state(), State::Failed);
    assert_eq!(rig.partition(0).how(), End::Fault(Why::AllCpusOff));
    assert_eq!(rig.partition(1).state(), State::Running);
}

#[test]
fn a_suspended_vcpu_goes_on_with_success() {
    let rig = two();
    let replies = rig.play(0, 0, &[Exit::Power(Power::Suspend), read(device::SCRATCH)]);
    assert_eq!(replies, [Reply::Call(power_result(PowerAnswer::Success)), Reply::Access(!0)]);
}

#[test]
fn a_vcpu_does_not_sleep_while_an_interrupt_waits_for_it() {
    let rig = two();
    for sleep in [Exit::Power(Power::Suspend), Exit::Idle] {
        let before = rig.machine.sleeps(0);
        // It has masked its interrupts, and one came before it went to sleep.
        rig.machine.mask(true);
        rig.machine.interrupt(0, Interrupt::Guest(27));
        rig.machine.play(0, 0, [sleep]);
        rig.turn(0).expect("the machine is on");
        assert_eq!(rig.machine.sleeps(0), before, "it sleeps through its interrupt");
        rig.machine.mask(false);
        rig.machine.play(0, 0, [sleep]);
        rig.turn(0).expect("the machine is on");
        assert_eq!(rig.machine.sleeps(0), before + 1);
    }
}
