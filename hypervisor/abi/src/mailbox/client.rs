// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest's side of the rings: for an RTOS task, or a program under Linux.
//! One at a time may use a mailbox.

use super::answer::Answer;
use super::event::Event;
use super::request::Request;
use super::ring::{self, ANSWERS_WRITTEN, Header, MAGIC, REQUESTS_WRITTEN, Words};
use super::{ANSWER_LEN, EVENT_LEN, REQUEST_LEN};
use crate::records::{U16, U32};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

/// Why a memory is no mailbox that this build can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// It does not begin with [`MAGIC`].
    NoMailbox,
    /// Its header says what cannot be, or less than version 1 has.
    BadHeader,
    /// Its owner of before is still being answered; try again.
    Busy,
}

/// All slots have requests whose answers were not taken yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// What a guest knows of its mailbox.
#[derive(Clone, Debug)]
pub struct Client<W: Words> {
    words: W,
    header: Header,
    requests: u32,
    answers: u32,
    events: u32,
    lost: u64,
}

impl<W: Words> Client<W> {
    /// Begins to use a mailbox, whoever used it before. Events of before are not told.
    ///
    /// # Errors
    /// [`Attach`].
    pub fn attach(words: W) -> Result<Self, Attach> {
        let mut header = Header::new_zeroed();
        ring::load(&words, 0, header.as_mut_bytes());
        if header.magic != MAGIC {
            return Err(Attach::NoMailbox);
        }
        if !is_usable(&header) {
            return Err(Attach::BadHeader);
        }
        let answers = words.count(ANSWERS_WRITTEN);
        // Withdraws what was asked and not answered.
        words.set_count(REQUESTS_WRITTEN, answers);
        words.barrier();
        if words.count(ANSWERS_WRITTEN) != answers {
            return Err(Attach::Busy);
        }
        let events = words.count(ring::EVENTS_WRITTEN);
        Ok(Self { words, header, requests: answers, answers, events, lost: 0 })
    }

    /// The memory that it was attached to.
    pub const fn words(&self) -> &W {
        &self.words
    }

    /// Puts a request into the ring; its number, which its answer will repeat.
    /// Ring the doorbell then.
    ///
    /// # Errors
    /// [`Full`], and nothing happened.
    pub fn ask(&mut self, request: &Request) -> Result<u32, Full> {
        let slots = self.header.slots.get();
        if self.requests.wrapping_sub(self.answers) >= slots {
            return Err(Full);
        }
        let number = self.requests.wrapping_add(1);
        let length = u16::try_from(REQUEST_LEN).unwrap_or(0);
        let request = Request { number: U32::new(number), length: U16::new(length), ..*request };
        let size = self.header.request_len.get();
        let place = ring::slot(self.header.requests.get(), self.requests, slots, size);
        ring::store(&self.words, place, request.as_bytes());
        self.words.barrier();
        self.requests = number;
        self.words.set_count(REQUESTS_WRITTEN, number);
        self.words.barrier();
        Ok(number)
    }

    /// The next answer, if there is one; answers come in the order of the requests.
    pub fn answer(&mut self) -> Option<Answer> {
        if self.words.count(ANSWERS_WRITTEN) == self.answers || self.requests == self.answers {
            return None;
        }
        self.words.barrier();
        let slots = self.header.slots.get();
        let size = self.header.answer_len.get();
        let place = ring::slot(self.header.answers.get(), self.answers, slots, size);
        let mut bytes = [0; ANSWER_LEN];
        ring::load(&self.words, place, &mut bytes);
        self.answers = self.answers.wrapping_add(1);
        Some(Answer::read(&bytes))
    }

    /// The next event, if there is one.
    pub fn event(&mut self) -> Option<Event> {
        let slots = self.header.event_slots.get();
        let size = self.header.event_len.get();
        let written = self.words.count(ring::EVENTS_WRITTEN);
        // What was written before its count is seen after it.
        self.words.barrier();
        let behind = written.wrapping_sub(self.events);
        if behind > slots {
            self.skip(behind.wrapping_sub(slots));
        }
        // The writer may be faster than the reader a few times, but not for ever.
        for _ in 0..slots {
            if written == self.events {
                return None;
            }
            let place = ring::slot(self.header.events.get(), self.events, slots, size);
            let wanted = self.events.wrapping_add(1);
            let before = self.words.count(place);
            self.words.barrier();
            let mut bytes = [0; EVENT_LEN];
            ring::load(&self.words, place, &mut bytes);
            self.words.barrier();
            let whole = before == wanted && self.words.count(place) == wanted;
            if whole {
                self.events = wanted;
                return Event::read_from_bytes(&bytes).ok();
            }
            self.skip(1);
        }
        None
    }

    fn skip(&mut self, events: u32) {
        self.events = self.events.wrapping_add(events);
        self.lost = self.lost.saturating_add(events.into());
    }

    /// Events that were overwritten before they were read, since the last call.
    pub fn take_lost(&mut self) -> u64 {
        core::mem::take(&mut self.lost)
    }
}

/// Whether all that a header names lies in the memory and holds what version 1 has.
fn is_usable(header: &Header) -> bool {
    let rings = [
        (header.requests, header.request_len, header.slots, REQUEST_LEN),
        (header.answers, header.answer_len, header.slots, ANSWER_LEN),
        (header.events, header.event_len, header.event_slots, EVENT_LEN),
    ];
    header.version.get() > 0
        && rings.into_iter().all(|(first, len, slots, least)| {
            let [first, len, slots] = [first, len, slots].map(U32::get);
            let end = len.checked_mul(slots).and_then(|bytes| bytes.checked_add(first));
            first > ring::EVENTS_WRITTEN
                && len as usize >= least
                && slots.is_power_of_two()
                && first % 8 == 0
                && len % 8 == 0
                && end.is_some_and(|end| end <= header.memory.get())
        })
}
