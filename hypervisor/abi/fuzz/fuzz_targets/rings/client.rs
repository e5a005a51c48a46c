// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest's side against a hypervisor that writes anything, header and counts included: the guest
//! stays in what the header names, takes no more answers than it asked for, and comes to an end.

use crate::page::{Access, Page};
use abi::mailbox::client::{Attach, Client, Full};
use abi::mailbox::request::Request;
use abi::mailbox::ring::{
    ANSWERS_WRITTEN, EVENTS_WRITTEN, Header, MAGIC, MEMORY_LEN, REQUESTS_WRITTEN, Server,
};
use abi::mailbox::{ANSWER_LEN, EVENT_LEN, REQUEST_LEN};
use zerocopy::{FromBytes, IntoBytes};

pub(crate) fn run(input: &[u8]) {
    let page = Page::new(input);
    let quiet = Page::new(&[]);
    let _ = Server::begin(&&quiet);
    for offset in (0..MEMORY_LEN).step_by(4) {
        page.set_half(offset, quiet.half(offset));
    }
    // A header that is wrong in a place or two.
    for _ in 0..page.byte() % 4 {
        let (field, value) = (u32::from(page.byte()) % 12 * 4, page.number() >> (page.byte() % 32));
        page.set_half(field, if field == 12 { value.min(MEMORY_LEN) } else { value });
    }
    let attached = Client::attach(&page);
    let done = page.take_done();
    let header = loaded::<64>(&done[..8], 0);
    let header = Header::read_from_bytes(&header).unwrap();
    let client = match attached {
        Ok(client) => client,
        Err(Attach::NoMailbox) => return assert_ne!(header.magic, MAGIC),
        Err(Attach::BadHeader) => return assert_ne!(header, Header::OWN),
        Err(Attach::Busy) => {
            let counts = done.iter().filter_map(|access| match access {
                Access::Count(ANSWERS_WRITTEN, count) => Some(*count),
                _ => None,
            });
            let counts: Vec<u32> = counts.collect();
            return assert!(matches!(counts[..], [first, second] if first != second));
        }
    };
    let [.., Access::Count(EVENTS_WRITTEN, events)] = done[..] else { panic!("{done:?}") };
    let begun = done.iter().find_map(|access| match access {
        Access::SetCount(REQUESTS_WRITTEN, count) => Some(*count),
        _ => None,
    });
    assert_eq!(header.magic, MAGIC);
    let mut side =
        Side { page: &page, client, header, begun: begun.unwrap(), asked: 0, taken: 0, events };
    while !page.is_over() {
        match page.byte() % 4 {
            0 => page.change(),
            1 => side.ask(),
            2 => side.answer(),
            _ => side.event(),
        }
    }
}

/// The client, and what it must be true to.
struct Side<'a> {
    page: &'a Page<'a>,
    client: Client<&'a Page<'a>>,
    header: Header,
    /// Its count of requests when it began.
    begun: u32,
    asked: u32,
    taken: u32,
    /// The event that it reads next.
    events: u32,
}

impl Side<'_> {
    fn ask(&mut self) {
        let slots = self.header.slots.get();
        match self.client.ask(&Request::hello()) {
            Err(Full) => {
                assert_eq!(self.asked - self.taken, slots);
                assert!(self.page.take_done().is_empty());
            }
            Ok(number) => {
                assert!(self.asked - self.taken < slots);
                let ring = (self.header.requests.get(), self.header.request_len.get(), slots);
                let place = place(ring, self.begun.wrapping_add(self.asked), REQUEST_LEN);
                self.asked += 1;
                assert_eq!(number, self.begun.wrapping_add(self.asked));
                let done = self.page.take_done();
                let (count, stores) = done.split_last().unwrap();
                assert_eq!(*count, Access::SetCount(REQUESTS_WRITTEN, number));
                let bytes = stored(stores, place);
                let request = Request::read(&bytes).unwrap();
                assert_eq!(request.number.get(), number);
                assert_eq!(request.first, Request::hello().first);
            }
        }
    }

    fn answer(&mut self) {
        let answer = self.client.answer();
        let done = self.page.take_done();
        assert!(matches!(done[0], Access::Count(ANSWERS_WRITTEN, _)));
        let Some(answer) = answer else { return assert_eq!(done.len(), 1) };
        assert!(self.taken < self.asked);
        let ring =
            (self.header.answers.get(), self.header.answer_len.get(), self.header.slots.get());
        let place = place(ring, self.begun.wrapping_add(self.taken), ANSWER_LEN);
        self.taken += 1;
        assert_eq!(answer.as_bytes(), loaded::<ANSWER_LEN>(&done[1..], place));
    }

    fn event(&mut self) {
        let event = self.client.event();
        let done = self.page.take_done();
        let slots = self.header.event_slots.get();
        assert!(done.len() <= 1 + slots as usize * (2 + EVENT_LEN / 8));
        self.events = self.events.wrapping_add(self.client.take_lost() as u32);
        let Some(event) = event else { return };
        let ring = (self.header.events.get(), self.header.event_len.get(), slots);
        let place = place(ring, self.events, EVENT_LEN);
        self.events = self.events.wrapping_add(1);
        let last = &done[done.len() - (2 + EVENT_LEN / 8)..];
        let [Access::Count(before, first), words @ .., Access::Count(after, second)] = last else {
            panic!("{last:?}");
        };
        assert_eq!((*before, *first), (place, self.events));
        assert_eq!((*after, *second), (place, self.events));
        assert_eq!(event.as_bytes(), loaded::<EVENT_LEN>(words, place));
    }
}

/// Where a number lies in a ring, which must be inside the page.
fn place((first, len, slots): (u32, u32, u32), number: u32, least: usize) -> u32 {
    let place = first + number % slots * len;
    assert!(len as usize >= least && place + len <= MEMORY_LEN);
    place
}

/// What was loaded from an offset on, word by word.
fn loaded<const LEN: usize>(loads: &[Access], from: u32) -> [u8; LEN] {
    assert_eq!(loads.len(), LEN / 8);
    let mut bytes = [0; LEN];
    for ((load, offset), into) in loads.iter().zip((from..).step_by(8)).zip(bytes.chunks_mut(8)) {
        match load {
            Access::Load(at, word) if *at == offset => into.copy_from_slice(word),
            other => panic!("{other:?} instead of a load from {offset:#x}"),
        }
    }
    bytes
}

/// What was stored from an offset on, word by word.
fn stored(stores: &[Access], from: u32) -> Vec<u8> {
    let word = |(store, offset): (&Access, u32)| match store {
        Access::Store(at, word) if *at == offset => *word,
        other => panic!("{other:?} instead of a store to {offset:#x}"),
    };
    stores.iter().zip((from..).step_by(8)).flat_map(word).collect()
}
