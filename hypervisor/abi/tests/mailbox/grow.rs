// SPDX-License-Identifier: MIT OR Apache-2.0
//! Builds of different ages: a newer server has one message more, a longer body
//! and longer slots; a newer client asks for what an older server has not.

use crate::machine::{Machine, host};
use crate::memory::Memory;
use abi::mailbox::answer::Answer;
use abi::mailbox::body::{Hello, Row};
use abi::mailbox::client::Client;
use abi::mailbox::event::Event;
use abi::mailbox::request::Request;
use abi::mailbox::ring::{ANSWERS_WRITTEN, EVENTS_WRITTEN, Header, MEMORY_LEN, Server, Words};
use abi::mailbox::{Code, Failure, Message, VERSION};
use abi::records::{U16, U32, U64, name};
use zerocopy::IntoBytes;

/// What a newer server's slots are long: twice what this build knows.
const NEWER: Header = Header {
    version: U32::new(VERSION + 1),
    memory: U32::new(2 * MEMORY_LEN),
    request_len: U32::new(128),
    answer_len: U32::new(512),
    event_len: U32::new(128),
    requests: U32::new(0x1000),
    events: U32::new(0x2000),
    answers: U32::new(0x3000),
    slots: U32::new(8),
    event_slots: U32::new(16),
    ..Header::OWN
};

fn store(words: &Memory, offset: u32, bytes: &[u8]) {
    for (place, chunk) in (offset..).step_by(8).zip(bytes.chunks_exact(8)) {
        words.store(place, *chunk.first_chunk().unwrap());
    }
}

/// Answers to hello as a newer server writes them: the release has 24 bytes and
/// a field follows.
fn newer_hello(number: U32) -> Vec<u8> {
    let hello = Hello {
        version: U32::new(VERSION),
        last_message: U16::new(Message::PowerOff.number() + 1),
        features: U64::new(1 << 63),
        release: name("2.0.0").unwrap(),
        ..Hello::default()
    };
    let length = 16 + size_of::<Hello>() + 16;
    let head = Answer {
        number,
        message: U16::new(Message::Hello.number()),
        length: U16::new(length as u16),
        ..Answer::EMPTY
    };
    let mut bytes = head.as_bytes()[..16].to_vec();
    bytes.extend_from_slice(hello.as_bytes());
    bytes.extend_from_slice(&[0xee; 16]);
    bytes.resize(512, 0xdd);
    bytes
}

#[test]
fn an_old_client_uses_a_newer_server() {
    let words = Memory::of_len(2 * MEMORY_LEN);
    store(&words, 0, NEWER.as_bytes());
    let mut client = Client::attach(words.clone()).unwrap();
    for place in 0..20 {
        let number = client.ask(&Request::hello()).unwrap();
        let request: Vec<u8> =
            (0..8).flat_map(|word| words.load(0x1000 + place % 8 * 128 + word * 8)).collect();
        let request = Request::read(&request).unwrap();
        assert_eq!((request.number.get(), request.length.get()), (number, 64));
        store(&words, 0x3000 + place % 8 * 512, &newer_hello(request.number));
        words.set_count(ANSWERS_WRITTEN, place + 1);
        let answer = client.answer().unwrap();
        assert_eq!((answer.number.get(), answer.outcome()), (number, Ok(())));
        let hello: Hello = answer.get();
        assert_eq!(hello.version.get(), VERSION);
        assert_eq!(hello.release, name("2.0.0").unwrap());
        assert_eq!(hello.last_message.get(), 24);
    }
}

#[test]
fn an_old_client_passes_over_events_and_codes_that_it_does_not_know() {
    let words = Memory::of_len(2 * MEMORY_LEN);
    store(&words, 0, NEWER.as_bytes());
    let mut client = Client::attach(words.clone()).unwrap();
    let event = Event { place: U32::new(1), kind: U16::new(1000), ..Event::default() };
    store(&words, 0x2000, event.as_bytes());
    words.set_count(EVENTS_WRITTEN, 1);
    let event = client.event().unwrap();
    assert_eq!((event.known(), event.kind.get()), (None, 1000));

    client.ask(&Request::hello()).unwrap();
    let strange = Answer { code: U16::new(999), ..Answer::EMPTY };
    store(&words, 0x3000, strange.as_bytes());
    words.set_count(ANSWERS_WRITTEN, 1);
    let outcome = client.answer().unwrap().outcome();
    assert_eq!(outcome, Err(Failure::with(Code::Unknown, 999)));
}

#[test]
fn a_newer_client_is_told_what_an_older_server_has_not() {
    let memory = Memory::new();
    let _ = Server::begin(&memory);
    let mut machine = Machine::new();
    let newer = Request::hello().first(u64::from(VERSION) + 1);
    let answer = machine.ask(&host(), &newer);
    assert_eq!(answer.get::<Hello>().version.get(), VERSION);
    let more = Message::PowerOff.number() + 1;
    assert_eq!(answer.get::<Hello>().last_message.get(), more - 1);
    let asked = Request { message: U16::new(more), ..newer };
    assert_eq!(machine.ask(&host(), &asked).outcome(), Err(Failure::new(Code::Unknown)));
    let longer = Request { length: U16::new(72), ..newer };
    assert_eq!(machine.ask(&host(), &longer).outcome(), Err(Failure::new(Code::Length)));
}

#[test]
fn what_an_older_side_did_not_write_reads_as_zero() {
    // An older client's requests ended behind `first`.
    let request = Request { second: U64::new(7), data: [9; 32], ..Request::hello() };
    let request = Request { length: U16::new(24), ..request };
    let read = Request::read(request.as_bytes()).unwrap();
    assert_eq!((read.first.get(), read.second.get(), read.data), (1, 0, [0; 32]));
    // An older server's answers ended before the release.
    let mut answer = Answer::EMPTY;
    answer.put(&Hello { boot: U32::new(3), release: name("x").unwrap(), ..Hello::default() });
    answer.length = U16::new(16 + 32);
    let hello = answer.get::<Hello>();
    assert_eq!((hello.boot.get(), hello.release), (3, [0; 16]));
    // Nothing at all, or a length that cannot be, is zero or all there is.
    answer.length = U16::new(u16::MAX);
    assert_eq!(answer.get::<Hello>().release, name("x").unwrap());
    assert_eq!(Answer::EMPTY.get::<Row>(), Row::default());
}
