// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the manifest says of a partition's life, and what requests make of it,
//! from end to end.

use crate::asking::{SECOND, about, flag, rows, set};
use crate::rig::{Rig, read, write};
use abi::draft::Draft;
use abi::mailbox::body::Partition;
use abi::mailbox::event::Kind;
use abi::mailbox::state::{State, Why};
use abi::mailbox::{Code, Failure, Message};
use abi::records::PartitionFlags;
use kernel::arch::{Reply, Stopped, device};
use kernel::exit::{Exit, Power};
use kernel::fault::GuestFault;

/// The first row is restarted after crashes: so often in a minute, after so long.
pub(crate) fn restarts(draft: &mut Draft, max: u32, backoff: u64) {
    let record = draft.partitions.first_mut().expect("one was added");
    record.restart_on = (1 << Why::Crash.number() | 1 << Why::Watchdog.number()).into();
    record.restart_max = max.into();
    record.restart_within_ns = (60 * SECOND).into();
    record.restart_backoff_ns = backoff.into();
}

/// A partition that is restarted so often, and another one.
pub(crate) fn pair(max: u32, backoff: u64) -> Draft {
    let mut draft = rows(&["solo", "other"]);
    restarts(&mut draft, max, backoff);
    draft
}

/// The first partition fails.
fn crash(rig: &Rig) {
    rig.power(0, 0, Power::CpuOff);
}

/// Time goes on, and the machine with it.
pub(crate) fn pass(rig: &Rig, nanoseconds: u64) {
    rig.machine.advance(nanoseconds);
    rig.settle();
}

pub(crate) fn states(rig: &Rig) -> Vec<State> {
    rig.machine.shared.partitions().iter().map(|partition| partition.state()).collect()
}

pub(crate) fn details(rig: &Rig, partition: usize) -> Partition {
    rig.ask(&about(Message::Partition, partition)).get()
}

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn who_starts_by_hand_waits_for_it_and_for_it_alone() {
    let mut draft = rows(&["one", "manual"]);
    flag(&mut draft, PartitionFlags::MANUAL);
    let rig = Rig::running(draft);
    assert_eq!(states(&rig), [State::Running, State::Waiting]);
    assert_eq!(rig.play(1, 0, &[read(device::SCRATCH)]), []);
    assert_eq!((details(&rig, 1).flags.get(), details(&rig, 1).started_ns.get()), (1, 0));
    let (_, console) = rig.ask_and_listen(&about(Message::Start, 1));
    assert_eq!(console, "[bulkhead] manual: started\r\n");
    assert_eq!(rig.machine.replies(1, 0), [Reply::Access(!0)]);
    rig.power(1, 0, Power::SystemOff);
    assert_eq!(rig.console(), "[bulkhead] manual: off\r\n");
    let (_, console) = rig.ask_and_listen(&about(Message::Start, 1));
    assert_eq!(console, "[bulkhead] manual: restarted (1)\r\n");
}

#[test]
fn a_machine_whose_running_partitions_have_ended_does_not_wait_for_a_hand() {
    let mut draft = rows(&["one", "manual"]);
    flag(&mut draft, PartitionFlags::MANUAL);
    let rig = Rig::running(draft);
    rig.power(0, 0, Power::SystemOff);
    assert!(rig.machine.is_off());
    assert_eq!(rig.console(), "[bulkhead] one: off\r\n[bulkhead] end: ok\r\n");
}

#[test]
fn a_chain_starts_in_its_order_whatever_the_rows() {
    // The last row is the first of the chain.
    let mut draft = rows(&["third", "second", "first"]);
    draft.partitions[0].depends = set(&[1]);
    draft.partitions[1].depends = set(&[2]);
    let rig = Rig::boot(draft);
    assert_eq!(states(&rig), [State::Waiting, State::Waiting, State::Starting]);
    let _ = rig.console();
    for _ in 0..50 {
        rig.turn(0).and(rig.turn(1)).expect("the machine is on");
    }
    assert_eq!(states(&rig)[..2], [State::Waiting; 2]);
    rig.settle();
    let started =
        ["first", "second", "third"].map(|name| format!("[bulkhead] {name}: started\r\n"));
    assert_eq!(rig.console(), started.concat());
}

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn who_depends_on_two_starts_when_both_run() {
    let mut draft = rows(&["one", "two", "both"]);
    draft.partitions[2].depends = set(&[0, 1]);
    let rig = Rig::boot(draft);
    while rig.partition(0).state() != State::Running {
        rig.turn(0).expect("the machine is on");
    }
    for _ in 0..50 {
        rig.turn(0).and(rig.turn(2)).expect("the machine is on");
    }
    assert_eq!(states(&rig), [State::Running, State::Starting, State::Waiting]);
    rig.settle();
    assert_eq!(states(&rig), [State::Running; 3]);
}

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn who_depends_on_one_that_starts_by_hand_follows_it() {
    let mut draft = rows(&["other", "follower", "manual"]);
    draft.partitions[1].depends = set(&[2]);
    flag(&mut draft, PartitionFlags::MANUAL);
    let rig = Rig::running(draft);
    assert_eq!(states(&rig), [State::Running, State::Waiting, State::Waiting]);
    let (_, console) = rig.ask_and_listen(&about(Message::Start, 2));
    assert_eq!(console, "[bulkhead] manual: started\r\n[bulkhead] follower: started\r\n");
    // It follows once: a restart of the other one does not concern it.
    rig.power(2, 0, Power::SystemReset);
    rig.power(1, 0, Power::SystemOff);
    rig.power(2, 0, Power::SystemReset);
    assert_eq!(states(&rig), [State::Running, State::Off, State::Running]);
}

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn who_is_paused_when_the_last_one_starts_is_followed_when_it_is_resumed() {
    let mut draft = rows(&["one", "follower", "manual"]);
    draft.partitions[1].depends = set(&[0, 2]);
    flag(&mut draft, PartitionFlags::MANUAL);
    let rig = Rig::running(draft);
    rig.order(Message::Pause, 0);
    rig.order(Message::Start, 2);
    assert_eq!(states(&rig), [State::Paused, State::Waiting, State::Running]);
    rig.order(Message::Resume, 0);
    assert_eq!(states(&rig), [State::Running; 3]);
}

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn who_was_killed_while_it_waited_follows_nobody_and_ends_no_machine() {
    for message in [Message::Kill, Message::Stop] {
        let mut draft = rows(&["other", "follower", "manual"]);
        draft.partitions[1].depends = set(&[2]);
        flag(&mut draft, PartitionFlags::MANUAL);
        let rig = Rig::running(draft);
        let (_, console) = rig.ask_and_listen(&about(message, 1));
        assert_eq!(console, "[bulkhead] follower: off\r\n");
        rig.order(Message::Start, 2);
        assert_eq!(states(&rig), [State::Running, State::Off, State::Running]);
        // But a hand still starts it.
        rig.order(Message::Start, 1);
        assert_eq!(states(&rig), [State::Running; 3]);
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn who_ends_soon_after_its_start_waits_for_the_shortest_time_between_starts() {
    let mut draft = pair(9, SECOND);
    draft.partitions[0].restart_uptime_ns = (5 * SECOND).into();
    let rig = Rig::running(draft);
    pass(&rig, SECOND);
    crash(&rig);
    assert_eq!(details(&rig, 0).backoff_left_ns.get(), 4 * SECOND);
    pass(&rig, 4 * SECOND - 8);
    assert_eq!(rig.partition(0).state(), State::Backoff);
    pass(&rig, 8);
    assert_eq!(rig.partition(0).state(), State::Running);
    // Who has run for longer waits for the backoff alone.
    pass(&rig, 10 * SECOND);
    crash(&rig);
    pass(&rig, SECOND - 8);
    assert_eq!(rig.partition(0).state(), State::Backoff);
    pass(&rig, 8);
    assert_eq!(rig.partition(0).state(), State::Running);
}

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn details_tell_what_the_policy_has_left_and_why_it_ended() {
    let rig = Rig::running(pair(2, SECOND));
    assert_eq!(details(&rig, 0).restarts_left.get(), 2);
    crash(&rig);
    let told = details(&rig, 0);
    assert_eq!((told.restarts_left.get(), told.why.get()), (1, Why::Crash.number()));
    assert_eq!((told.state.get(), told.backoff_left_ns.get()), (State::Backoff.number(), SECOND));
    pass(&rig, SECOND);
    let told = details(&rig, 0);
    assert_eq!((told.restarts.get(), told.backoff_left_ns.get()), (1, 0));
    assert_eq!(told.started_ns.get() - told.ended_ns.get(), SECOND);
    // What is a minute ago counts no more.
    pass(&rig, 60 * SECOND);
    assert_eq!(details(&rig, 0).restarts_left.get(), 2);
    assert_eq!(details(&rig, 1).restarts_left.get(), 0);
}

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn who_is_given_up_is_told_of_and_a_hand_starts_it_all_the_same() {
    let rig = Rig::running(pair(1, SECOND));
    crash(&rig);
    pass(&rig, SECOND);
    crash(&rig);
    assert_eq!(states(&rig), [State::Failed, State::Running]);
    assert_eq!(rig.story(&[Kind::GaveUp]), [(Kind::GaveUp, 0, 1, 0, 0)]);
    rig.order(Message::Start, 0);
    assert_eq!(states(&rig), [State::Running; 2]);
    crash(&rig);
    assert_eq!(states(&rig), [State::Failed, State::Running]);
}

#[test]
fn a_machine_is_reset_when_the_partition_that_it_needs_is_given_up() {
    let mut draft = pair(1, SECOND);
    let record = &mut draft.partitions[0];
    record.flags = PartitionFlags::REBOOT_MACHINE.bits().into();
    let rig = Rig::running(draft);
    crash(&rig);
    pass(&rig, SECOND);
    assert_eq!(states(&rig), [State::Running; 2]);
    let _ = rig.console();
    rig.machine.play(0, 0, [Exit::Power(Power::CpuOff)]);
    let stopped = (0..10).find_map(|_| rig.turn(0).err());
    assert_eq!(stopped, Some(Stopped::Reset));
    assert_eq!(
        rig.console(),
        "[bulkhead] solo: vCPU 0: every vCPU switched itself off\r\n\
         [bulkhead] solo: given up after 1 restarts\r\n[bulkhead] reset: solo was given up\r\n"
    );
}

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn whoever_is_killed_in_backoff_stays_off_and_with_the_last_one_the_machine_ends() {
    for message in [Message::Kill, Message::Stop] {
        let rig = Rig::running(pair(3, SECOND));
        crash(&rig);
        let (answer, console) = rig.ask_and_listen(&about(message, 0));
        assert_eq!(answer.outcome(), Ok(()));
        assert!(console.ends_with("[bulkhead] solo: off\r\n"), "{console}");
        pass(&rig, 100 * SECOND);
        assert_eq!(states(&rig), [State::Off, State::Running]);
        let why = if message == Message::Kill { Why::Killed } else { Why::Stopped };
        let stopped = rig.story(&[Kind::Stopped]);
        assert_eq!(stopped, [(Kind::Stopped, 0, why.number().into(), 0, 0)]);
        rig.order(Message::Start, 0);
        crash(&rig);
        rig.power(1, 0, Power::SystemOff);
        assert!(!rig.machine.is_off());
        rig.type_request(&about(message, 0));
        assert!(!rig.settle());
        assert!(rig.console().ends_with("[bulkhead] solo: off\r\n[bulkhead] end: ok\r\n"));
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn the_last_partition_that_is_killed_ends_the_machine_after_its_answer() {
    let rig = Rig::running(rows(&["solo"]));
    rig.type_request(&about(Message::Kill, 0));
    assert!(!rig.settle());
    let console = rig.console();
    assert_eq!(crate::asking::answers(&console).len(), 1);
    assert!(console.ends_with("[bulkhead] solo: off\r\n[bulkhead] end: ok\r\n"), "{console}");
}

#[test]
fn a_restart_that_was_asked_for_happens_at_once_from_every_state_of_rest() {
    let rig = Rig::running(pair(1, 10 * SECOND));
    for (round, prepare) in [(1, None), (2, Some(Message::Pause)), (4, Some(Message::Kill))] {
        if let Some(message) = prepare {
            rig.order(message, 0);
        }
        if round == 4 {
            assert_eq!(rig.partition(0).state(), State::Off);
        }
        let (_, console) = rig.ask_and_listen(&about(Message::Restart, 0));
        let round = if round == 4 { 3 } else { round };
        assert!(console.ends_with(&format!("solo: restarted ({round})\r\n")), "{console}");
    }
    crash(&rig);
    assert_eq!(rig.partition(0).state(), State::Backoff);
    rig.order(Message::Restart, 0);
    assert_eq!(states(&rig), [State::Running; 2]);
    // The backoff is forgotten.
    pass(&rig, 100 * SECOND);
    assert_eq!(rig.partition(0).life().restarts(), 4);
}

/// Two seconds of watchdog, and a policy.
fn watched(max: u32) -> Rig {
    let mut draft = pair(max, SECOND);
    draft.partitions[0].watchdog_ns = (2 * SECOND).into();
    draft.partitions[0].flags = PartitionFlags::MAILBOX.bits().into();
    Rig::running(draft)
}

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn a_guest_that_does_not_kick_its_watchdog_fails_and_one_that_does_lives() {
    let rig = watched(1);
    let mut guest = rig.guest(0);
    for _ in 0..5 {
        pass(&rig, 2 * SECOND - 8);
        let answer = guest.ask(&about(Message::WatchdogKick, 0));
        assert_eq!(answer.outcome(), Ok(()));
    }
    let told = details(&rig, 0);
    assert_eq!((told.watchdog_ns.get(), told.flags.get()), (2 * SECOND, 2));
    assert_eq!(told.watchdog_left_ns.get(), 2 * SECOND);
    pass(&rig, 2 * SECOND - 8);
    assert_eq!(rig.partition(0).state(), State::Running);
    pass(&rig, 8);
    let why = "its watchdog was not kicked in time";
    let console = rig.console();
    assert!(console.ends_with(&format!("[bulkhead] solo: stopped: {why}\r\n")), "{console}");
    assert_eq!(rig.partition(0).state(), State::Backoff);
    let kinds = [Kind::Watchdog, Kind::Crashed];
    let [watchdog, crashed] = rig.story(&kinds)[..] else { panic!("two events") };
    assert_eq!(watchdog, (Kind::Watchdog, 0, 0, 2 * SECOND, 0));
    assert_eq!(crashed.2, Why::Watchdog.number().into());
    // After the restart it is armed anew, and the policy allows no second one.
    pass(&rig, SECOND);
    assert_eq!(rig.partition(0).state(), State::Running);
    pass(&rig, 2 * SECOND);
    assert_eq!(states(&rig), [State::Failed, State::Running]);
}

#[test]
fn a_pause_stops_the_watchdogs_clock() {
    let rig = watched(1);
    pass(&rig, SECOND);
    rig.order(Message::Pause, 0);
    pass(&rig, 100 * SECOND);
    assert_eq!(rig.partition(0).state(), State::Paused);
    rig.order(Message::Resume, 0);
    pass(&rig, SECOND - 8);
    assert_eq!(rig.partition(0).state(), State::Running);
    pass(&rig, 8);
    assert_eq!(rig.partition(0).state(), State::Backoff);
}

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn a_watchdog_is_shortened_never_lengthened_and_given_back() {
    let rig = watched(1);
    let arm = |time| rig.ask(&about(Message::WatchdogArm, 0).first(time)).outcome();
    assert_eq!(arm(2 * SECOND + 8), Err(Failure::with(Code::Argument, 16)));
    assert_eq!(arm(SECOND), Ok(()));
    pass(&rig, SECOND - 8);
    rig.order(Message::WatchdogDisarm, 0);
    pass(&rig, 2 * SECOND - 8);
    assert_eq!(rig.partition(0).state(), State::Running);
    pass(&rig, 8);
    assert_eq!(rig.partition(0).state(), State::Backoff);
    // Who has none in the manifest may have any, and none again.
    assert_eq!(rig.ask(&about(Message::WatchdogArm, 1).first(SECOND)).outcome(), Ok(()));
    rig.order(Message::WatchdogDisarm, 1);
    pass(&rig, 100 * SECOND);
    assert_eq!(rig.partition(1).state(), State::Running);
}

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn a_watchdog_fires_though_every_vcpu_is_busy() {
    let rig = watched(1);
    rig.machine.play(0, 0, vec![read(device::SCRATCH); 100]);
    rig.machine.advance(2 * SECOND);
    rig.settle();
    assert_eq!(rig.partition(0).state(), State::Backoff);
}

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn whom_a_panic_ended_is_not_started_by_anybody() {
    let rig = Rig::pair();
    let stopped = rig.machine.on(1, || kernel::boot::panicked(format_args!("a bug")));
    assert_eq!(stopped.err(), Some(Stopped::Cpu));
    rig.settle();
    for message in [Message::Start, Message::Restart] {
        assert_eq!(rig.refused(message, 0), State::Failed.refusal());
    }
    let told = rig.story(&[Kind::Panic, Kind::Crashed, Kind::Stopped]);
    let why = Why::Panic.number().into();
    assert_eq!(told[0], (Kind::Panic, abi::mailbox::NOBODY, 1, 0, 0));
    assert_eq!((told[1].0, told[1].1, told[1].2), (Kind::Crashed, 0, why));
    assert_eq!((told[2].0, told[2].1, told[2].2), (Kind::Stopped, 0, why));
    // The machine ends with the last one all the same.
    rig.power(1, 0, Power::SystemOff);
    assert!(rig.machine.is_off());
}

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn the_story_of_a_crash_is_told_in_its_order() {
    let rig = Rig::running(pair(1, SECOND));
    rig.play(0, 0, &[Exit::Fault(GuestFault::Stop(kernel::fault::Why::SystemError))]);
    pass(&rig, SECOND);
    rig.power(0, 0, Power::SystemOff);
    let kinds =
        [Kind::Started, Kind::Crashed, Kind::Restarted, Kind::Stopped, Kind::GaveUp, Kind::Paused];
    let (crash, off) = (Why::Crash.number().into(), Why::Off.number().into());
    let system_error = kernel::fault::Why::SystemError as u64;
    assert_eq!(
        rig.story(&kinds),
        [
            (Kind::Started, 0, 0, 0, 0),
            (Kind::Started, 1, 0, 0, 0),
            (Kind::Crashed, 0, crash, system_error, 0),
            (Kind::Restarted, 0, 1, 0, 0),
            (Kind::Stopped, 0, off, 0, 0),
        ]
    );
    assert_eq!(rig.play(1, 0, &[write(device::SCRATCH, 1_u32)]), [Reply::Access(0)]);
}
