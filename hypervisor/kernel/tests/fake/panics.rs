// SPDX-License-Identifier: MIT OR Apache-2.0
//! A bug of the hypervisor costs the partition of the CPU that met it, and
//! nobody else.

use crate::rig::{Rig, read};
use abi::mailbox::state::State;
use kernel::arch::{Reply, Stopped, device};
use kernel::boot::panicked;
use kernel::exit::{Exit, Power};
use kernel::fault::Why;
use kernel::partition::End;

/// Turns between two moments at which a CPU panics.
const STRIDE: usize = if cfg!(miri) { 4 } else { 1 };

impl Rig {
    /// A CPU panics.
    fn panic(&self, cpu: usize) -> Option<Stopped> {
        self.machine.on(cpu, || panicked(format_args!("a bug"))).err()
    }
}

#[test]
fn a_panic_ends_only_the_partition_of_its_cpu() {
    let rig = Rig::pair();
    assert_eq!(rig.panic(1), Some(Stopped::Cpu));
    rig.settle();
    assert_eq!(rig.console(), "[bulkhead] panic on CPU 1: a bug\r\n");
    assert_eq!(rig.partition(0).how(), End::Fault(Why::HypervisorPanic));
    assert_eq!(rig.partition(0).state(), State::Failed);
    // Its other vCPUs are not entered any more.
    for vcpu in [0, 2] {
        assert_eq!(rig.play(0, vcpu, &[read(device::SCRATCH)]), []);
    }
    assert_eq!(rig.play(1, 0, &[read(device::SCRATCH)]), [Reply::Access(!0)]);
    rig.power(1, 0, Power::SystemOff);
    assert!(rig.machine.is_off());
    let why = "the hypervisor panicked on one of its CPUs";
    assert!(rig.console().ends_with(&format!("[bulkhead] end: failed three {why}\r\n")));
}

#[test]
fn a_panic_in_the_last_partition_ends_the_machine() {
    let rig = Rig::pair();
    rig.power(1, 0, Power::SystemOff);
    assert_eq!(rig.panic(2), Some(Stopped::Machine));
    assert!(rig.console().contains("[bulkhead] end: failed three "));
}

#[test]
fn two_panics_in_one_partition_count_once() {
    let rig = Rig::pair();
    assert_eq!(rig.panic(0), Some(Stopped::Cpu));
    assert_eq!(rig.panic(2), Some(Stopped::Cpu));
    rig.settle();
    assert!(!rig.machine.is_off());
    assert_eq!(rig.play(1, 0, &[read(device::SCRATCH)]), [Reply::Access(!0)]);
}

#[test]
fn a_panic_while_a_partition_ends_counts_it_once() {
    // CPU 1 panics before, between and after each step of the partition's end.
    for turns in (0..12).step_by(STRIDE) {
        let rig = Rig::pair();
        rig.machine.play(0, 0, [Exit::Power(Power::SystemOff)]);
        for turn in 0..turns {
            rig.turn([0, 2, 1, 0][turn % 4]).expect("the other partition keeps the machine on");
        }
        assert_eq!(rig.panic(1), Some(Stopped::Cpu), "after {turns} turns");
        rig.settle();
        assert!(!rig.machine.is_off(), "after {turns} turns");
        assert_eq!(rig.partition(0).state(), State::Failed, "after {turns} turns");
        assert_eq!(rig.play(1, 0, &[read(device::SCRATCH)]), [Reply::Access(!0)]);
        rig.power(1, 0, Power::SystemOff);
        assert!(rig.machine.is_off(), "after {turns} turns");
    }
}

#[test]
fn a_panic_while_a_partition_restarts_ends_it_for_good() {
    for turns in (0..12).step_by(STRIDE) {
        let rig = Rig::pair();
        rig.machine.play(0, 0, [Exit::Power(Power::SystemReset)]);
        for turn in 0..turns {
            rig.turn([0, 2, 1, 0][turn % 4]).expect("the machine is on");
        }
        assert_eq!(rig.panic(1), Some(Stopped::Cpu), "after {turns} turns");
        rig.settle();
        assert_eq!(rig.partition(0).state(), State::Failed, "after {turns} turns");
        assert_eq!(rig.partition(0).how(), End::Fault(Why::HypervisorPanic));
        assert_eq!(rig.play(0, 0, &[read(device::SCRATCH)]), []);
        assert!(!rig.machine.is_off(), "after {turns} turns");
    }
}

#[test]
fn a_panic_with_the_consoles_lock_held_is_still_told() {
    let rig = Rig::pair();
    core::mem::forget(rig.machine.shared.console.lock());
    assert_eq!(rig.panic(0), Some(Stopped::Cpu));
    assert_eq!(rig.console(), "[bulkhead] panic on CPU 0: a bug\r\n");
    // The console works again for the others.
    rig.print(1, b"alive\n");
    assert_eq!(rig.console(), "[other] alive\r\n");
}

#[test]
fn a_panics_message_stays_on_its_line() {
    let rig = Rig::pair();
    let stopped = rig.machine.on(0, || panicked(format_args!("left\nright\x1b[2J")));
    assert_eq!(stopped.err(), Some(Stopped::Cpu));
    assert_eq!(rig.console(), "[bulkhead] panic on CPU 0: left right [2J\r\n");
}

#[test]
fn a_panic_before_there_are_partitions_ends_the_machine() {
    let machine = kernel::arch::Machine::start();
    let stopped = machine.on(0, || {
        kernel::console::start(
            kernel::arch::Serial::new(kernel::console::Line::Console),
            kernel::console::Line::Console,
        );
        panicked(format_args!("early"))
    });
    assert_eq!(stopped.err(), Some(Stopped::Machine));
    let console = crate::rig::text(&machine.sent());
    assert!(console.ends_with("[bulkhead] end: failed boot panic on CPU 0\r\n"), "{console}");
}
