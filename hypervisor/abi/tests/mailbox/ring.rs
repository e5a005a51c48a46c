// SPDX-License-Identifier: MIT OR Apache-2.0
//! Each request is answered exactly once and in order, whoever is faster; each
//! event is told or counted as lost.

use crate::memory::Memory;
use abi::mailbox::answer::Answer;
use abi::mailbox::client::{Attach, Client, Full};
use abi::mailbox::event::{Event, Kind};
use abi::mailbox::request::Request;
use abi::mailbox::ring::{
    self, EVENT_SLOTS, Found, REQUESTS_WRITTEN, SLOTS, Server, Words, is_servers,
};
use abi::mailbox::{Message, OWN};
use abi::records::U64;
use proptest::prelude::*;
use std::collections::VecDeque;

/// Both sides of a mailbox, each confined to what it may write.
fn mailbox() -> (Memory, Server, Client<Memory>) {
    let memory = Memory::new();
    let hypervisor = memory.side(is_servers);
    let guest = memory.side(|offset| !is_servers(offset));
    // Beginning clears the guest's count, too: it has not started.
    let server = Server::begin(&memory);
    (hypervisor, server, Client::attach(guest).unwrap())
}

/// Answers the next request with its own number and first word; false if there was none.
fn answer_one(server: &mut Server, words: &Memory) -> bool {
    let Found::Request(bytes) = server.next(words) else { return false };
    let request = Request::read(&bytes).unwrap();
    let mut answer = Answer { number: request.number, ..Answer::EMPTY };
    answer.body[..8].copy_from_slice(&request.first.get().to_le_bytes());
    answer.set_length(24);
    server.answer(words, &answer);
    true
}

fn told(answer: &Answer) -> u64 {
    u64::from_le_bytes(*answer.body.first_chunk().unwrap())
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Ask(u64),
    Serve,
    Take,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![any::<u64>().prop_map(Act::Ask), Just(Act::Serve), Just(Act::Take)];
    prop::collection::vec(act, 0..400)
}

proptest! {
    #[test]
    fn requests_are_answered_once_and_in_order_or_refused_as_too_many(acts in acts()) {
        let (words, mut server, mut client) = mailbox();
        let (mut asked, mut answered) = (VecDeque::new(), VecDeque::new());
        for act in acts {
            match act {
                Act::Ask(first) => {
                    let full = asked.len() + answered.len() == SLOTS as usize;
                    match client.ask(&Request::new(Message::Log, OWN).first(first)) {
                        Ok(number) => asked.push_back((number, first)),
                        Err(Full) => prop_assert!(full),
                    }
                    prop_assert!(asked.len() + answered.len() <= SLOTS as usize);
                }
                Act::Serve => {
                    prop_assert_eq!(answer_one(&mut server, &words), !asked.is_empty());
                    answered.extend(asked.pop_front());
                }
                Act::Take => {
                    let answer = client.answer().map(|answer| (answer.number.get(), told(&answer)));
                    prop_assert_eq!(answer, answered.pop_front());
                }
            }
        }
    }

    #[test]
    fn events_are_told_in_order_and_the_lost_ones_counted(bursts in prop::collection::vec((0..80u64, 0..80usize), 0..20)) {
        let (words, mut server, mut client) = mailbox();
        let (mut written, mut next) = (0, 0);
        for (write, read) in bursts {
            for _ in 0..write {
                server.tell(&words, &event(written));
                written += 1;
            }
            for _ in 0..read {
                let Some(event) = client.event() else { break };
                next += client.take_lost();
                prop_assert_eq!(event.first.get(), next);
                prop_assert!(written - next <= EVENT_SLOTS.into());
                next += 1;
            }
        }
    }
}

fn event(number: u64) -> Event {
    Event { first: U64::new(number), ..Event::new(Kind::Started, None) }
}

#[test]
fn the_server_reads_the_count_and_each_word_of_a_request_once() {
    let (words, server, mut client) = mailbox();
    client.ask(&Request::hello()).unwrap();
    words.take_loads();
    assert!(matches!(server.next(&words), Found::Request(_)));
    assert_eq!(words.take_loads(), 1 + 64 / 4);
}

#[test]
fn a_count_that_cannot_be_is_refused_until_it_is_right_again() {
    let (words, mut server, mut client) = mailbox();
    let guest = words.side(|_| true);
    client.ask(&Request::hello()).unwrap();
    for count in [SLOTS + 1, u32::MAX, 1 << 31] {
        guest.set_count(REQUESTS_WRITTEN, count);
        words.take_loads();
        assert_eq!(server.next(&words), Found::Refused);
        assert_eq!(words.take_loads(), 1);
    }
    guest.set_count(REQUESTS_WRITTEN, 1);
    assert!(answer_one(&mut server, &words));
    assert_eq!(client.answer().unwrap().number.get(), 1);
}

#[test]
fn two_threads_lose_and_repeat_nothing() {
    const ROUNDS: u64 = 5_000;
    let (words, mut server, mut client) = mailbox();
    let hypervisor = std::thread::spawn(move || {
        let mut answered = 0;
        while answered < ROUNDS {
            if answer_one(&mut server, &words) {
                server.tell(&words, &event(answered));
                answered += 1;
            } else {
                std::thread::yield_now();
            }
        }
    });
    let (mut asked, mut answered, mut events) = (0, 0, 0);
    while answered < ROUNDS || events < ROUNDS {
        if asked < ROUNDS && client.ask(&Request::hello().first(asked)).is_ok() {
            asked += 1;
        }
        if let Some(answer) = client.answer() {
            assert_eq!((answer.number.get(), told(&answer)), (answered as u32 + 1, answered));
            answered += 1;
        }
        let event = client.event();
        events += client.take_lost();
        match event {
            Some(event) => {
                assert_eq!(event.first.get(), events);
                events += 1;
            }
            None => std::thread::yield_now(),
        }
    }
    hypervisor.join().unwrap();
    assert_eq!((client.answer(), client.event()), (None, None));
}

#[test]
fn who_comes_later_finds_no_answers_to_what_another_asked() {
    let (words, mut server, mut first) = mailbox();
    first.ask(&Request::hello().first(1)).unwrap();
    first.ask(&Request::hello().first(2)).unwrap();
    answer_one(&mut server, &words);
    let mut second = Client::attach(words.side(|offset| !is_servers(offset))).unwrap();
    assert_eq!(server.next(&words), Found::Nothing);
    assert_eq!(second.answer(), None);
    second.ask(&Request::hello().first(3)).unwrap();
    assert!(answer_one(&mut server, &words));
    assert_eq!(second.answer().map(|answer| told(&answer)), Some(3));
}

#[test]
fn memory_that_is_no_mailbox_is_told_from_one_that_cannot_be() {
    let memory = Memory::new();
    assert_eq!(Client::attach(memory.clone()).unwrap_err(), Attach::NoMailbox);
    let _ = Server::begin(&memory);
    // Each field of the header behind the magic, as zero, as odd and as enormous.
    for (offset, value) in
        (8..0x30).step_by(4).flat_map(|offset| [0, 3, u32::MAX].map(|value| (offset, value)))
    {
        let right = memory.count(offset);
        memory.set_count(offset, value);
        let attached = Client::attach(memory.clone());
        // A higher version, or less memory than this one, is a mailbox of another build.
        let may = matches!((offset, value), (8, 1..) | (12, u32::MAX));
        match attached {
            Ok(_) => assert!(may, "{offset:#x} = {value:#x}"),
            Err(why) => assert_eq!(why, Attach::BadHeader, "{offset:#x} = {value:#x}"),
        }
        memory.set_count(offset, right);
    }
    assert!(Client::attach(memory).is_ok());
    assert_eq!(ring::Header::OWN.version.get(), abi::mailbox::VERSION);
}
