// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who may do what to whom and when: every message, from every set of rights, in every state.

use crate::machine::{Machine, PARTITIONS, host, humble, set};
use abi::mailbox::body::{Changed, Hello};
use abi::mailbox::request::{DATA_LEN, LONGEST_NS, Request};
use abi::mailbox::rights::{About, Asker, MACHINE, Right, Rights};
use abi::mailbox::server::{Backend, possible};
use abi::mailbox::state::{State, Step};
use abi::mailbox::{Code, Failure, Message, OWN};
use abi::records::{U16, U64};

/// A request with all its fields in bounds.
fn good(message: Message, partition: u16) -> Request {
    let request = Request::new(message, partition);
    match message {
        Message::Hello => request.first(1),
        Message::WatchdogArm => request.first(2_000_000_000),
        _ => request,
    }
}

/// Rights over partition 1 and the machine, one bit of `bits` for each right.
fn rights(bits: u16) -> Rights {
    let of = |right: Right| if right.bits() & bits != 0 { set(&[1, MACHINE]) } else { set(&[]) };
    Rights { observe: of(Right::OBSERVE), console: of(Right::CONSOLE), control: of(Right::CONTROL) }
}

/// The table of the specification, written down once more.
fn is_allowed(message: Message, bits: u16, own: bool) -> bool {
    use Message as M;
    let [observe, console, control] =
        [Right::OBSERVE, Right::CONSOLE, Right::CONTROL].map(|right| right.bits() & bits != 0);
    match message {
        M::Hello | M::List | M::Log | M::Subscribe => true,
        M::Machine => observe,
        M::Partition | M::Statistics | M::Vcpu | M::Fault => observe || own,
        M::ConsoleRead | M::ConsoleWrite => console,
        M::Start | M::Pause | M::Resume | M::Inject | M::Reboot | M::PowerOff => control,
        M::Stop | M::Kill | M::Restart => control || own,
        M::WatchdogArm | M::WatchdogKick | M::WatchdogDisarm => control || own,
    }
}

#[test]
fn every_message_from_every_rights_set_in_every_state_about_oneself_and_others() {
    for message in Message::ALL {
        for bits in 0..8 {
            for state in State::ALL {
                for own in [true, false] {
                    let asker = Asker { own: Some(if own { 1 } else { 0 }), rights: rights(bits) };
                    let mut machine = Machine::new();
                    machine.states[1] = *state;
                    let request = good(*message, if own { OWN } else { 1 });
                    let answer = machine.ask(&asker, &request);
                    let about_it = message.need().about == About::Partition;
                    let allowed = is_allowed(*message, bits, own);
                    let code = Code::from_number(answer.code.get()).unwrap();
                    let expected = if !allowed {
                        Code::Denied
                    } else if about_it && let Err(failure) = possible(*message, *state) {
                        failure.code
                    } else if *message == Message::Inject {
                        Code::Unsupported
                    } else {
                        Code::Ok
                    };
                    assert_eq!(code, expected, "{message:?} {bits:#b} {state:?} own {own}");
                    assert_eq!(machine.denied, u64::from(!allowed));
                    assert_eq!(answer.number, request.number);
                    assert_eq!(answer.message, request.message);
                    // Nothing happened to anybody but by a message that was carried out.
                    let changed = machine.states[1] != *state;
                    assert!(!changed || code == Code::Ok && Step::of(*message).is_some());
                    let others = machine.states.iter().enumerate().filter(|(row, _)| *row != 1);
                    assert!(others.into_iter().all(|(_, state)| *state == State::Running));
                }
            }
        }
    }
}

#[test]
fn a_denial_names_the_right_that_is_missing() {
    let mut machine = Machine::new();
    let missing = [
        (Message::Statistics, Right::OBSERVE),
        (Message::ConsoleRead, Right::CONSOLE),
        (Message::Pause, Right::CONTROL),
        (Message::PowerOff, Right::CONTROL),
    ];
    for (message, right) in missing {
        let answer = machine.ask(&humble(0), &good(message, 1));
        let denial = Failure::with(Code::Denied, right.bits().into());
        assert_eq!(answer.outcome(), Err(denial), "{message:?}");
    }
    assert!(machine.done.is_empty());
}

#[test]
fn the_host_has_no_partition_of_its_own() {
    let mut machine = Machine::new();
    let answer = machine.ask(&host(), &good(Message::Restart, OWN));
    assert_eq!(answer.outcome(), Err(Failure::new(Code::NoPartition)));
    let hello = machine.ask(&host(), &Request::hello()).get::<Hello>();
    assert_eq!((hello.own.get(), usize::from(hello.partitions.get())), (OWN, PARTITIONS));
}

#[test]
fn what_does_not_exist_is_told_so() {
    let mut machine = Machine::new();
    let rows = PARTITIONS as u16;
    for row in [rows, 255, 256, OWN - 1] {
        let answer = machine.ask(&host(), &good(Message::Kill, row));
        assert_eq!(answer.outcome(), Err(Failure::new(Code::NoPartition)), "{row}");
    }
    for vcpu in [2, u16::MAX] {
        let request = Request { vcpu: U16::new(vcpu), ..good(Message::Vcpu, 1) };
        let answer = machine.ask(&host(), &request);
        assert_eq!(answer.outcome(), Err(Failure::with(Code::NoVcpu, 2)), "{vcpu}");
    }
    for message in [0, Message::PowerOff.number() + 1, u16::MAX] {
        let request = Request { message: U16::new(message), ..Request::hello() };
        let answer = machine.ask(&host(), &request);
        assert_eq!(answer.outcome(), Err(Failure::new(Code::Unknown)), "{message}");
        assert_eq!(answer.message.get(), message);
    }
    assert!(machine.done.is_empty());
}

#[test]
fn fields_out_of_bounds_are_named_by_their_offset() {
    let mut machine = Machine::new();
    let first = |message, first| good(message, 1).first(first);
    let second = Request { second: U64::new(3), ..good(Message::Fault, 1) };
    let bad = [
        (first(Message::List, 1 << 16), 16),
        (first(Message::Vcpu, 3), 16),
        (first(Message::Stop, LONGEST_NS + 1), 16),
        (first(Message::ConsoleWrite, DATA_LEN as u64 + 1), 16),
        (first(Message::WatchdogArm, 999_999), 16),
        (first(Message::WatchdogArm, u64::MAX), 16),
        (first(Message::Fault, 1 << 32), 16),
        (second, 24),
    ];
    for (request, offset) in bad {
        let failure = Failure::with(Code::Argument, offset);
        assert_eq!(machine.ask(&host(), &request).outcome(), Err(failure), "{request:?}");
    }
    for length in [0, 15, 65, u16::MAX] {
        let request = Request { length: U16::new(length), ..good(Message::Kill, 1) };
        let answer = machine.ask(&host(), &request);
        assert_eq!(answer.outcome(), Err(Failure::new(Code::Length)), "{length}");
    }
    assert!(machine.done.is_empty());
}

#[test]
fn the_answer_to_a_change_tells_the_new_state() {
    let mut machine = Machine::new();
    let answer = machine.ask(&host(), &good(Message::Pause, 2));
    assert_eq!(answer.outcome(), Ok(()));
    assert_eq!(answer.get::<Changed>().state.get(), State::Paused.number());
    assert_eq!(machine.state(2), State::Paused);
    let answer = machine.ask(&host(), &good(Message::Pause, 2));
    let failure = Failure::with(Code::State, State::Paused.number().into());
    assert_eq!(answer.outcome(), Err(failure));
}
