// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hypervisor's side against a guest that changes its page at any moment.

use crate::machine::{Machine, set};
use crate::page::{Access, Page};
use abi::mailbox::client::Client;
use abi::mailbox::event::{Event, Kind};
use abi::mailbox::request::Request;
use abi::mailbox::rights::{Asker, Rights};
use abi::mailbox::ring::{
    ANSWERS, ANSWERS_WRITTEN, EVENT_SLOTS, EVENTS, EVENTS_WRITTEN, Found, Header, REQUESTS,
    REQUESTS_WRITTEN, SLOTS, Server,
};
use abi::mailbox::server::serve;
use abi::mailbox::state::State;
use abi::mailbox::{ANSWER_LEN, EVENT_LEN, Message, OWN, REQUEST_LEN};
use abi::records::{U16, U32, U64};
use zerocopy::IntoBytes;

/// The server, and what it must be true to.
struct Side<'a> {
    page: &'a Page<'a>,
    server: Server,
    machine: Machine,
    answers: u32,
    events: u32,
}

pub(crate) fn run(input: &[u8]) {
    let page = Page::new(input);
    let server = Server::begin(&&page);
    page.take_done();
    let machine = Machine::new();
    let mut side = Side { page: &page, server, machine, answers: 0, events: 0 };
    while !page.is_over() {
        match page.byte() % 8 {
            0 => page.change(),
            1 => side.tell(),
            2..5 => side.ask(),
            _ => side.turn(),
        }
    }
    side.recover();
}

impl Side<'_> {
    /// The guest writes what looks like a request where the server reads next.
    fn ask(&self) {
        let (message, length, partition) =
            (self.page.byte() % 26, self.page.byte(), self.page.byte() % 6);
        let partition = if partition < 5 { partition.into() } else { OWN };
        let length = if length < 0xf0 { REQUEST_LEN as u16 } else { length.into() };
        let request = Request {
            number: U32::new(self.page.number()),
            message: U16::new(message.into()),
            length: U16::new(length),
            first: U64::new(self.page.byte().into()),
            ..Request::new(Message::Hello, partition)
        };
        let place = REQUESTS + self.answers % SLOTS * REQUEST_LEN as u32;
        for (offset, half) in (place..).step_by(4).zip(request.as_bytes().chunks(4)) {
            self.page.set_half(offset, u32::from_le_bytes(half.try_into().unwrap()));
        }
        self.page.set_half(REQUESTS_WRITTEN, self.answers.wrapping_add(1));
    }

    /// One request, if there is one: read once, word by word, and answered once.
    fn turn(&mut self) {
        let words = self.page;
        let found = self.server.next(&words);
        let done = self.page.take_done();
        let [Access::Count(REQUESTS_WRITTEN, count), loads @ ..] = &done[..] else {
            panic!("{done:?}");
        };
        let bytes = match (found, count.wrapping_sub(self.answers)) {
            (Found::Nothing, 0) => return assert!(loads.is_empty()),
            (Found::Refused, owed) => return assert!(owed > SLOTS && loads.is_empty()),
            (Found::Request(bytes), 1..=SLOTS) => bytes,
            (found, owed) => panic!("{owed} are owed and the server finds {found:?}"),
        };
        let place = REQUESTS + self.answers % SLOTS * REQUEST_LEN as u32;
        let read = (place..).step_by(8).zip(bytes.chunks(8));
        let read = read.map(|(offset, word)| Access::Load(offset, word.try_into().unwrap()));
        assert_eq!(loads, read.collect::<Vec<_>>());

        let observe = set(&[0, 1, 2, 3]);
        let rights = Rights { observe, control: set(&[1]), ..Rights::default() };
        let asker = Asker { own: Some(0), rights };
        let answer = serve(&bytes, &asker, &mut self.machine);
        assert_eq!(answer.number, Request::read(&bytes).unwrap_or_else(|(head, _)| head).number);
        assert!(self.machine.done.len() <= 1);
        assert_eq!(self.machine.states[2..], [State::Running; 2]);
        self.machine = Machine::new();

        self.server.answer(&words, &answer);
        let place = ANSWERS + self.answers % SLOTS * ANSWER_LEN as u32;
        self.answers = self.answers.wrapping_add(1);
        let count = Access::SetCount(ANSWERS_WRITTEN, self.answers);
        assert_eq!(self.page.take_done(), [stores(place, answer.as_bytes()), vec![count]].concat());
    }

    /// An event, which is hidden while it is written.
    fn tell(&mut self) {
        let event = Event {
            first: U64::new(self.page.number().into()),
            ..Event::new(Kind::Denied, Some(self.page.byte().into()))
        };
        let words = self.page;
        self.server.tell(&words, &event);
        let place = EVENTS + self.events % EVENT_SLOTS * EVENT_LEN as u32;
        self.events = self.events.wrapping_add(1);
        let mut expected = vec![Access::SetCount(place, 0)];
        expected.extend(stores(place, event.as_bytes()));
        expected.push(Access::SetCount(place, self.events));
        expected.push(Access::SetCount(EVENTS_WRITTEN, self.events));
        assert_eq!(self.page.take_done(), expected);
    }

    /// Another program of the guest, which mends what the one before spoilt of what is the
    /// hypervisor's, begins and is answered.
    fn recover(mut self) {
        let page = self.page;
        for (offset, half) in (0..).step_by(4).zip(Header::OWN.as_bytes().chunks(4)) {
            page.set_half(offset, u32::from_le_bytes(half.try_into().unwrap()));
        }
        page.set_half(ANSWERS_WRITTEN, self.answers);
        let mut client = Client::attach(page).unwrap();
        let number = client.ask(&Request::hello()).unwrap();
        page.take_done();
        self.turn();
        assert_eq!(client.answer().unwrap().number.get(), number);
        assert_eq!((client.answer(), self.server.next(&page)), (None, Found::Nothing));
    }
}

/// Bytes as they are stored from an offset on.
fn stores(offset: u32, bytes: &[u8]) -> Vec<Access> {
    let words = (offset..).step_by(8).zip(bytes.chunks(8));
    words.map(|(offset, word)| Access::Store(offset, word.try_into().unwrap())).collect()
}
