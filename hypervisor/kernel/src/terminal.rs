// SPDX-License-Identifier: MIT OR Apache-2.0
//! One partition's end of the console: the line it is writing, made harmless,
//! and the bytes typed for it.
//!
//! A guest can reach neither another partition's line nor its own tag: control
//! characters become text, but BS, TAB and CR in the line of the partition in
//! focus, where BS stops at the tag and CR writes the tag again.

use crate::arch::time;
use crate::console::{self, PROMPT_NS};
use crate::log::{self, Seldom};
use abi::mailbox::body::{PIECE, Piece};
use abi::mailbox::event::Kind;

/// Bytes of a line that are kept; a longer one is shown in pieces.
const LINE: usize = 192;
/// Most bytes that one byte of a guest becomes.
const WIDEST: usize = 4;
/// Bytes typed for a guest that it has not read yet.
const TYPED: usize = 256;
/// Bytes that a guest may write at once.
const BURST: u64 = 64 * 1024;
/// The last bytes that a guest wrote, for whoever reads its console by the mailbox.
const HISTORY: usize = 2048;
/// Time in which it earns one more byte: 32 KiB a second.
const BYTE_NS: u64 = 30_518;

/// What [`Terminal::show`] has to say to the console.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// The whole line so far, as far as it was kept.
    pub line: &'a [u8],
    /// How much of it stands on the screen, if this partition was the last to write there.
    pub known: usize,
    /// The line begins again at its tag.
    pub again: bool,
    /// The line is complete.
    pub finished: bool,
}

/// Bytes since the machine started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Written by the guest and taken.
    pub written: u64,
    /// Written by the guest and dropped, for want of space.
    pub dropped: u64,
    /// Typed for the guest and dropped, for want of space.
    pub untyped: u64,
}

/// The line being written, and the bytes typed.
#[derive(Debug)]
pub struct Terminal {
    line: [u8; LINE],
    len: usize,
    known: usize,
    column: usize,
    returned: bool,
    again: bool,
    finished: bool,
    in_focus: bool,
    dropped: u64,
    counts: Counts,
    history: [u8; HISTORY],
    told: Seldom,
    credit: u64,
    earned: u64,
    typed: [u8; TYPED],
    typed_first: usize,
    typed_len: usize,
}

impl Terminal {
    /// A terminal on which nothing was written.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            line: [0; LINE],
            len: 0,
            known: 0,
            column: 0,
            returned: false,
            again: false,
            finished: false,
            in_focus: false,
            dropped: 0,
            counts: Counts { written: 0, dropped: 0, untyped: 0 },
            history: [0; HISTORY],
            told: Seldom::never(),
            credit: BURST,
            earned: 0,
            typed: [0; TYPED],
            typed_first: 0,
            typed_len: 0,
        }
    }

    /// Forgets what was typed; the partition starts afresh. What it wrote stays.
    pub fn reset(&mut self) {
        self.typed_len = 0;
        self.credit = BURST;
    }

    /// Whether the partition is in focus from now on.
    pub fn set_focus(&mut self, in_focus: bool) {
        self.in_focus = in_focus;
    }

    /// Whether a byte would be taken.
    #[inline(always)]
    #[must_use]
    pub fn has_space(&self) -> bool {
        !self.finished
            && self.len + WIDEST <= LINE
            && (self.credit > 0 || time::now() >= self.next_credit())
    }

    /// When a guest that wrote too fast may write again; none if it may now.
    #[must_use]
    pub fn throttled_until(&self) -> Option<u64> {
        (self.credit == 0).then(|| self.next_credit())
    }

    #[inline(always)]
    fn next_credit(&self) -> u64 {
        self.earned.saturating_add(time::ticks(BYTE_NS * 1024))
    }

    /// Bytes that came without space, and were dropped, since the last call.
    pub fn take_dropped(&mut self) -> u64 {
        core::mem::take(&mut self.dropped)
    }

    /// Takes a byte from the guest.
    pub fn write(&mut self, byte: u8) {
        if !self.has_space() {
            self.dropped = self.dropped.saturating_add(1);
            self.counts.dropped = self.counts.dropped.saturating_add(1);
            return;
        }
        self.pay();
        if let Some(place) = self.history.get_mut(self.counts.written as usize % HISTORY) {
            *place = byte;
        }
        self.counts.written = self.counts.written.wrapping_add(1);
        if core::mem::take(&mut self.returned) && byte != b'\n' && byte != b'\r' {
            self.carriage_return();
        }
        match byte {
            b'\n' => self.finished = true,
            b'\r' => self.returned = true,
            0x20..=0x7e => self.put(&[byte]),
            b'\t' if self.in_focus => self.put(b"\t"),
            0x08 if self.in_focus => self.back(),
            0x00..=0x1f => self.put(&[b'^', byte | 0x40]),
            0x7f => self.put(b"^?"),
            0x80..=0xff => self.put(&[b'\\', b'x', hex(byte >> 4), hex(byte & 15)]),
        }
    }

    /// Spends a byte of credit, and earns what is due when none is left.
    fn pay(&mut self) {
        if self.credit == 0 {
            let now = time::now();
            let due = now.saturating_sub(self.earned) / time::ticks(BYTE_NS).max(1);
            self.credit = due.min(BURST);
            self.earned = now;
        }
        self.credit = self.credit.saturating_sub(1);
        if self.credit == 0 {
            self.earned = time::now();
        }
    }

    /// What follows a CR that no LF followed.
    fn carriage_return(&mut self) {
        if self.in_focus {
            self.len = 0;
            self.known = 0;
            self.column = 0;
            self.again = true;
        } else {
            self.put(b"^M");
        }
    }

    /// Moves back, but never onto the tag.
    fn back(&mut self) {
        if self.column > 0 {
            self.column -= 1;
            self.append(b"\x08");
        }
    }

    fn put(&mut self, text: &[u8]) {
        self.column += text.len();
        self.append(text);
    }

    fn append(&mut self, text: &[u8]) {
        for byte in text {
            if let Some(slot) = self.line.get_mut(self.len) {
                *slot = *byte;
                self.len += 1;
            }
        }
    }

    /// Whether the console must be told now: the line is complete or its buffer full.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.finished || self.len + WIDEST > LINE
    }

    /// Whether something was written that the console was not told.
    #[must_use]
    pub fn is_unshown(&self) -> bool {
        self.finished || self.again || self.len > self.known
    }

    /// What to tell the console.
    #[must_use]
    pub fn show(&self) -> Shown<'_> {
        let line = self.line.get(..self.len).unwrap_or(&[]);
        Shown { line, known: self.known, again: self.again, finished: self.finished }
    }

    /// The console has taken what [`Terminal::show`] gave.
    pub fn shown(&mut self) {
        self.again = false;
        self.known = self.len;
        if core::mem::take(&mut self.finished) {
            self.column = 0;
            self.len = 0;
            self.known = 0;
        } else if self.len + WIDEST > LINE {
            // The line goes on, but is not shown again from its start: BS stops here.
            self.column = 0;
            self.len = 0;
            self.known = 0;
        }
    }

    /// To be called after the guest wrote: a complete line is shown now, an
    /// unfinished one later, and a guest that wrote too fast may then go on.
    /// `index` and `tag` are the partition's.
    pub fn written(&mut self, index: usize, tag: &str) {
        if self.is_due() {
            self.tell(index, tag);
        } else if self.is_unshown() {
            time::arm(time::now() + time::ticks(PROMPT_NS));
        }
        if let Some(until) = self.throttled_until() {
            time::arm(until);
        }
    }

    /// A time that was asked for has come: the unfinished line is shown. Whether
    /// a byte would be taken again.
    #[must_use]
    pub fn deadline(&mut self, index: usize, tag: &str) -> bool {
        if self.is_unshown() {
            self.tell(index, tag);
        }
        let space = self.has_space();
        if let (false, Some(until)) = (space, self.throttled_until()) {
            time::arm(until);
        }
        space
    }

    /// Shows the line, and how many bytes were dropped before it.
    fn tell(&mut self, index: usize, tag: &str) {
        if console::show(index, tag, self.show()) {
            self.shown();
            let dropped = self.take_dropped();
            if dropped > 0 {
                console::say(format_args!(
                    "{tag}: {dropped} console bytes dropped, written to a full FIFO"
                ));
                self.flood(index);
            }
        }
    }

    /// Every so often an event tells how many bytes were dropped.
    fn flood(&mut self, index: usize) {
        if let Some(since) = self.told.due(self.counts.dropped) {
            log::tell(Kind::ConsoleFlood, Some(index), 0, since, 0);
        }
    }

    /// What was written and dropped so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// What the guest wrote, from so many bytes since the machine started on.
    #[must_use]
    pub fn read(&self, from: u64) -> Piece {
        let written = self.counts.written;
        let first = from.clamp(written.saturating_sub(HISTORY as u64), written);
        let count = (written - first).min(PIECE as u64);
        let mut piece = Piece {
            next: (first + count).into(),
            lost: first.saturating_sub(from).into(),
            count: (count as u32).into(),
            total: (written as u32).into(),
            ..Piece::default()
        };
        for (to, at) in piece.bytes.iter_mut().zip(first..first + count) {
            *to = self.history.get(at as usize % HISTORY).copied().unwrap_or(0);
        }
        piece
    }

    /// A byte was typed for this partition; false if it is dropped because too many wait.
    pub fn typed(&mut self, byte: u8) -> bool {
        let last = (self.typed_first + self.typed_len) % TYPED;
        let room = self.typed_len < TYPED;
        if let (true, Some(slot)) = (room, self.typed.get_mut(last)) {
            *slot = byte;
            self.typed_len += 1;
        } else {
            self.counts.untyped = self.counts.untyped.saturating_add(1);
        }
        room
    }

    /// The oldest byte typed.
    #[must_use]
    pub fn next_typed(&self) -> Option<u8> {
        (self.typed_len > 0).then(|| self.typed.get(self.typed_first).copied()).flatten()
    }

    /// The guest has taken it.
    pub fn take_typed(&mut self) {
        if self.typed_len > 0 {
            self.typed_first = (self.typed_first + 1) % TYPED;
            self.typed_len -= 1;
        }
    }
}

impl Default for Terminal {
    fn default() -> Self {
        Self::new()
    }
}

fn hex(digit: u8) -> u8 {
    if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }
}
