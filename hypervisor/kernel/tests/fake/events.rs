// SPDX-License-Identifier: MIT OR Apache-2.0
//! Events: who sees which, and what is told of those that nobody took in time;
//! and what counters say.

use crate::asking::{SECOND, about, brief, code, rows, set, with_mailbox};
use crate::rig::{Rig, channel, cpu_on, read, write};
use abi::mailbox::body::{Counters, Histogram, Log, Machine, Reason, Statistics};
use abi::mailbox::event::{Kind, KindSet};
use abi::mailbox::request::{Request, Topic};
use abi::mailbox::rights::{MACHINE, Rights};
use abi::mailbox::state::{State, Why};
use abi::mailbox::{Code, Message};
use abi::platform::channel::{DOORBELL, MASK, STATUS};
use abi::platform::{CHANNEL_REGISTERS, MAILBOX_INTID, MAILBOX_REGISTERS, RAM};
use kernel::arch::{Event, Reply, device};
use kernel::exit::{Call, Exit, PortAccess, Power};

/// Shortest time between two interrupts of the channel.
const INTERVAL: u64 = 100_000;

/// A watcher with these rights, and two joined partitions.
fn machine(rights: Rights) -> Rig {
    let mut draft = rows(&["left", "right", "watcher"]);
    with_mailbox(&mut draft, rights);
    draft.channels = vec![channel("line", [0, 1], 0, INTERVAL)];
    Rig::running(draft)
}

fn watching(members: &[usize]) -> Rights {
    Rights { observe: set(members), ..Rights::default() }
}

/// Kinds that say what a partition's life came to.
const LIFE: [Kind; 7] = [
    Kind::Started,
    Kind::Stopped,
    Kind::Crashed,
    Kind::Restarted,
    Kind::GaveUp,
    Kind::Paused,
    Kind::Resumed,
];

fn pause_and_resume(rig: &Rig, partition: usize) {
    rig.order(Message::Pause, partition);
    rig.order(Message::Resume, partition);
}

#[test]
#[cfg_attr(miri, ignore = "takes about a minute there")]
fn a_subscriber_is_told_what_it_wants_of_whom_it_may_see() {
    let rig = machine(watching(&[1]));
    let mut guest = rig.guest(2);
    pause_and_resume(&rig, 1);
    assert_eq!(guest.events(), [], "it asked for nothing");
    guest.subscribe(&[Kind::Paused, Kind::Restarted]);
    for partition in [0, 1, 2] {
        pause_and_resume(&rig, partition);
    }
    rig.power(1, 0, Power::SystemReset);
    let events = guest.events();
    let told: Vec<_> = events.iter().map(brief).collect();
    let paused = |partition| (Kind::Paused, partition, 0, 0, 0);
    assert_eq!(told, [paused(1), paused(2), (Kind::Restarted, 1, 1, 0, 0)]);
    let numbers: Vec<u64> = events.iter().map(|event| event.number.get()).collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    guest.subscribe(&[]);
    pause_and_resume(&rig, 1);
    assert_eq!(guest.events(), []);
}

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn an_event_interrupts_unless_that_is_masked_and_the_status_says_so_until_it_is_read() {
    let rig = machine(watching(&[1]));
    let mut guest = rig.guest(2);
    guest.subscribe(&[Kind::Paused]);
    let interrupt = Event::Raised { partition: 2, interrupt: MAILBOX_INTID };
    let raised = || rig.events(|event| *event == interrupt).len();
    let status = || rig.play(2, 0, &[read(MAILBOX_REGISTERS + STATUS)]);
    let _ = (raised(), status());
    pause_and_resume(&rig, 0);
    assert_eq!((raised(), status()), (0, vec![Reply::Access(0)]), "it may not see that");
    pause_and_resume(&rig, 1);
    assert_eq!((raised(), status()), (1, vec![Reply::Access(1)]));
    assert_eq!(status(), [Reply::Access(0)]);
    rig.play(2, 0, &[write(MAILBOX_REGISTERS + MASK, 0_u32)]);
    pause_and_resume(&rig, 1);
    assert_eq!((raised(), status()), (0, vec![Reply::Access(1)]));
    assert_eq!(guest.events().len(), 2);
}

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn nobody_is_rung_for_what_it_does_not_want() {
    let rig = machine(watching(&[1]));
    let mut guest = rig.guest(2);
    let is_rung = |partition| {
        rig.settle();
        let _ = rig.machine.events();
        pause_and_resume(&rig, partition);
        !rig.events(|event| *event == Event::Kicked { cpu: 2 }).is_empty()
    };
    assert!(!is_rung(1), "it listens to nothing");
    guest.subscribe(&[Kind::Crashed]);
    assert!(!is_rung(1), "it listens to something else");
    guest.subscribe(&[Kind::Paused]);
    assert!(!is_rung(0), "it may not see whom it is about");
    assert!(is_rung(1));
}

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn a_wanted_event_behind_many_unwanted_ones_is_told_without_another_one() {
    let rig = machine(watching(&[0, 1]));
    let mut guest = rig.guest(2);
    guest.subscribe(&[Kind::Crashed]);
    // Its CPU takes no turn before all have happened.
    for _ in 0..10 {
        for message in [Message::Pause, Message::Resume] {
            rig.type_request(&about(message, 1));
            while rig.console().is_empty() {
                rig.turn(0).expect("the machine is on");
            }
        }
    }
    rig.machine.play(1, 0, [Exit::Power(Power::CpuOff)]);
    for _ in 0..20 {
        rig.turn(1).expect("the machine is on");
    }
    rig.settle();
    let told: Vec<_> = guest.events().iter().map(|event| event.known()).collect();
    assert_eq!(told, [Some(Kind::Crashed)]);
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn events_that_nobody_took_in_time_are_counted() {
    let rig = machine(watching(&[1]));
    let mut guest = rig.guest(2);
    guest.subscribe(&[Kind::Paused]);
    for _ in 0..40 {
        pause_and_resume(&rig, 1);
    }
    // The ring holds 32.
    let events = guest.events();
    assert_eq!((events.len(), guest.take_lost()), (32, 8));
    assert!(events.iter().all(|event| event.lost.get() == 0));
    // A reader whose own CPU is held back misses what the log has no room for.
    rig.order(Message::Pause, 2);
    for _ in 0..50 {
        pause_and_resume(&rig, 1);
    }
    rig.order(Message::Resume, 2);
    let events = guest.events();
    // 103 happened, the log keeps the last 64: of those 31 are wanted, and the first one of all
    // about itself is lost too.
    let lost: u32 = events.iter().map(|event| event.lost.get()).sum();
    assert_eq!((events.len(), lost, guest.take_lost()), (31, 103 - 64, 0));
    assert_eq!(events[0].lost.get(), 103 - 64);
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn the_log_is_read_from_any_number_on_and_hides_what_the_asker_may_not_see() {
    let rig = machine(watching(&[1]));
    let mut guest = rig.guest(2);
    for partition in [0, 1, 0, 1] {
        pause_and_resume(&rig, partition);
    }
    let mut log = |from| guest.ask(&about(Message::Log, 0).first(from)).get::<Log>();
    let (mut from, mut seen) = (1, Vec::new());
    loop {
        let piece = log(from);
        let count = piece.count.get() as usize;
        seen.extend(
            piece.events[..count].iter().map(|event| (event.partition.get(), event.known())),
        );
        assert!(piece.events[count..].iter().all(|event| event.number.get() == 0));
        assert!(piece.next.get() > from || count == 0);
        from = piece.next.get();
        if piece.more.get() == 0 {
            break;
        }
    }
    let pauses = [Some(Kind::Paused), Some(Kind::Resumed)].map(|kind| (1, kind));
    let started = |partition| (partition, Some(Kind::Started));
    assert_eq!(seen, [&[started(1), started(2)], &pauses[..], &pauses[..]].concat());
    let beyond = log(from + 1000);
    assert_eq!((beyond.count.get(), beyond.next.get(), beyond.more.get()), (0, from + 1000, 0));
    for _ in 0..40 {
        pause_and_resume(&rig, 1);
    }
    let all: Log = rig.ask(&about(Message::Log, 0)).get();
    assert_eq!(all.lost.get(), 3 + 8 + 80 - 64);
    assert_eq!(all.events[0].number.get(), all.lost.get() + 1);
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn denied_requests_are_told_at_once_and_then_once_a_second() {
    let rig = machine(Rights::default());
    let mut guest = rig.guest(2);
    let mut denied = |times| {
        for _ in 0..times {
            assert_eq!(code(&guest.ask(&about(Message::Kill, 1))), Code::Denied);
        }
    };
    denied(4);
    rig.machine.advance(SECOND);
    denied(2);
    let kill = Message::Kill.number().into();
    assert_eq!(
        rig.story(&[Kind::Denied]),
        [(Kind::Denied, 2, kill, 1, 1), (Kind::Denied, 2, kill, 4, 1)]
    );
    let statistics: Statistics = guest.ask(&about(Message::Statistics, 2)).get();
    assert_eq!((statistics.requests.get(), statistics.denied.get()), (7, 6));
    let machine: Machine = rig.ask(&about(Message::Machine, 0)).get();
    assert_eq!(machine.denied.get(), 6);
    assert_eq!(rig.partition(1).state(), State::Running);
    // What is about the machine names nobody.
    let mut guest = machine_of_one();
    let _ = guest.1.ask(&about(Message::PowerOff, 0));
    let power_off = Message::PowerOff.number().into();
    assert_eq!(guest.0.story(&[Kind::Denied]), [(Kind::Denied, 2, power_off, 1, MACHINE as u64)]);
}

fn machine_of_one() -> (Rig, crate::asking::Guest) {
    let rig = machine(Rights::default());
    (rig, rig.guest(2))
}

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn the_other_side_of_a_channel_is_told_when_one_goes_and_when_it_is_back() {
    let rig = machine(watching(&[0, 1]));
    let mut guest = rig.guest(2);
    guest.subscribe(&[Kind::PeerGone, Kind::PeerBack]);
    rig.power(1, 0, Power::SystemReset);
    let told = |guest: &mut crate::asking::Guest| -> Vec<_> {
        guest.events().iter().map(|event| (event.known(), event.partition.get())).collect()
    };
    let both = vec![(Some(Kind::PeerGone), 0), (Some(Kind::PeerBack), 0)];
    assert_eq!(told(&mut guest), both);
    rig.power(0, 0, Power::CpuOff);
    assert_eq!(told(&mut guest), [(Some(Kind::PeerGone), 1)]);
    rig.order(Message::Start, 0);
    assert_eq!(told(&mut guest), [(Some(Kind::PeerBack), 1)]);
    let stopped = rig.machine.on(1, || kernel::boot::panicked(format_args!("a bug")));
    assert!(stopped.is_err());
    rig.settle();
    assert_eq!(told(&mut guest), [(Some(Kind::PeerGone), 0)]);
}

#[test]
fn a_bell_that_is_rung_faster_than_its_interval_is_told_once_a_second() {
    let rig = machine(watching(&[0]));
    let ring = write(CHANNEL_REGISTERS + DOORBELL, 1_u32 << 16);
    for _ in 0..2 {
        rig.machine.advance(2 * SECOND);
        rig.play(0, 0, &[ring]);
        for _ in 0..5 {
            rig.play(0, 0, &[ring; 4]);
            rig.machine.advance(INTERVAL);
            rig.settle();
        }
    }
    let told = rig.story(&[Kind::Doorbell]);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().all(|one| one.1 == 0 && one.3 >= 3 && one.4 == 0), "{told:?}");
    let statistics =
        |partition| -> Statistics { rig.ask(&about(Message::Statistics, partition)).get() };
    assert_eq!((statistics(0).rings.get(), statistics(0).rung.get()), (42, 0));
    assert_eq!((statistics(1).rings.get(), statistics(1).rung.get()), (0, 12));
}

#[test]
#[cfg_attr(miri, ignore = "what it writes takes minutes there, and less tells nothing")]
fn a_guest_that_writes_more_than_its_console_takes_is_told_of() {
    let rig = machine(Rights::default());
    rig.machine.set_room(0);
    let lines = if cfg!(miri) { 2_usize } else { 80 };
    for _ in 0..lines {
        rig.print(0, &[b'x'; 185]);
        rig.print(0, b"\n");
    }
    rig.print(0, &[b'y'; 400]);
    rig.machine.set_room(usize::MAX);
    for _ in 0..10 {
        rig.machine.advance(SECOND);
        rig.settle();
    }
    let _ = rig.console();
    let dropped = rig.ask(&about(Message::Statistics, 0)).get::<Statistics>().dropped.get();
    assert!(dropped > 0);
    let told = rig.story(&[Kind::ConsoleFlood]);
    assert!(!told.is_empty() && told.iter().all(|one| one.1 == 0), "{told:?}");
    assert_eq!(told.iter().map(|one| one.3).sum::<u64>(), dropped);
}

fn vcpu<T: abi::mailbox::answer::Body>(rig: &Rig, vcpu: u16, topic: Topic) -> T {
    let request = Request { vcpu: vcpu.into(), ..about(Message::Vcpu, 0) };
    let answer = rig.ask_quietly(&request.first(topic.number().into()));
    assert_eq!(answer.outcome(), Ok(()));
    answer.get()
}

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn exits_are_counted_by_their_reason_and_a_restart_begins_at_zero() {
    let rig = Rig::pair();
    let before: Counters = vcpu(&rig, 1, Topic::Counters);
    let port = PortAccess {
        port: device::PORT,
        size: devices::Size::Half,
        direction: kernel::exit::Direction::Read,
    };
    let call = Exit::Call(Call { function: 1, argument: 2 });
    let mut exits = vec![read(device::SCRATCH); 5];
    exits.extend([Exit::Port(port), call, call, Exit::Done]);
    rig.play(0, 1, &exits);
    let after: Counters = vcpu(&rig, 1, Topic::Counters);
    let more = |reason: Reason| {
        let at = usize::from(reason.number());
        after.exits[at].get() - before.exits[at].get()
    };
    assert_eq!([Reason::Memory, Reason::Port, Reason::Call, Reason::Other].map(more), [5, 1, 2, 1]);
    assert_eq!([Reason::Register, Reason::Power, Reason::Fault].map(more), [0; 3]);
    let taken: Histogram = vcpu(&rig, 1, Topic::ExitTime);
    let all: u64 = after.exits.iter().map(|count| count.get()).sum();
    assert_eq!(taken.places.iter().map(|count| count.get()).sum::<u64>(), all);
    assert_eq!(taken.first_ps.get(), 8000);
    let late: Histogram = vcpu(&rig, 1, Topic::Lateness);
    assert_eq!(late.places.iter().map(|count| count.get()).sum::<u64>(), 0);
    // While it is paused nothing is added.
    rig.order(Message::Pause, 0);
    let sums: Statistics = rig.ask_quietly(&about(Message::Statistics, 0)).get();
    let each = [0, 1, 2].map(|number| vcpu::<Counters>(&rig, number, Topic::Counters));
    let exits = each.iter().flat_map(|counters| counters.exits).map(|count| count.get());
    assert_eq!(sums.exits.get(), exits.sum::<u64>());

    rig.order(Message::Resume, 0);
    rig.power(0, 0, Power::SystemReset);
    let sums: Statistics = rig.ask_quietly(&about(Message::Statistics, 0)).get();
    assert_eq!((sums.restarts.get(), sums.cpu_ns.get()), (1, 0));
    let fresh: Counters = vcpu(&rig, 1, Topic::Counters);
    assert_eq!((fresh.exits, fresh.cpu_ns.get(), fresh.place.get()), (Default::default(), 0, 1));
}

#[test]
fn a_vcpus_time_is_the_time_that_it_was_on() {
    let rig = Rig::pair();
    let [first, second] = [1, 2].map(|number| {
        let counters: Counters = vcpu(&rig, number, Topic::Counters);
        assert_eq!(counters.place.get(), 1 << 32 | u64::from(number));
        counters.cpu_ns.get()
    });
    rig.machine.advance(SECOND);
    rig.power(0, 2, Power::CpuOff);
    rig.machine.advance(SECOND);
    let counters = |number| vcpu::<Counters>(&rig, number, Topic::Counters);
    assert_eq!(counters(1).cpu_ns.get() - first, 2 * SECOND);
    assert_eq!(counters(2).cpu_ns.get() - second, SECOND);
    assert_eq!(counters(2).place.get(), 2);
    rig.power(0, 0, cpu_on(2, RAM, 0));
    rig.machine.advance(SECOND);
    assert_eq!(counters(2).cpu_ns.get() - second, 2 * SECOND);
    let sums: Statistics = rig.ask_quietly(&about(Message::Statistics, 0)).get();
    let each: u64 = (0..3).map(|number| counters(number).cpu_ns.get()).sum();
    assert_eq!((sums.cpu_ns.get(), sums.time_ns), (each, counters(0).time_ns));
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn to_look_at_a_partition_changes_nothing_of_it() {
    let rig = Rig::pair();
    rig.print(1, b"line\n");
    let _ = (rig.console(), rig.machine.events());
    let requests = [
        about(Message::Partition, 1),
        about(Message::Statistics, 1),
        about(Message::Vcpu, 1),
        about(Message::Vcpu, 1).first(1),
        about(Message::Vcpu, 1).first(2),
        about(Message::ConsoleRead, 1),
        about(Message::Fault, 1),
        about(Message::List, 1),
        about(Message::Log, 1),
    ];
    let bodies = || -> Vec<_> {
        // The CPU of whom is looked at takes no turn.
        requests.iter().map(|request| rig.ask_quietly(request)).collect()
    };
    let sleeps = rig.machine.sleeps(3);
    let first = bodies();
    for _ in 0..5 {
        assert_eq!(bodies(), first);
    }
    assert_eq!(rig.machine.sleeps(3), sleeps);
    assert_eq!(rig.events(|event| *event == Event::Kicked { cpu: 3 }), []);
    assert!(rig.machine.is_waiting(3));
    assert_eq!(rig.machine.replies(1, 0), []);
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn the_story_of_a_life_is_told_to_its_watcher_as_to_the_host() {
    let rig = machine(Rights::all());
    let mut guest = rig.guest(2);
    guest.subscribe(&LIFE);
    let from = rig.story(&LIFE).len();
    assert_eq!(guest.ask(&about(Message::Pause, 0)).outcome(), Ok(()));
    assert_eq!(guest.ask(&about(Message::Resume, 0)).outcome(), Ok(()));
    assert_eq!(guest.ask(&about(Message::Restart, 0)).outcome(), Ok(()));
    assert_eq!(guest.ask(&about(Message::Kill, 0)).outcome(), Ok(()));
    assert_eq!(guest.ask(&about(Message::Start, 0)).outcome(), Ok(()));
    let told: Vec<_> = guest.events().iter().map(brief).collect();
    assert_eq!(told, rig.story(&LIFE)[from..]);
    let killed = Why::Killed.number().into();
    assert_eq!(
        told,
        [
            (Kind::Paused, 0, 0, 0, 0),
            (Kind::Resumed, 0, 0, 0, 0),
            (Kind::Restarted, 0, 1, 0, 0),
            (Kind::Stopped, 0, killed, 0, 0),
            (Kind::Restarted, 0, 2, 0, 0),
        ]
    );
    assert!(KindSet::ALL.has(Kind::Panic));
}
