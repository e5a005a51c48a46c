// SPDX-License-Identifier: MIT OR Apache-2.0
//! A page that one side uses while the other, which the input speaks for, changes words of it
//! before each load. What the first side does is noted, for its test to judge.

use abi::mailbox::ring::{
    ANSWERS_WRITTEN, EVENTS_WRITTEN, MEMORY_LEN, REQUESTS, REQUESTS_WRITTEN, Words,
};
use libfuzzer_sys::arbitrary::Unstructured;
use std::cell::{Cell, RefCell};

/// Where a header says how much memory there is.
const MEMORY_FIELD: u32 = 12;

/// One access by the side under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Load(u32, [u8; 8]),
    Count(u32, u32),
    Store(u32, [u8; 8]),
    SetCount(u32, u32),
    Barrier,
}

pub(crate) struct Page<'a> {
    halves: Vec<Cell<u32>>,
    input: RefCell<Unstructured<'a>>,
    done: RefCell<Vec<Access>>,
    /// Accesses before which nothing changes.
    quiet: Cell<u8>,
}

impl<'a> Page<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        let halves = vec![Cell::new(0); MEMORY_LEN as usize / 4];
        Self {
            halves,
            input: RefCell::new(Unstructured::new(input)),
            done: RefCell::default(),
            quiet: Cell::new(0),
        }
    }

    /// What the side under test did since the last call, without its barriers.
    pub(crate) fn take_done(&self) -> Vec<Access> {
        let mut done = self.done.take();
        done.retain(|access| *access != Access::Barrier);
        done
    }

    pub(crate) fn is_over(&self) -> bool {
        self.input.borrow().is_empty()
    }

    /// The input's next byte; zero behind its end.
    pub(crate) fn byte(&self) -> u8 {
        self.input.borrow_mut().arbitrary().unwrap_or(0)
    }

    pub(crate) fn number(&self) -> u32 {
        self.input.borrow_mut().arbitrary().unwrap_or(0)
    }

    pub(crate) fn half(&self, offset: u32) -> u32 {
        self.halves[offset as usize / 4].get()
    }

    pub(crate) fn set_half(&self, offset: u32, value: u32) {
        self.halves[offset as usize / 4].set(value);
    }

    pub(crate) fn word(&self, offset: u32) -> [u8; 8] {
        let [low, high] = [self.half(offset), self.half(offset + 4)].map(u64::from);
        (high << 32 | low).to_le_bytes()
    }

    /// The other side changes a word: often a count by a little, which is most like the truth.
    pub(crate) fn change(&self) {
        let choice = self.byte();
        let count = |offset| (offset, self.half(offset).wrapping_add(u32::from(choice >> 2)));
        let (offset, value) = match choice & 3 {
            0 => count(REQUESTS_WRITTEN),
            1 => count(if choice & 4 == 0 { ANSWERS_WRITTEN } else { EVENTS_WRITTEN }),
            2 => ((REQUESTS + self.number() % 0x1c00) & !3, self.number()),
            _ => ((self.number() % MEMORY_LEN) & !3, self.number()),
        };
        // A guest believes the hypervisor about how much memory there is, and about nothing else.
        let most = if offset == MEMORY_FIELD { MEMORY_LEN } else { u32::MAX };
        self.set_half(offset, value.min(most));
    }

    /// Seldom enough that what is read is mostly what was written.
    fn meddle(&self) {
        match self.quiet.get() {
            0 => match self.byte() {
                0xc0.. => self.change(),
                loads => self.quiet.set(loads % 32),
            },
            loads => self.quiet.set(loads - 1),
        }
    }

    fn note(&self, access: Access) {
        self.done.borrow_mut().push(access);
    }
}

impl Words for &Page<'_> {
    fn load(&self, offset: u32) -> [u8; 8] {
        assert!(offset.is_multiple_of(8) && offset < MEMORY_LEN, "load of {offset:#x}");
        self.meddle();
        let word = self.word(offset);
        self.note(Access::Load(offset, word));
        word
    }

    fn store(&self, offset: u32, bytes: [u8; 8]) {
        assert!(offset.is_multiple_of(8) && offset < MEMORY_LEN, "store to {offset:#x}");
        self.meddle();
        let word = u64::from_le_bytes(bytes);
        self.set_half(offset, word as u32);
        self.set_half(offset + 4, (word >> 32) as u32);
        self.note(Access::Store(offset, bytes));
    }

    fn count(&self, offset: u32) -> u32 {
        assert!(offset.is_multiple_of(4) && offset < MEMORY_LEN, "load of {offset:#x}");
        self.meddle();
        let count = self.half(offset);
        self.note(Access::Count(offset, count));
        count
    }

    fn set_count(&self, offset: u32, count: u32) {
        assert!(offset.is_multiple_of(4) && offset < MEMORY_LEN, "store to {offset:#x}");
        self.meddle();
        self.set_half(offset, count);
        self.note(Access::SetCount(offset, count));
    }

    fn barrier(&self) {
        self.note(Access::Barrier);
    }
}
