// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two CPUs want something of one partition at the same time. First the orders
//! that matter, one by one; then threads, for whoever looks for data races.

use crate::rig::{CODE, Rig, SMALL, cpu_on, read};
use abi::mailbox::state::State;
use abi::platform::RAM;
use kernel::arch::{Event, Reply, device, name_of_vcpu, power_result};
use kernel::exit::{CpuState, Exit, Power, PowerAnswer};
use kernel::fault::Why;
use kernel::partition::End;

/// Times that threads race.
const RACES: usize = if cfg!(miri) { 4 } else { 200 };

fn is_loaded(event: &Event) -> bool {
    matches!(event, Event::Loaded { .. })
}

#[test]
fn the_first_to_end_a_partition_says_how() {
    let rig = Rig::pair();
    rig.machine.play(0, 0, [Exit::Power(Power::SystemReset)]);
    rig.machine.play(0, 1, [Exit::Power(Power::SystemOff)]);
    rig.turn(1).expect("the machine is on");
    rig.turn(0).expect("the machine is on");
    rig.settle();
    assert_eq!((rig.partition(0).state(), rig.partition(0).how()), (State::Off, End::Off));
    assert_eq!(rig.partition(0).life().restarts(), 0);
}

#[test]
fn a_vcpu_started_after_the_end_has_begun_does_not_start() {
    let rig = Rig::pair();
    rig.power(0, 1, Power::CpuOff);
    let _ = rig.machine.events();
    // vCPU 0 ends the partition; vCPU 1's CPU parks; vCPU 2, not there yet, starts vCPU 1.
    rig.machine.play(0, 0, [Exit::Power(Power::SystemReset)]);
    rig.machine.play(0, 2, [Exit::Power(cpu_on(1, RAM, 0xbad))]);
    rig.turn(0).expect("the machine is on");
    rig.turn(1).expect("the machine is on");
    rig.machine
        .on(2, || {
            // The exit came before the kick.
            let partition = rig.partition(0);
            partition.start_vcpu(&partition.bells[1], RAM, 0xbad)
        })
        .expect("no unwinding")
        .expect_err("it was started");
    rig.settle();
    let loaded = rig.events(is_loaded);
    assert!(matches!(loaded[..], [Event::Loaded { vcpu: 0, .. }]), "{loaded:?}");
    let ask = Power::CpuState { target: name_of_vcpu(1), level: 0 };
    let off = power_result(PowerAnswer::State(CpuState::Off));
    assert_eq!(rig.power(0, 0, ask), Some(Reply::Call(off)));
    let success = Reply::Call(power_result(PowerAnswer::Success));
    assert_eq!(rig.power(0, 0, cpu_on(1, RAM, 1)), Some(success));
}

#[test]
fn a_start_that_waits_when_the_end_begins_is_forgotten() {
    let rig = Rig::pair();
    rig.power(0, 1, Power::CpuOff);
    let _ = rig.machine.events();
    let exits = [cpu_on(1, RAM, 0xbad), Power::SystemReset].map(Exit::Power);
    rig.machine.play(0, 0, exits);
    rig.turn(0).expect("the machine is on");
    rig.settle();
    let loaded = rig.events(is_loaded);
    assert!(matches!(loaded[..], [Event::Loaded { vcpu: 0, .. }]), "{loaded:?}");
    assert_eq!(rig.partition(0).state(), State::Running);
}

#[test]
fn the_order_in_which_cpus_notice_the_end_does_not_matter() {
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for order in orders.into_iter().step_by(if cfg!(miri) { 3 } else { 1 }) {
        for how in [Power::SystemReset, Power::SystemOff] {
            let rig = Rig::pair();
            let host = rig.partition(0).memory[0].host;
            rig.machine.store(host, &[0xee; SMALL as usize]);
            rig.machine.play(0, order[0], [Exit::Power(how)]);
            for cpu in order.into_iter().chain(order) {
                rig.turn(cpu).expect("the machine is on");
            }
            rig.settle();
            let restarted = how == Power::SystemReset;
            let state = if restarted { State::Running } else { State::Off };
            assert_eq!(rig.partition(0).state(), state);
            let first = if restarted { CODE } else { [0; 16] };
            assert_eq!(rig.machine.memory(host, 16), first);
            assert!(rig.machine.memory(host, SMALL)[16..0x1800].iter().all(|byte| *byte == 0));
        }
    }
}

#[test]
fn of_many_threads_that_end_a_partition_one_wins() {
    for _ in 0..RACES {
        let rig = Rig::pair();
        let ends = [End::Restart, End::Off, End::Fault(Why::SystemError)];
        let won: Vec<bool> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..3)
                .map(|cpu| {
                    scope.spawn(move || {
                        rig.machine.enter(cpu);
                        rig.partition(0).end(ends[cpu])
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert_eq!(won.iter().filter(|won| **won).count(), 1);
        let winner = won.iter().position(|won| *won).expect("one");
        rig.settle();
        assert_eq!(rig.partition(0).how(), ends[winner]);
        assert_eq!(rig.play(1, 0, &[read(device::SCRATCH)]), [Reply::Access(!0)]);
    }
}

#[test]
fn of_many_threads_that_start_a_vcpu_one_wins() {
    for _ in 0..RACES {
        let rig = Rig::pair();
        rig.power(0, 2, Power::CpuOff);
        let _ = rig.machine.events();
        let won: Vec<bool> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..2)
                .map(|cpu| {
                    scope.spawn(move || {
                        rig.machine.enter(cpu);
                        let partition = rig.partition(0);
                        partition.start_vcpu(&partition.bells[2], RAM, cpu as u64).is_ok()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert_ne!(won[0], won[1]);
        rig.settle();
        let argument = u64::from(won[1]);
        let event = Event::Loaded { partition: 0, vcpu: 2, entry: RAM, argument };
        assert_eq!(rig.events(is_loaded), [event]);
    }
}

#[test]
fn cpus_on_threads_of_their_own_take_a_partition_through_its_lives() {
    let lives = if cfg!(miri) { 2 } else { 50 };
    let rig = Rig::pair();
    for life in 1..=lives {
        rig.machine.play(0, 0, [1, 2].map(|vcpu| Exit::Power(cpu_on(vcpu, RAM, 0))));
        rig.machine.play(0, 0, [Exit::Power(Power::SystemReset)]);
        std::thread::scope(|scope| {
            for cpu in 0..4 {
                scope.spawn(move || {
                    while rig.partition(0).life().restarts() < life
                        || rig.partition(0).state() != State::Running
                    {
                        rig.turn(cpu).expect("the machine is on");
                        std::thread::yield_now();
                    }
                });
            }
        });
        rig.settle();
        assert_eq!(rig.machine.left(0, 0), 0);
    }
    assert_eq!(rig.play(1, 0, &[read(device::SCRATCH)]), [Reply::Access(!0)]);
}
