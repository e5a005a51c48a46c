// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest that writes whatever it likes into its mailbox while it rings, and a
//! guest that asks for everything: nothing panics, a turn's work is bounded, and
//! nobody is reached whom the manifest did not name.

use crate::asking::{about, rows, set, with_mailbox};
use crate::rig::{Rig, SMALL, cases, read, write};
use abi::mailbox::body::Statistics;
use abi::mailbox::client::Client;
use abi::mailbox::request::Request;
use abi::mailbox::rights::Rights;
use abi::mailbox::ring::{ANSWERS_WRITTEN, MEMORY_LEN, REQUESTS, REQUESTS_WRITTEN, SLOTS, Words};
use abi::mailbox::state::State;
use abi::mailbox::{Message, OWN};
use abi::platform::MAILBOX_REGISTERS;
use kernel::arch::{Event, Reply, device};
use paging::GuestPhys;
use proptest::prelude::*;

/// The wild one's row and CPU; the tame one, whom it may control; the calm one, whom it may not.
const WILD: usize = 0;
const TAME: usize = 1;
const CALM: usize = 2;

/// Most words that a turn writes into the page: an answer, four events, and counts.
const WORDS_OF_A_TURN: usize = 32 + 4 * (8 + 3) + 2;

fn rig() -> Rig {
    let mut draft = rows(&["wild"]);
    let rights = Rights { observe: set(&[TAME]), control: set(&[TAME]), console: set(&[TAME]) };
    with_mailbox(&mut draft, rights);
    for (name, cpu) in [("tame", 1), ("calm", 2)] {
        crate::rig::add(&mut draft, name, &[cpu], SMALL);
        with_mailbox(&mut draft, Rights::default());
    }
    Rig::running(draft)
}

/// What the wild guest does.
#[derive(Clone, Debug)]
enum Deed {
    /// A word anywhere in the page.
    Word(u32, u64),
    /// The count of requests: so many more than were answered, as it sees it, or any.
    Count(u32),
    Ahead(u32),
    /// Something that looks like a request, at the place that is read next, and one more.
    Alike(Request),
    /// A register.
    Register(u64, Option<u32>),
    Ring,
    Turn(usize),
    Time(u64),
}

fn request() -> impl Strategy<Value = Request> {
    let message = prop_oneof![9 => 0..26_u16, 1 => any::<u16>()];
    let length = prop_oneof![9 => Just(64_u16), 1 => any::<u16>(), 2 => 0..80_u16];
    let partition = prop_oneof![4 => 0..4_u16, 2 => Just(OWN), 1 => any::<u16>()];
    let first = prop_oneof![3 => 0..40_u64, 1 => any::<u64>(), 1 => 0..10_000_000_000_u64];
    (message, length, partition, 0..3_u16, first, 0..4_u64, any::<[u8; 32]>()).prop_map(
        |(message, length, partition, vcpu, first, second, data)| Request {
            number: 1.into(),
            message: message.into(),
            length: length.into(),
            partition: partition.into(),
            vcpu: vcpu.into(),
            reserved: 0.into(),
            first: first.into(),
            second: second.into(),
            data,
        },
    )
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        2 => (0..MEMORY_LEN / 8, any::<u64>()).prop_map(|(word, value)| Deed::Word(word * 8, value)),
        1 => any::<u32>().prop_map(Deed::Count),
        1 => (0..2 * SLOTS).prop_map(Deed::Ahead),
        6 => request().prop_map(Deed::Alike),
        1 => (0..0x1000_u64, any::<Option<u32>>())
            .prop_map(|(offset, value)| Deed::Register(offset & !3, value)),
        2 => Just(Deed::Ring),
        8 => (0..3_usize).prop_map(Deed::Turn),
        1 => (0..1_u64 << 34).prop_map(Deed::Time),
    ]
}

/// Where the requests of a partition begin and end in host memory.
fn range(rig: &Rig, partition: usize) -> core::ops::Range<u64> {
    let stage2 = &rig.partition(partition).stage2;
    let find = || stage2.find(GuestPhys::new(abi::platform::MAILBOX_MEMORY));
    let host = rig.machine.on(0, find).expect("no unwinding").expect("a mailbox").host.get();
    host..host + u64::from(MEMORY_LEN)
}

fn requests(rig: &Rig, partition: usize) -> u64 {
    rig.ask_quietly(&about(Message::Statistics, partition)).get::<Statistics>().requests.get()
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes there; abi's own tests run the same code under Miri")]
    fn no_page_panics_costs_a_turn_more_than_it_may_or_reaches_a_stranger(
        deeds in prop::collection::vec(deed(), 1..if cfg!(miri) { 15 } else { 150 }),
    ) {
        let rig = rig();
        let page = rig.page(WILD);
        let own = range(&rig, WILD);
        let calm = (range(&rig, CALM).start, rig.partition(CALM).memory[0].host);
        let calm_page = |rig: &Rig| {
            rig.machine.memory(paging::HostPhys::new(calm.0), MEMORY_LEN.into())
        };
        let (calm_before, memory_before) = (calm_page(&rig), rig.machine.memory(calm.1, SMALL));
        let answered = || page.count(ANSWERS_WRITTEN);
        for deed in deeds {
            match deed {
                Deed::Word(offset, value) => page.store(offset, value.to_le_bytes()),
                Deed::Count(count) => page.set_count(REQUESTS_WRITTEN, count),
                Deed::Ahead(by) => page.set_count(REQUESTS_WRITTEN, answered().wrapping_add(by)),
                Deed::Alike(request) => {
                    let place = REQUESTS + answered() % SLOTS * 64;
                    let bytes = zerocopy::IntoBytes::as_bytes(&request).chunks_exact(8);
                    for (offset, word) in (place..).step_by(8).zip(bytes) {
                        page.store(offset, word.try_into().expect("eight"));
                    }
                    page.set_count(REQUESTS_WRITTEN, answered().wrapping_add(1));
                    rig.machine.play(WILD, 0, [crate::asking::ring()]);
                }
                Deed::Register(offset, value) => {
                    let address = MAILBOX_REGISTERS + offset;
                    let exit = value.map_or(read(address), |value| write(address, value));
                    rig.machine.play(WILD, 0, [exit]);
                }
                Deed::Ring => rig.machine.play(WILD, 0, [crate::asking::ring()]),
                Deed::Turn(cpu) => {
                    let _ = rig.machine.events();
                    rig.turn(cpu).expect("the calm one keeps the machine on");
                    let written = rig.events(|event| {
                        matches!(event, Event::Copied { host, .. } if own.contains(host))
                    });
                    prop_assert!(written.len() <= WORDS_OF_A_TURN, "{}", written.len());
                }
                Deed::Time(time) => rig.machine.advance(time),
            }
        }
        rig.settle();
        prop_assert_eq!(rig.partition(CALM).state(), State::Running);
        prop_assert_eq!(rig.partition(CALM).life().restarts(), 0);
        prop_assert_eq!(calm_page(&rig), calm_before);
        prop_assert_eq!(rig.machine.memory(calm.1, SMALL), memory_before);
        prop_assert_eq!(rig.play(CALM, 0, &[read(device::SCRATCH)]), [Reply::Access(!0)]);
        prop_assert_eq!(requests(&rig, CALM), 0);
        // And it can still use its mailbox, once it runs and begins as the specification says.
        if matches!(rig.partition(WILD).state(), State::Off | State::Failed) {
            rig.order(Message::Start, WILD);
        } else if rig.partition(WILD).state() == State::Running {
            rig.order(Message::Restart, WILD);
        }
        if rig.partition(WILD).state() == State::Running {
            let mut guest = rig.guest(WILD);
            prop_assert_eq!(guest.ask(&Request::hello()).outcome(), Ok(()));
        }
    }
}

#[test]
fn a_count_that_cannot_be_is_refused_until_it_is_right_again() {
    let rig = rig();
    let page = rig.page(WILD);
    for ahead in [SLOTS + 1, 1 << 31, u32::MAX] {
        page.set_count(REQUESTS_WRITTEN, ahead);
        rig.play(WILD, 0, &[crate::asking::ring()]);
        assert_eq!((page.count(ANSWERS_WRITTEN), requests(&rig, WILD)), (0, 0));
    }
    let mut client = Client::attach(page).expect("it was withdrawn");
    client.ask(&Request::hello()).expect("there is room");
    rig.play(WILD, 0, &[crate::asking::ring()]);
    assert_eq!(client.answer().expect("an answer").outcome(), Ok(()));
}

#[test]
#[cfg_attr(miri, ignore = "takes about a minute there")]
fn a_guest_that_rings_without_end_does_nothing_else() {
    let rig = rig();
    let flood = vec![crate::asking::ring(); 1000];
    rig.machine.play(WILD, 0, flood);
    let _ = rig.machine.events();
    let mut turns = 0;
    while rig.machine.left(WILD, 0) > 0 {
        rig.turn(WILD).expect("the machine is on");
        turns += 1;
        assert!(turns < 3000);
    }
    rig.settle();
    let touched = rig.events(|event| !matches!(event, Event::Kicked { cpu } if *cpu == WILD));
    assert_eq!(touched, []);
}

#[test]
#[cfg_attr(miri, ignore = "takes about a minute there")]
fn a_turn_answers_one_request_and_the_guest_runs_in_between() {
    let rig = rig();
    let mut guest = rig.guest(WILD);
    for _ in 0..SLOTS {
        guest.post(&about(Message::Statistics, TAME));
    }
    rig.machine.play(WILD, 0, [read(device::SCRATCH); 64]);
    let page = rig.page(WILD);
    let (mut before, mut left) = (0, rig.machine.left(WILD, 0));
    while before < SLOTS {
        rig.turn(WILD).expect("the machine is on");
        let answered = page.count(ANSWERS_WRITTEN);
        assert!(answered <= before + 1);
        before = answered;
        left = left.min(rig.machine.left(WILD, 0));
    }
    rig.settle();
    assert_eq!(rig.machine.left(WILD, 0), 0);
}
