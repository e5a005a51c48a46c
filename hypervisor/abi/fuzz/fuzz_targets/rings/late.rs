// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two sides that keep to the rules, over a memory that shows what one of them stored to the other
//! as late as it likes and, between two barriers, in any order. Each request is answered once and
//! in order; each event is told whole, and is lost only if it was overwritten.

use abi::crc32c::software;
use abi::mailbox::answer::Answer;
use abi::mailbox::client::{Client, Full};
use abi::mailbox::event::{Event, Kind};
use abi::mailbox::request::Request;
use abi::mailbox::ring::{EVENT_SLOTS, Found, MEMORY_LEN, SLOTS, Server, Words};
use abi::mailbox::{Message, OWN};
use abi::records::U64;
use libfuzzer_sys::arbitrary::Unstructured;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

/// Bytes behind an input.
const MORE: usize = 256;

/// What a side did that the other cannot see yet.
#[derive(Clone, Copy, Debug)]
enum Late {
    Store(u32, u32),
    Barrier,
}

/// What a side stored: on its way, and at the other side, which may still load older words until
/// its next barrier.
#[derive(Default)]
struct Stores {
    late: VecDeque<Late>,
    arrived: Vec<(u32, u32)>,
}

/// The memory as each side sees it: the hypervisor, 0, and the guest, 1.
struct Memory<'a> {
    halves: [Vec<Cell<u32>>; 2],
    input: RefCell<Unstructured<'a>>,
    stores: [RefCell<Stores>; 2],
    /// Loads for which nothing arrives, and whether they find what had arrived before.
    quiet: Cell<(u8, bool)>,
}

/// One side's view.
#[derive(Clone, Copy)]
struct View<'a> {
    memory: &'a Memory<'a>,
    side: usize,
}

impl<'a> Memory<'a> {
    fn new(input: &'a [u8]) -> Self {
        let halves = || vec![Cell::new(0); MEMORY_LEN as usize / 4];
        let input = RefCell::new(Unstructured::new(input));
        Self {
            halves: [halves(), halves()],
            input,
            stores: Default::default(),
            quiet: Cell::default(),
        }
    }

    fn byte(&self) -> u8 {
        self.input.borrow_mut().arbitrary().unwrap_or(0)
    }

    fn is_over(&self) -> bool {
        self.input.borrow().is_empty()
    }

    /// Before a load some stores of the other side arrive; whether the load finds them.
    fn happen(&self, side: usize) -> bool {
        let byte = self.byte();
        let fresh = byte & 0x40 == 0;
        if byte & 0x80 == 0 {
            self.quiet.set((byte % 64, fresh));
        } else {
            let stores = [1, 2, 3, 5, 8, 13, 21, 34][usize::from(byte % 8)];
            (0..stores).for_each(|_| self.bring_one(side));
        }
        fresh
    }

    /// One store of a side arrives, if there is one: any of those before its first barrier.
    fn bring_one(&self, side: usize) {
        let Stores { late, arrived } = &mut *self.stores[side].borrow_mut();
        while matches!(late.front(), Some(Late::Barrier)) {
            late.pop_front();
        }
        let free = late.iter().take_while(|late| matches!(late, Late::Store(..))).count();
        if free == 0 {
            return;
        }
        // The last one often: a count or a mark, which nothing behind it may pass.
        let chosen = match self.byte() {
            0..0x60 => 0,
            0x60..0xc0 => free - 1,
            byte => usize::from(byte) % free,
        };
        let Some(Late::Store(offset, _)) = late.get(chosen).copied() else { return };
        // Stores to one word keep their order.
        let same = |late: &Late| matches!(late, Late::Store(at, _) if *at == offset);
        let place = late.iter().position(same).unwrap_or(chosen);
        if let Some(Late::Store(offset, value)) = late.remove(place) {
            arrived.push((offset, value));
        }
    }

    /// The other side sees what arrived of a side's stores to a word, or to all.
    fn see(&self, side: usize, word: Option<u32>) {
        self.stores[side].borrow_mut().arrived.retain(|(offset, value)| {
            let seen = word.is_none_or(|word| word == *offset);
            if seen {
                self.halves[1 - side][*offset as usize / 4].set(*value);
            }
            !seen
        });
    }

    /// The other side sees all that a side stored.
    fn settle(&self, side: usize) {
        while !self.stores[side].borrow().late.is_empty() {
            self.bring_one(side);
        }
        self.see(side, None);
    }
}

impl Words for View<'_> {
    fn load(&self, offset: u32) -> [u8; 8] {
        let [low, high] = [offset, offset + 4].map(|offset| u64::from(self.count(offset)));
        (high << 32 | low).to_le_bytes()
    }

    fn store(&self, offset: u32, bytes: [u8; 8]) {
        let word = u64::from_le_bytes(bytes);
        self.set_count(offset, word as u32);
        self.set_count(offset + 4, (word >> 32) as u32);
    }

    fn count(&self, offset: u32) -> u32 {
        let fresh = match self.memory.quiet.get() {
            (0, _) => self.memory.happen(1 - self.side),
            (loads, fresh) => {
                self.memory.quiet.set((loads - 1, fresh));
                fresh
            }
        };
        // Newest, or as old as at the last barrier.
        if fresh {
            self.memory.see(1 - self.side, Some(offset));
        }
        self.memory.halves[self.side][offset as usize / 4].get()
    }

    fn set_count(&self, offset: u32, count: u32) {
        self.memory.halves[self.side][offset as usize / 4].set(count);
        self.memory.stores[self.side].borrow_mut().late.push_back(Late::Store(offset, count));
    }

    fn barrier(&self) {
        self.memory.stores[self.side].borrow_mut().late.push_back(Late::Barrier);
        self.memory.see(1 - self.side, None);
    }
}

/// Both sides, and what was done so far.
struct Mailbox<'a> {
    memory: &'a Memory<'a>,
    server: Server,
    client: Client<View<'a>>,
    asked: u32,
    answered: u32,
    taken: u32,
    written: u64,
    /// The event that is told next, if it is not lost.
    next: u64,
}

pub(crate) fn run(input: &[u8]) {
    let input = stretched(input);
    let memory = Memory::new(&input);
    let server = Server::begin(&View { memory: &memory, side: 0 });
    memory.settle(0);
    let client = Client::attach(View { memory: &memory, side: 1 }).unwrap();
    memory.settle(1);
    let mut mailbox = Mailbox {
        memory: &memory,
        server,
        client,
        asked: 0,
        answered: 0,
        taken: 0,
        written: 0,
        next: 0,
    };
    while !memory.is_over() {
        match memory.byte() % 8 {
            0 | 1 => mailbox.ask(),
            2 | 3 => mailbox.serve(),
            4 => mailbox.take(),
            5 => mailbox.tell_some(),
            _ => mailbox.listen(),
        }
    }
    mailbox.finish();
}

impl Mailbox<'_> {
    fn ask(&mut self) {
        let request = Request::new(Message::Log, OWN).first(told(self.asked + 1));
        match self.client.ask(&request) {
            Ok(number) => {
                self.asked += 1;
                assert_eq!(number, self.asked);
                assert!(self.asked - self.taken <= SLOTS);
            }
            Err(Full) => assert_eq!(self.asked - self.taken, SLOTS),
        }
    }

    fn serve(&mut self) {
        let view = View { memory: self.memory, side: 0 };
        match self.server.next(&view) {
            Found::Nothing => {}
            Found::Refused => panic!("refused with {} asked", self.asked),
            Found::Request(bytes) => {
                self.answered += 1;
                let request = Request::read(&bytes).unwrap();
                let expected = Request::new(Message::Log, OWN).first(told(self.answered));
                assert_eq!(request.number.get(), self.answered);
                assert_eq!(Request { number: expected.number, ..request }, expected);
                let mut answer = Answer { number: request.number, ..Answer::EMPTY };
                let word = request.first.get().to_le_bytes();
                answer.body.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&word));
                self.server.answer(&view, &answer);
            }
        }
    }

    fn take(&mut self) {
        let Some(answer) = self.client.answer() else { return };
        self.taken += 1;
        assert!(self.taken <= self.answered);
        assert_eq!(answer.number.get(), self.taken);
        let word = told(self.taken).to_le_bytes();
        assert!(answer.body.chunks(8).all(|chunk| chunk == word));
    }

    /// Mostly one event, seldom more than the ring holds.
    fn tell_some(&mut self) {
        let events = match self.memory.byte() {
            byte @ 0xe0.. => byte % 40,
            byte => byte % 3,
        };
        (0..=events).for_each(|_| self.tell());
    }

    fn tell(&mut self) {
        let view = View { memory: self.memory, side: 0 };
        self.server.tell(&view, &event(self.written));
        self.written += 1;
    }

    fn listen(&mut self) {
        let event = self.client.event();
        let lost = self.client.take_lost();
        self.next += lost;
        // The writer was a whole ring ahead of each that was lost.
        let overwritten = self.written.saturating_sub(EVENT_SLOTS.into());
        assert!(lost == 0 || self.next <= overwritten, "{} of {}", self.next, self.written);
        if let Some(found) = event {
            assert_eq!(Event { place: 0.into(), ..found }, self::event(self.next));
            self.next += 1;
        }
    }

    /// When all is seen by both, nothing is left that was not answered, or not told.
    fn finish(mut self) {
        for _ in 0..=SLOTS {
            self.memory.settle(1);
            self.serve();
        }
        self.memory.settle(0);
        assert_eq!(self.answered, self.asked);
        while self.taken < self.asked {
            let before = self.taken;
            self.take();
            assert_eq!(self.taken, before + 1);
        }
        while self.next < self.written {
            let before = self.next;
            self.listen();
            assert!(self.next > before);
        }
        assert_eq!((self.client.answer(), self.client.event()), (None, None));
    }
}

/// The input and bytes that follow from it: strange orders take more than libFuzzer soon comes to.
fn stretched(input: &[u8]) -> Vec<u8> {
    let mut state = u64::from(software(0, input)) | 1 << 32;
    let more = core::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    });
    input.iter().copied().chain(more.take(MORE)).collect()
}

/// Something that no other request has.
fn told(number: u32) -> u64 {
    u64::from(number).wrapping_mul(0x0001_0001_0001_0001)
}

/// An event of which no two words can come from different ones.
fn event(number: u64) -> Event {
    let word = |place: u64| U64::new(number * 8 + place);
    let reserved = [word(4), word(5)];
    let [number, time_ns, first, second] = [0, 1, 2, 3].map(word);
    Event { number, time_ns, first, second, reserved, ..Event::new(Kind::Started, None) }
}
