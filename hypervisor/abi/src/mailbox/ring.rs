// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shared memory of a mailbox: where the rings lie, and the hypervisor's side.
//!
//! ```text
//!  0x0000 header, by the hypervisor: what lies where      0x0400 16 requests of  64 bytes
//!  0x0040 requests written so far, by the guest           0x0800 32 events   of  64 bytes
//!  0x0080 answers, events written so far, by the hyp.     0x1000 16 answers  of 256 bytes
//! ```
//! Counts only grow, modulo 2^32; place N of a ring is number N modulo its slots.
//! The hypervisor believes its own counts, which it keeps to itself, and reads
//! of the guest's one word and each request once. An event ring has no reader's
//! count: the writer overwrites, and the reader sees by [`Event::place`] what it lost.

use super::answer::Answer;
use super::event::Event;
use super::{ANSWER_LEN, EVENT_LEN, REQUEST_LEN, VERSION};
use crate::records::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// First bytes of the shared memory.
pub const MAGIC: [u8; 8] = *b"BULKMBOX";
/// Bytes of the shared memory.
pub const MEMORY_LEN: u32 = 0x2000;
/// Offset of the guest's count of requests.
pub const REQUESTS_WRITTEN: u32 = 0x40;
/// Offset of the hypervisor's count of answers.
pub const ANSWERS_WRITTEN: u32 = 0x80;
/// Offset of the hypervisor's count of events.
pub const EVENTS_WRITTEN: u32 = 0x84;
/// Offset of the first request.
pub const REQUESTS: u32 = 0x400;
/// Offset of the first event.
pub const EVENTS: u32 = 0x800;
/// Offset of the first answer.
pub const ANSWERS: u32 = 0x1000;
/// Requests, and answers, that fit at once; a power of two.
pub const SLOTS: u32 = 16;
/// Events that fit at once; a power of two.
pub const EVENT_SLOTS: u32 = 32;

/// Whether the hypervisor alone writes the word at an offset, once a mailbox has begun.
#[must_use]
pub const fn is_servers(offset: u32) -> bool {
    offset < REQUESTS_WRITTEN || offset >= ANSWERS_WRITTEN && offset < REQUESTS || offset >= EVENTS
}

/// Memory that two programs share, in aligned accesses of 32 and 64 bits, which
/// are single-copy atomic. An offset outside, or not aligned, reads zero and writes nothing.
pub trait Words {
    /// Loads the bytes of a 64-bit word.
    fn load(&self, offset: u32) -> [u8; 8];
    /// Stores them.
    fn store(&self, offset: u32, bytes: [u8; 8]);
    /// Loads a little-endian count.
    fn count(&self, offset: u32) -> u32;
    /// Stores it.
    fn set_count(&self, offset: u32, count: u32);
    /// Orders what comes before against what follows, for the other side too.
    fn barrier(&self);
}

/// Loads from `offset` on.
pub(super) fn load(words: &dyn Words, offset: u32, into: &mut [u8]) {
    for (place, chunk) in (offset..).step_by(8).zip(into.chunks_mut(8)) {
        for (to, from) in chunk.iter_mut().zip(words.load(place)) {
            *to = from;
        }
    }
}

/// Stores from `offset` on; the last word is filled up with zeros.
pub(super) fn store(words: &dyn Words, offset: u32, bytes: &[u8]) {
    for (place, chunk) in (offset..).step_by(8).zip(bytes.chunks(8)) {
        let mut word = [0; 8];
        for (to, from) in word.iter_mut().zip(chunk) {
            *to = *from;
        }
        words.store(place, word);
    }
}

/// Offset of place `number` in a ring.
pub(super) const fn slot(first: u32, number: u32, slots: u32, size: u32) -> u32 {
    first.wrapping_add((number & slots.wrapping_sub(1)).wrapping_mul(size))
}

/// What lies where, so that a later version can move it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Header {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// The highest [`VERSION`] that the hypervisor speaks.
    pub version: U32,
    /// Bytes of the memory.
    pub memory: U32,
    /// Offset of the first request.
    pub requests: U32,
    /// Bytes of a request.
    pub request_len: U32,
    /// Offset of the first answer.
    pub answers: U32,
    /// Bytes of an answer.
    pub answer_len: U32,
    /// Requests, and answers, that fit.
    pub slots: U32,
    /// Offset of the first event.
    pub events: U32,
    /// Bytes of an event.
    pub event_len: U32,
    /// Events that fit.
    pub event_slots: U32,
    /// Zero.
    pub reserved: [U32; 4],
}

const _: () = assert!(size_of::<Header>() == REQUESTS_WRITTEN as usize);

impl Header {
    /// That of this build.
    #[expect(clippy::cast_possible_truncation, reason = "all below 8 KiB")]
    pub const OWN: Self = Self {
        magic: MAGIC,
        version: U32::new(VERSION),
        memory: U32::new(MEMORY_LEN),
        requests: U32::new(REQUESTS),
        request_len: U32::new(REQUEST_LEN as u32),
        answers: U32::new(ANSWERS),
        answer_len: U32::new(ANSWER_LEN as u32),
        slots: U32::new(SLOTS),
        events: U32::new(EVENTS),
        event_len: U32::new(EVENT_LEN as u32),
        event_slots: U32::new(EVENT_SLOTS),
        reserved: [U32::new(0); 4],
    };
}

/// What the hypervisor finds in the request ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// No request.
    Nothing,
    /// The guest's count says more than the ring holds. Nothing is read until it is right again.
    Refused,
    /// The next request, which [`Server::answer`] is to answer.
    Request([u8; REQUEST_LEN]),
}

/// The hypervisor's side: its counts. The memory is the guest's to spoil.
#[derive(Clone, Debug, Default)]
pub struct Server {
    answers: u32,
    events: u32,
}

impl Server {
    /// Of a mailbox that has not begun.
    pub const NEW: Self = Self { answers: 0, events: 0 };

    /// A mailbox of a partition that starts: header and counts are written anew.
    /// The rest of the memory was zeroed.
    #[must_use]
    pub fn begin(words: &dyn Words) -> Self {
        words.set_count(REQUESTS_WRITTEN, 0);
        words.set_count(ANSWERS_WRITTEN, 0);
        words.set_count(EVENTS_WRITTEN, 0);
        store(words, 0, Header::OWN.as_bytes());
        words.barrier();
        Self::default()
    }

    /// The next request.
    #[must_use]
    pub fn next(&self, words: &dyn Words) -> Found {
        match words.count(REQUESTS_WRITTEN).wrapping_sub(self.answers) {
            0 => Found::Nothing,
            1..=SLOTS => {
                // What the guest wrote before its count is seen after it.
                words.barrier();
                let mut request = [0; REQUEST_LEN];
                load(words, slot(REQUESTS, self.answers, SLOTS, LEN), &mut request);
                Found::Request(request)
            }
            _ => Found::Refused,
        }
    }

    /// Answers the request that [`Server::next`] found.
    pub fn answer(&mut self, words: &dyn Words, answer: &Answer) {
        store(words, slot(ANSWERS, self.answers, SLOTS, ANSWER), answer.as_bytes());
        self.answers = self.answers.wrapping_add(1);
        words.barrier();
        words.set_count(ANSWERS_WRITTEN, self.answers);
    }

    /// Writes an event over the oldest one.
    pub fn tell(&mut self, words: &dyn Words, event: &Event) {
        let place = slot(EVENTS, self.events, EVENT_SLOTS, EVENT);
        self.events = self.events.wrapping_add(1);
        // A reader that meets zero, or another place than before, knows that it read too late.
        words.set_count(place, 0);
        words.barrier();
        let hidden = Event { place: U32::new(0), ..*event };
        store(words, place, hidden.as_bytes());
        words.barrier();
        words.set_count(place, self.events);
        // Who sees the new count finds the event in its place, and does not take it for lost.
        words.barrier();
        words.set_count(EVENTS_WRITTEN, self.events);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "64")]
const LEN: u32 = REQUEST_LEN as u32;
#[expect(clippy::cast_possible_truncation, reason = "256")]
const ANSWER: u32 = ANSWER_LEN as u32;
#[expect(clippy::cast_possible_truncation, reason = "64")]
const EVENT: u32 = EVENT_LEN as u32;
