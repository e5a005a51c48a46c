// SPDX-License-Identifier: MIT OR Apache-2.0
//! What requests make of a partition that runs: it is stopped, paused, read, typed at
//! and told to dump itself.

use crate::asking::{SECOND, about, rows, with_mailbox};
use crate::policy::{details, pair, pass, states};
use crate::rig::{Rig, SMALL, add, cpu_on, draft, read};
use abi::mailbox::body::{Piece, Written};
use abi::mailbox::event::Kind;
use abi::mailbox::request::{DATA_LEN, Request};
use abi::mailbox::rights::Rights;
use abi::mailbox::state::{State, Why};
use abi::mailbox::{Code, Failure, Message};
use abi::platform::RAM;
use abi::records::PartitionFlags;
use kernel::arch::{Reply, device};
use kernel::exit::{Exit, Power};

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn a_guest_that_is_asked_to_stop_is_told_and_may_obey_either_way() {
    for obeys in [Power::SystemOff, Power::SystemReset] {
        let mut draft = rows(&["solo", "other"]);
        draft.partitions[0].restart_on = (1 << Why::Off.number()).into();
        draft.partitions[0].restart_max = 9.into();
        draft.partitions[0].flags = PartitionFlags::MAILBOX.bits().into();
        with_mailbox(&mut draft, Rights::all());
        let rig = Rig::running(draft);
        let (mut asked, mut other) = (rig.guest(0), rig.guest(1));
        asked.subscribe(&[Kind::StopRequested]);
        other.subscribe(&[Kind::StopRequested]);
        let stop = about(Message::Stop, 0).first(5 * SECOND);
        assert_eq!(other.ask(&stop).outcome(), Ok(()));
        let told: Vec<_> = asked.events().iter().map(crate::asking::brief).collect();
        assert_eq!(told, [(Kind::StopRequested, 0, 0, 5 * SECOND, 0)]);
        assert_eq!(other.events(), [], "that concerns nobody else");
        pass(&rig, SECOND);
        assert_eq!(rig.partition(0).state(), State::Stopping);
        rig.power(0, 0, obeys);
        assert_eq!(states(&rig), [State::Off, State::Running]);
        let told = details(&rig, 0);
        assert_eq!(told.why.get(), Why::Stopped.number());
        pass(&rig, 100 * SECOND);
        assert_eq!(states(&rig), [State::Off, State::Running]);
    }
}

#[test]
fn a_guest_that_does_not_stop_in_time_is_killed() {
    let rig = Rig::running(pair(9, SECOND));
    assert_eq!(rig.ask(&about(Message::Stop, 0).first(5 * SECOND)).outcome(), Ok(()));
    pass(&rig, 5 * SECOND - 8);
    assert_eq!(rig.partition(0).state(), State::Stopping);
    assert_eq!(rig.play(0, 0, &[read(device::SCRATCH)]), [Reply::Access(!0)]);
    pass(&rig, 8);
    assert_eq!(rig.partition(0).state(), State::Off);
    assert_eq!(details(&rig, 0).why.get(), Why::Killed.number());
    pass(&rig, 100 * SECOND);
    assert_eq!(rig.partition(0).state(), State::Off);
}

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn a_stop_without_patience_kills_at_once() {
    let rig = Rig::running(pair(9, SECOND));
    rig.order(Message::Stop, 0);
    rig.settle();
    assert_eq!(states(&rig), [State::Off, State::Running]);
}

#[test]
fn a_paused_partition_runs_not_and_goes_on_where_it_was() {
    let rig = Rig::pair();
    for vcpu in 0..3 {
        rig.machine.play(0, vcpu, vec![read(device::SCRATCH); 5]);
    }
    rig.turn(0).expect("the machine is on");
    rig.order(Message::Pause, 0);
    let left = [0, 1, 2].map(|vcpu| rig.machine.left(0, vcpu));
    pass(&rig, 100 * SECOND);
    rig.machine.play(0, 1, [read(device::SCRATCH); 3]);
    rig.settle();
    assert_eq!([0, 2].map(|vcpu| rig.machine.left(0, vcpu)), [left[0], left[2]]);
    assert_eq!(rig.machine.left(0, 1), left[1] + 3, "it was entered");
    assert_eq!(rig.refused(Message::Pause, 0), State::Paused.refusal());
    assert_eq!(rig.play(1, 0, &[read(device::SCRATCH)]), [Reply::Access(!0)]);
    rig.order(Message::Resume, 0);
    assert_eq!([0, 1, 2].map(|vcpu| rig.machine.left(0, vcpu)), [0; 3]);
    assert_eq!(rig.machine.replies(0, 1).len(), 8);
    assert_eq!(rig.partition(0).life().restarts(), 0);
    assert_eq!(rig.story(&[Kind::Paused, Kind::Resumed]).len(), 2);
}

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn a_vcpu_that_is_started_while_its_partition_is_paused_waits_too() {
    let mut draft = draft();
    add(&mut draft, "two", &[0, 1], SMALL);
    add(&mut draft, "other", &[2], SMALL);
    let rig = Rig::running(draft);
    rig.machine.play(0, 1, [read(device::SCRATCH)]);
    rig.machine.play(0, 0, [Exit::Power(cpu_on(1, RAM, 0))]);
    // vCPU 0 starts it; the pause comes before its CPU has looked.
    rig.turn(0).expect("the machine is on");
    rig.order(Message::Pause, 0);
    assert_eq!(rig.machine.left(0, 1), 1);
    rig.order(Message::Resume, 0);
    assert_eq!(rig.machine.left(0, 1), 0);
}

#[test]
fn a_paused_partition_can_be_killed_and_restarted() {
    let rig = Rig::pair();
    rig.order(Message::Pause, 0);
    rig.order(Message::Restart, 0);
    assert_eq!(rig.play(0, 0, &[read(device::SCRATCH)]), [Reply::Access(!0)]);
    rig.order(Message::Pause, 0);
    rig.order(Message::Kill, 0);
    assert_eq!(states(&rig), [State::Off, State::Running]);
}

#[test]
#[cfg_attr(miri, ignore = "takes about a minute there")]
fn what_a_guest_wrote_is_read_from_any_byte_on_and_lost_bytes_are_told() {
    let rig = Rig::pair();
    rig.print(1, b"hello\nworld");
    let piece = |from| -> Piece { rig.ask(&about(Message::ConsoleRead, 1).first(from)).get() };
    let all = piece(0);
    assert_eq!(&all.bytes[..11], b"hello\nworld");
    assert_eq!((all.count.get(), all.next.get(), all.lost.get(), all.total.get()), (11, 11, 0, 11));
    let rest = piece(6);
    assert_eq!((&rest.bytes[..5], rest.count.get(), rest.next.get()), (&b"world"[..], 5, 11));
    for from in [11, 12, u64::MAX] {
        assert_eq!((piece(from).count.get(), piece(from).next.get()), (0, 11));
    }
    for _ in 0..20 {
        rig.print(1, &[b'x'; 150]);
        rig.print(1, b"\n");
    }
    let written = 11 + 20 * 151;
    let oldest = piece(0);
    assert_eq!((oldest.lost.get(), oldest.count.get()), (written - 2048, 216));
    let mut from = 0;
    let mut read = Vec::new();
    loop {
        let piece = piece(from);
        from = piece.next.get();
        read.extend_from_slice(&piece.bytes[..piece.count.get() as usize]);
        if piece.count.get() == 0 {
            break;
        }
    }
    assert_eq!((read.len(), from), (2048, written));
    assert_eq!(read[2047 - 151..], [&b"\n"[..], &[b'x'; 150], b"\n"].concat());
}

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn what_is_written_to_a_console_is_typed_there_as_far_as_there_is_room() {
    let rig = Rig::pair();
    let data = [b'k'; DATA_LEN];
    let type_in = |count: u64| -> u32 {
        let request = Request { data, ..about(Message::ConsoleWrite, 1).first(count) };
        rig.ask(&request).get::<Written>().count.get()
    };
    assert_eq!(type_in(3), 3);
    assert_eq!(type_in(0), 0);
    let typed = rig.play(1, 0, &[read(device::TERMINAL); 4]);
    let key = Reply::Access(b'k'.into());
    assert_eq!(typed, [key, key, key, Reply::Access(u64::MAX)]);
    for _ in 0..8 {
        assert_eq!(type_in(32), 32);
    }
    assert_eq!(type_in(32), 0);
    assert_eq!(rig.play(0, 0, &[read(device::TERMINAL)]), [Reply::Access(u64::MAX)]);
    // Who is paused finds it later.
    rig.order(Message::Restart, 1);
    rig.order(Message::Pause, 1);
    assert_eq!(type_in(1), 1);
    rig.order(Message::Resume, 1);
    assert_eq!(rig.play(1, 0, &[read(device::TERMINAL)]), [key]);
}

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn one_vcpu_is_told_to_dump_itself() {
    let rig = Rig::pair();
    let _ = [0, 1, 2].map(|vcpu| rig.machine.replies(0, vcpu));
    let request = Request { vcpu: 1.into(), ..about(Message::Inject, 0) };
    assert_eq!(rig.ask(&request).outcome(), Ok(()));
    assert_eq!(rig.machine.replies(0, 1), [Reply::Dumped]);
    assert_eq!([0, 2].map(|vcpu| rig.machine.replies(0, vcpu)), [vec![], vec![]]);
    // A vCPU that is off has nothing to dump.
    rig.power(0, 2, Power::CpuOff);
    let _ = rig.machine.replies(0, 2);
    assert_eq!(rig.ask(&Request { vcpu: 2.into(), ..request }).outcome(), Ok(()));
    assert_eq!(rig.machine.replies(0, 2), []);
    let none = rig.ask(&Request { vcpu: 3.into(), ..request });
    assert_eq!(none.outcome(), Err(Failure::with(Code::NoVcpu, 3)));
}
