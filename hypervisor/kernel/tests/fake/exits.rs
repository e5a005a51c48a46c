// SPDX-License-Identifier: MIT OR Apache-2.0
//! The run loop answers every kind of exit, and what a guest may not do is
//! answered in that guest.

use crate::rig::{Rig, read, write};
use abi::mailbox::state::State;
use devices::Size;
use kernel::arch::{Event, Reply, answer_call, device};
use kernel::exit::{Call, Destination, Direction, Exit, PortAccess, RegisterAccess};
use kernel::fault::{GuestFault, Why};
use kernel::interrupt::Interrupt;
use kernel::partition::End;

fn register(number: u32, direction: Direction) -> Exit {
    let destination = Destination { register: 1, sign_extend: false, wide: true };
    Exit::Register(RegisterAccess { number, direction, destination })
}

#[test]
fn a_load_gets_what_the_device_gives() {
    let rig = Rig::alone();
    let replies = rig.play(0, 0, &[write(device::SCRATCH, 0x1234_u32), read(device::SCRATCH)]);
    assert_eq!(replies, [Reply::Access(0), Reply::Access(!0x1234)]);
}

#[test]
fn an_access_to_nothing_is_a_fault_inside_the_guest_which_goes_on() {
    let rig = Rig::alone();
    for address in [0, 0xf00c_0000, u64::MAX] {
        let replies =
            rig.play(0, 0, &[read(address), write(address, 1_u32), read(device::SCRATCH)]);
        let fault = Reply::Injected(GuestFault::NoDevice);
        assert_eq!(replies, [fault, fault, Reply::Access(!0)]);
    }
    assert_eq!(rig.partition(0).state(), State::Running);
}

#[test]
fn a_port_is_answered_or_faults() {
    let rig = Rig::alone();
    let port = |port| Exit::Port(PortAccess { port, size: Size::Half, direction: Direction::Read });
    let fault = Reply::Injected(GuestFault::NoDevice);
    let replies = rig.play(0, 0, &[port(device::PORT), port(0x80)]);
    assert_eq!(replies, [Reply::Access(0x3fa), fault]);
}

#[test]
fn a_register_is_read_or_undefined() {
    let rig = Rig::alone();
    let exits = [
        register(device::REGISTER, Direction::Read),
        register(device::REGISTER, Direction::Write(1)),
        register(0x1bad, Direction::Read),
    ];
    let undefined = Reply::Injected(GuestFault::Undefined);
    assert_eq!(rig.play(0, 0, &exits), [Reply::Register(77), undefined, undefined]);
}

#[test]
fn a_call_gets_the_architectures_answer() {
    let rig = Rig::alone();
    let call = Call { function: 0xdead_beef, argument: 42 };
    assert_eq!(rig.play(0, 0, &[Exit::Call(call)]), [Reply::Call(answer_call(call))]);
}

#[test]
fn waiting_ends_the_instruction_and_work_that_is_done_needs_nothing() {
    let rig = Rig::alone();
    let replies = rig.play(0, 0, &[Exit::Idle, Exit::Done, read(device::SCRATCH)]);
    assert_eq!(replies, [Reply::Skipped, Reply::Access(!0)]);
}

#[test]
fn each_fault_that_an_exception_answers_is_injected() {
    let rig = Rig::alone();
    for fault in [GuestFault::Undefined, GuestFault::NoDevice, GuestFault::NoCode] {
        assert_eq!(rig.play(0, 0, &[Exit::Fault(fault)]), [Reply::Injected(fault)]);
    }
    assert_eq!(rig.partition(0).state(), State::Running);
}

#[test]
fn a_fault_that_nothing_answers_stops_the_partition_with_a_record() {
    for why in [Why::SystemError, Why::UnknownExit] {
        let rig = Rig::alone();
        let exits = [Exit::Fault(GuestFault::Stop(why)), read(device::SCRATCH)];
        assert_eq!(rig.play(0, 0, &exits), [Reply::Recorded(why)]);
        assert_eq!(rig.machine.left(0, 0), 1, "it was entered again");
        assert_eq!(rig.partition(0).how(), End::Fault(why));
        let console = rig.console();
        assert!(console.contains(&format!("[bulkhead] solo: vCPU 0: {why}\r\n")), "{console}");
        assert!(console.contains(&format!("[bulkhead] solo: stopped: {why}\r\n")), "{console}");
        assert!(console.ends_with(&format!("[bulkhead] end: failed solo {why}\r\n")), "{console}");
    }
}

#[test]
fn an_interrupt_that_is_gone_disturbs_nobody() {
    let rig = Rig::alone();
    let replies = rig.play(0, 0, &[Exit::Interrupt, read(device::SCRATCH)]);
    assert_eq!(replies, [Reply::Access(!0)]);
}

#[test]
fn a_guests_own_interrupt_reaches_its_interrupt_controller() {
    let rig = Rig::alone();
    rig.machine.interrupt(0, Interrupt::Guest(27));
    // A line that the partition does not own.
    rig.machine.interrupt(0, Interrupt::Guest(99));
    rig.settle();
    let raised = rig.events(|event| matches!(event, Event::Raised { .. }));
    assert_eq!(raised, [Event::Raised { partition: 0, interrupt: 27 }]);
}

#[test]
fn the_hypervisors_own_interrupts_never_reach_a_guest() {
    let rig = Rig::alone();
    for own in [Interrupt::Kick, Interrupt::Refresh, Interrupt::Deadline, Interrupt::Console] {
        rig.machine.interrupt(0, own);
    }
    let replies = rig.play(0, 0, &[read(device::SCRATCH)]);
    assert_eq!(replies, [Reply::Access(!0)]);
    assert_eq!(rig.events(|event| matches!(event, Event::Raised { .. })), []);
}
