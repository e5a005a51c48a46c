// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two partitions and the host steer the same partition at once, each from a
//! thread that plays its CPU: every request has one answer, one of those that
//! cannot both happen wins, and the machine still counts right.

use crate::asking::{SECOND, about, answers, code, rows, with_mailbox};
use crate::rig::{Rig, SMALL, add, read};
use abi::mailbox::body::Changed;
use abi::mailbox::request::Request;
use abi::mailbox::rights::Rights;
use abi::mailbox::state::{State, Why};
use abi::mailbox::{Code, Message};
use core::sync::atomic::{AtomicUsize, Ordering};
use kernel::arch::{Reply, device};
use kernel::exit::Power;

/// Times that threads race.
const RACES: usize = if cfg!(miri) { 2 } else { 60 };
/// Requests of each asker in a race.
const EACH: usize = if cfg!(miri) { 2 } else { 8 };
/// The row of whom they steer, which has two vCPUs.
const TARGET: usize = 2;

/// Two partitions with all rights, and one with a policy.
fn rig() -> Rig {
    let mut draft = rows(&["left"]);
    with_mailbox(&mut draft, Rights::all());
    add(&mut draft, "right", &[1], SMALL);
    with_mailbox(&mut draft, Rights::all());
    add(&mut draft, "target", &[2, 3], SMALL);
    let record = draft.partitions.last_mut().expect("one was added");
    record.restart_on = (1 << Why::Crash.number()).into();
    record.restart_max = 16.into();
    record.restart_within_ns = SECOND.into();
    Rig::running(draft)
}

/// What an asker asks next, from its number and the round's.
fn next(asker: usize, round: usize, place: usize) -> Request {
    let messages = [
        Message::Kill,
        Message::Start,
        Message::Pause,
        Message::Restart,
        Message::Resume,
        Message::Stop,
        Message::Start,
        Message::Restart,
        Message::Kill,
    ];
    about(messages[(asker * 5 + round * 3 + place * 2) % messages.len()], TARGET)
}

/// The answer says what can be said.
fn assert_plain(answer: &abi::mailbox::answer::Answer) {
    match code(answer) {
        Code::Ok => {
            let state = answer.get::<Changed>().state.get();
            assert!(State::from_number(state).is_some(), "{answer:?}");
        }
        Code::State | Code::Busy => {
            let state = u16::try_from(answer.detail.get()).ok().and_then(State::from_number);
            let passing = state.expect("a state").is_passing();
            assert_eq!(passing, code(answer) == Code::Busy, "{answer:?}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there; abi's own tests run the same code under Miri")]
fn partitions_and_the_host_on_threads_of_their_own_steer_one_partition() {
    for round in 0..RACES {
        let rig = rig();
        let done = AtomicUsize::new(0);
        let asked = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let (done, asked) = (&done, &asked);
            for asker in 0..2 {
                scope.spawn(move || {
                    let mut guest = rig.guest(asker);
                    let mut place = 0;
                    // CPU 0 answers the host, too.
                    while done.load(Ordering::Acquire) < 3 {
                        if place < EACH {
                            let number = guest.post(&next(asker, round, place));
                            let answer = loop {
                                rig.turn(asker).expect("the machine is on");
                                if let Some(answer) = guest.answer() {
                                    break answer;
                                }
                            };
                            assert_eq!(answer.number.get(), number);
                            assert_eq!(guest.answer(), None);
                            assert_plain(&answer);
                            place += 1;
                            if place == EACH {
                                done.fetch_add(1, Ordering::AcqRel);
                            }
                        } else {
                            rig.turn(asker).expect("the machine is on");
                            std::thread::yield_now();
                        }
                    }
                });
            }
            for cpu in [2, 3] {
                scope.spawn(move || {
                    while done.load(Ordering::Acquire) < 3 {
                        rig.turn(cpu).expect("the machine is on");
                        std::thread::yield_now();
                    }
                });
            }
            scope.spawn(move || {
                let mut console = String::new();
                for place in 0..EACH {
                    rig.type_request(&next(2, round, place));
                    asked.fetch_add(1, Ordering::Relaxed);
                    while answers_so_far(&console) <= place {
                        console += &rig.console();
                        std::thread::yield_now();
                    }
                }
                answers(&whole_lines(&console)).iter().for_each(assert_plain);
                done.fetch_add(1, Ordering::AcqRel);
            });
        });
        rig.settle();
        let target = rig.partition(TARGET);
        assert!(!target.state().is_passing(), "{:?}", target.state());
        come_to_the_end(&rig);
    }
}

/// The lines of a console that are whole.
fn whole_lines(console: &str) -> String {
    console.split_inclusive('\n').filter(|line| line.ends_with('\n')).collect()
}

fn answers_so_far(console: &str) -> usize {
    answers(&whole_lines(console)).len()
}

/// The target can still be brought to run, and with the last partition the machine ends: nobody
/// was counted twice, or not at all.
fn come_to_the_end(rig: &Rig) {
    rig.machine.advance(10 * SECOND);
    rig.settle();
    match rig.partition(TARGET).state() {
        State::Running => {}
        State::Paused => rig.order(Message::Resume, TARGET),
        _ => rig.order(Message::Start, TARGET),
    }
    assert_eq!(rig.partition(TARGET).state(), State::Running);
    assert_eq!(rig.play(TARGET, 0, &[read(device::SCRATCH)]).last(), Some(&Reply::Access(!0)));
    assert_eq!(rig.machine.shared.alive.load(Ordering::Relaxed), 3);
    for partition in [TARGET, 1] {
        rig.power(partition, 0, Power::SystemOff);
        assert!(!rig.machine.is_off());
    }
    rig.power(0, 0, Power::SystemOff);
    assert!(rig.machine.is_off());
    assert!(rig.console().ends_with("[bulkhead] end: ok\r\n"));
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there; abi's own tests run the same code under Miri")]
fn of_three_that_ask_for_what_can_happen_once_one_wins() {
    let steps = [
        (Message::Kill, None, Code::Busy),
        (Message::Restart, None, Code::Busy),
        (Message::Pause, None, Code::State),
        (Message::Resume, Some(Message::Pause), Code::State),
        (Message::Start, Some(Message::Kill), Code::Busy),
    ];
    for round in 0..RACES {
        let (message, before, refusal) = steps[round % steps.len()];
        let rig = rig();
        if let Some(message) = before {
            rig.order(message, TARGET);
        }
        // The target's own CPUs take no turn, so that nothing passes.
        rig.type_request(&about(message, TARGET));
        let mut guests = [0, 1].map(|asker| rig.guest(asker));
        guests.iter_mut().for_each(|guest| drop(guest.post(&about(message, TARGET)).to_string()));
        std::thread::scope(|scope| {
            for cpu in 0..2 {
                scope.spawn(move || {
                    for _ in 0..30 {
                        rig.turn(cpu).expect("the machine is on");
                    }
                });
            }
        });
        let console = rig.console();
        let mut codes: Vec<Code> = answers(&console).iter().map(code).collect();
        codes.extend(guests.iter_mut().map(|guest| code(&guest.answer().expect("an answer"))));
        codes.sort();
        assert_eq!(codes, [Code::Ok, refusal, refusal], "{message:?}");
        rig.settle();
        come_to_the_end(&rig);
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there; abi's own tests run the same code under Miri")]
fn a_crash_at_the_moment_of_a_request_is_one_or_the_other() {
    for round in 0..RACES {
        let message = [Message::Kill, Message::Restart, Message::Pause, Message::Stop][round % 4];
        let rig = rig();
        let target = rig.partition(TARGET);
        let (ended, asked) = std::thread::scope(|scope| {
            let crash = scope.spawn(move || {
                rig.machine.enter(3);
                target.end(kernel::partition::End::Fault(kernel::fault::Why::SystemError))
            });
            let ask = scope.spawn(move || {
                rig.machine.enter(0);
                let step = abi::mailbox::state::Step::of(message).expect("a step");
                if message == Message::Stop { target.ask_stop(1 << 40) } else { target.ask(step) }
            });
            (crash.join().expect("no panic"), ask.join().expect("no panic"))
        });
        let ends = matches!(message, Message::Kill | Message::Restart);
        assert!(ended || asked == Ok(State::Ending), "{message:?}");
        assert!(!(ends && ended && asked.is_ok()), "both ended it");
        rig.settle();
        come_to_the_end(&rig);
    }
}
