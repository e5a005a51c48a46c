// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every request in every state of a partition's life, from every set of rights,
//! about itself, another partition and the machine: one answer, the right one,
//! the right state after it, and what was denied is counted.

use crate::asking::{SECOND, about, answers, code, flag, last, set, with_mailbox};
use crate::rig::{Rig, SMALL, add, draft};
use abi::mailbox::body::{Changed, Hello, List, Partition, Statistics};
use abi::mailbox::request::Request;
use abi::mailbox::rights::{About, MACHINE, Right, Rights};
use abi::mailbox::server::possible;
use abi::mailbox::state::{State, Step, Why};
use abi::mailbox::{Code, Features, Message, OWN};
use abi::records::PartitionFlags;
use kernel::arch::Stopped;
use kernel::exit::Power;

/// Sets of rights: none, each alone, all.
const SETS: [u16; 5] = [0, 1, 2, 4, 7];
/// The asker's row and CPU.
const ASKER: usize = 0;
/// The row of whom is asked about; its vCPUs are on CPUs 1 and 2.
const TARGET: usize = 1;

/// Takes one of so many where each takes long.
fn some<T>(all: impl IntoIterator<Item = T>) -> impl Iterator<Item = T> {
    all.into_iter().step_by(if cfg!(miri) { 97 } else { 1 })
}

/// A request with all its fields in bounds.
fn good(message: Message, partition: u16) -> Request {
    let request = Request::new(message, partition);
    match message {
        Message::Hello => request.first(1),
        Message::Stop => request.first(5 * SECOND),
        Message::WatchdogArm => request.first(2 * SECOND),
        _ => request,
    }
}

/// Rights over members, one bit of `bits` for each right.
fn rights(bits: u16, members: &[usize]) -> Rights {
    let of = |right: Right| if right.bits() & bits != 0 { set(members) } else { set(&[]) };
    Rights { observe: of(Right::OBSERVE), console: of(Right::CONSOLE), control: of(Right::CONTROL) }
}

/// The asker, with these rights, and a target that waits by hand if it is to.
fn machine(rights: Rights, waits: bool) -> Rig {
    let mut draft = draft();
    add(&mut draft, "asker", &[0], SMALL);
    with_mailbox(&mut draft, rights);
    add(&mut draft, "target", &[1, 2], SMALL);
    with_mailbox(&mut draft, Rights::default());
    let record = last(&mut draft);
    record.restart_on = (1 << Why::Crash.number()).into();
    record.restart_max = 1.into();
    record.restart_within_ns = (60 * SECOND).into();
    record.restart_backoff_ns = (10 * SECOND).into();
    if waits {
        flag(&mut draft, PartitionFlags::MANUAL);
    }
    Rig::running(draft)
}

/// A machine whose target is in this state, and stays there while only CPU 0 takes turns.
fn in_state(state: State, rights: Rights) -> Rig {
    let rig = machine(rights, matches!(state, State::Waiting | State::Starting));
    let target = rig.partition(TARGET);
    let on = |work: &dyn Fn()| rig.machine.on(0, work).expect("no unwinding");
    let ask = |step: Step| on(&|| assert!(target.ask(step).is_ok()));
    let crash = || {
        rig.power(TARGET, 0, Power::CpuOff);
    };
    match state {
        State::Waiting | State::Running => {}
        State::Starting => ask(Step::Start),
        State::Paused => {
            ask(Step::Pause);
            rig.settle();
        }
        State::Stopping => {
            on(&|| assert!(target.ask_stop(1 << 40).is_ok()));
            rig.settle();
        }
        State::Ending => ask(Step::Kill),
        State::Wiping => {
            ask(Step::Kill);
            rig.turn(2).expect("the machine is on");
            rig.turn(1).expect("the machine is on");
        }
        State::Backoff => crash(),
        State::Off => {
            rig.power(TARGET, 0, Power::SystemOff);
        }
        State::Failed => {
            crash();
            rig.machine.advance(10 * SECOND);
            rig.settle();
            crash();
        }
    }
    assert_eq!(target.state(), state);
    let _ = (rig.console(), rig.machine.events());
    rig
}

/// As the table says that abi's tests compare with the document.
fn is_allowed(message: Message, bits: u16, own: bool) -> bool {
    let need = message.need();
    need.right.is_empty() || need.right.bits() & bits != 0 || own && need.own
}

/// What comes of a request that is understood, in a state.
fn expected(message: Message, allowed: bool, state: State) -> Code {
    let about_it = message.need().about == About::Partition;
    if !allowed {
        Code::Denied
    } else if about_it && let Err(failure) = possible(message, state) {
        failure.code
    } else if message == Message::Fault && !matches!(state, State::Backoff | State::Failed) {
        // In all other states it has not failed yet.
        Code::Nothing
    } else {
        Code::Ok
    }
}

/// Turns of some CPUs, until they come to rest; how the machine stopped, if it did.
fn turns(rig: &Rig, cpus: &[usize]) -> Option<Stopped> {
    for _ in 0..50 {
        for cpu in cpus {
            if let Err(stopped) = rig.turn(*cpu) {
                return Some(stopped);
            }
        }
    }
    None
}

/// Whether the machine ended as this message says.
fn ends(message: Message, stopped: Option<Stopped>) -> bool {
    match message {
        Message::Reboot => stopped == Some(Stopped::Reset),
        Message::PowerOff => stopped == Some(Stopped::Machine),
        _ => false,
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there; abi's own tests run the same code under Miri")]
fn every_request_about_another_partition_in_every_state_from_every_set_of_rights() {
    let all = SETS.iter().flat_map(|bits| {
        let states = State::ALL.iter();
        states.flat_map(move |state| Message::ALL.iter().map(move |one| (*one, *bits, *state)))
    });
    for (message, bits, state) in some(all) {
        let case = format!("{message:?} with {bits:#b} in {state:?}");
        let rig = in_state(state, rights(bits, &[TARGET, MACHINE]));
        let mut guest = rig.guest(ASKER);
        let number = guest.post(&good(message, TARGET as u16));
        let stopped = turns(&rig, &[0]);
        let expected = expected(message, is_allowed(message, bits, false), state);
        let of_machine = matches!(message, Message::Reboot | Message::PowerOff);
        if of_machine && expected == Code::Ok {
            assert!(ends(message, stopped), "{case}");
            continue;
        }
        assert_eq!(stopped, None, "{case}");
        let answer = guest.answer().unwrap_or_else(|| panic!("{case}: no answer"));
        assert_eq!(guest.answer(), None, "{case}: two answers");
        assert_eq!((answer.number.get(), answer.known()), (number, Some(message)), "{case}");
        assert_eq!(code(&answer), expected, "{case}");
        if matches!(expected, Code::State | Code::Busy) {
            assert_eq!(answer.detail.get(), state.number().into(), "{case}");
        }
        let done = expected == Code::Ok;
        let after = Step::of(message).filter(|_| done).and_then(|step| state.after(step));
        assert_eq!(rig.partition(TARGET).state(), after.unwrap_or(state), "{case}");
        if after.is_some() {
            let told = answer.get::<Changed>().state.get();
            assert_eq!(Some(told), after.map(State::number), "{case}");
        }
        // Denied ones are counted, at the asker and in the machine.
        let denied = u64::from(expected == Code::Denied);
        let own = guest.ask(&good(Message::Partition, OWN)).get::<Partition>();
        assert_eq!(own.denied.get(), denied, "{case}");
        let machine = rig.ask(&about(Message::Machine, 0));
        assert_eq!(machine.get::<abi::mailbox::body::Machine>().denied.get(), denied, "{case}");
        assert_eq!(rig.partition(ASKER).state(), State::Running, "{case}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there; abi's own tests run the same code under Miri")]
fn every_request_about_oneself_from_every_set_of_rights() {
    let states = [State::Running, State::Stopping];
    let all = SETS.iter().flat_map(|bits| {
        let messages = Message::ALL.iter();
        messages.flat_map(move |one| states.map(|state| (*one, *bits, state)))
    });
    for (message, bits, state) in some(all) {
        let case = format!("{message:?} with {bits:#b} in {state:?}");
        let rig = machine(rights(bits, &[ASKER, MACHINE]), false);
        if state == State::Stopping {
            let stop = || rig.partition(ASKER).ask_stop(1 << 40);
            rig.machine.on(0, stop).expect("no unwinding").expect("it runs");
            rig.settle();
        }
        let mut guest = rig.guest(ASKER);
        guest.post(&good(message, OWN));
        let mut after = state;
        let mut stopped = None;
        // Until the answer is there: then the change has begun.
        while stopped.is_none()
            && let None = rig.guest_answers(ASKER)
        {
            stopped = rig.turn(0).err();
            after = rig.partition(ASKER).state();
        }
        let expected = expected(message, is_allowed(message, bits, true), state);
        if matches!(message, Message::Reboot | Message::PowerOff) && expected == Code::Ok {
            assert!(ends(message, stopped), "{case}");
            assert_eq!(guest.answer().map(|answer| code(&answer)), Some(Code::Ok), "{case}");
            continue;
        }
        let answer = guest.answer().unwrap_or_else(|| panic!("{case}: no answer"));
        assert_eq!(guest.answer(), None, "{case}: two answers");
        assert_eq!(code(&answer), expected, "{case}");
        let done = expected == Code::Ok;
        let led = Step::of(message).filter(|_| done).and_then(|step| state.after(step));
        assert_eq!(after, led.unwrap_or(state), "{case}");
        rig.settle();
        assert!(!rig.machine.is_off(), "{case}");
    }
}

impl Rig {
    /// Answers written so far to a partition, if any.
    fn guest_answers(&self, partition: usize) -> Option<u32> {
        use abi::mailbox::ring::{ANSWERS_WRITTEN, Words};
        Some(self.page(partition).count(ANSWERS_WRITTEN)).filter(|count| *count != 0)
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there; abi's own tests run the same code under Miri")]
fn every_request_of_the_host_about_a_partition_in_every_state() {
    let all = State::ALL
        .iter()
        .flat_map(|state| Message::ALL.iter().map(move |message| (*message, *state)));
    for (message, state) in some(all) {
        let case = format!("{message:?} in {state:?}");
        let rig = in_state(state, Rights::default());
        rig.type_request(&Request { number: 77.into(), ..good(message, TARGET as u16) });
        let stopped = turns(&rig, &[0]);
        let console = rig.console();
        if matches!(message, Message::Reboot | Message::PowerOff) {
            assert!(ends(message, stopped), "{case}");
            let last = if message == Message::Reboot { "reset: a request" } else { "end: ok" };
            assert!(console.ends_with(&format!("[bulkhead] {last}\r\n")), "{console}");
            let answered: Vec<_> = answers(&console).iter().map(code).collect();
            assert_eq!(answered, [Code::Ok], "{case}");
            continue;
        }
        let answers = answers(&console);
        let [answer] = &answers[..] else { panic!("{case}: {console}") };
        assert_eq!((answer.number.get(), answer.known()), (77, Some(message)), "{case}");
        let mut expected = expected(message, true, state);
        if message == Message::Subscribe {
            expected = Code::Unsupported;
        }
        assert_eq!(code(answer), expected, "{case}");
        let done = expected == Code::Ok;
        let led = Step::of(message).filter(|_| done).and_then(|step| state.after(step));
        assert_eq!(rig.partition(TARGET).state(), led.unwrap_or(state), "{case}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn what_is_wrong_with_a_request_is_told_before_whether_it_is_allowed() {
    let rig = machine(Rights::default(), false);
    let mut guest = rig.guest(ASKER);
    let kill = about(Message::Kill, TARGET);
    let vcpu = Request { vcpu: 2.into(), ..about(Message::Vcpu, ASKER) };
    let asked = [
        (Request { message: 99.into(), ..kill }, Code::Unknown),
        (Request::hello().first(0), Code::Version),
        (about(Message::WatchdogArm, TARGET), Code::Argument),
        (about(Message::Kill, 2), Code::NoPartition),
        (kill, Code::Denied),
        (vcpu, Code::NoVcpu),
    ];
    for (request, expected) in asked {
        assert_eq!(code(&guest.ask(&request)), expected, "{request:?}");
    }
    assert_eq!(rig.partition(TARGET).state(), State::Running);
}

#[test]
#[cfg_attr(miri, ignore = "takes about a minute there")]
fn sixteen_requests_at_once_are_answered_in_their_order() {
    let rig = machine(rights(7, &[TARGET, MACHINE]), false);
    let mut guest = rig.guest(ASKER);
    for round in 0..3 {
        let numbers: Vec<u32> = (0..16_usize)
            .map(|n| guest.post(&about([Message::Pause, Message::Resume][n % 2], TARGET)))
            .collect();
        rig.settle();
        for number in numbers {
            let answer = guest.answer().expect("all are answered");
            assert_eq!((answer.number.get(), answer.outcome()), (number, Ok(())), "{round}");
        }
        assert_eq!(guest.answer(), None);
    }
    assert_eq!(rig.partition(TARGET).state(), State::Running);
}

#[test]
fn hello_says_who_asks_and_what_there_is() {
    let rig = machine(rights(1, &[MACHINE]), false);
    let hello: Hello = rig.guest(ASKER).ask(&Request::hello()).get();
    assert_eq!((hello.version.get(), hello.own.get(), hello.partitions.get()), (1, 0, 2));
    assert_eq!(hello.features.get(), Features::all().bits());
    assert_eq!(hello.last_message.get(), Message::PowerOff.number());
    assert_eq!((hello.rights.get(), hello.boot.get()), (1, 1));
    let hello: Hello = rig.ask(&Request::hello()).get();
    assert_eq!((hello.own.get(), hello.rights.get()), (OWN, 7));
}

#[test]
fn a_list_shows_names_to_everybody_and_states_to_those_who_may_see_them() {
    let rig = machine(Rights::default(), false);
    let list: List = rig.guest(ASKER).ask(&about(Message::List, 0)).get();
    assert_eq!((list.count.get(), list.total.get(), list.next.get()), (2, 2, 0));
    let seen = |list: &List| list.rows.map(|row| (row.name[0], row.state.get(), row.vcpus.get()));
    assert_eq!(seen(&list)[..3], [(b'a', State::Running.number(), 1), (b't', 0, 0), (0, 0, 0)]);
    let list: List = rig.ask(&about(Message::List, 0).first(1)).get();
    assert_eq!((list.count.get(), list.total.get(), list.next.get()), (1, 2, 0));
    assert_eq!(seen(&list)[0], (b't', State::Running.number(), 2));
    let list: List = rig.ask(&about(Message::List, 0).first(0xffff)).get();
    assert_eq!((list.count.get(), list.total.get(), list.next.get()), (0, 2, 0));
}

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn a_restart_begins_the_mailbox_anew_and_forgets_what_was_asked() {
    let rig = machine(rights(7, &[ASKER, TARGET, MACHINE]), false);
    let mut guest = rig.guest(ASKER);
    guest.post(&about(Message::Restart, ASKER));
    guest.post(&about(Message::Kill, TARGET));
    rig.settle();
    // The second one was in a page that is no more.
    assert_eq!(rig.partition(TARGET).state(), State::Running);
    assert_eq!(rig.partition(ASKER).life().restarts(), 1);
    let mut guest = rig.guest(ASKER);
    let statistics: Statistics = guest.ask(&about(Message::Statistics, ASKER)).get();
    assert_eq!(statistics.requests.get(), 2);
    assert_eq!(guest.events(), []);
}
