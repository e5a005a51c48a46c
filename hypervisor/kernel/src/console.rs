// SPDX-License-Identifier: MIT OR Apache-2.0
//! One UART for everybody: whole lines, each with its owner's tag, and input
//! for the partition in focus.
//!
//! Lines pass through a ring, so that no line is torn and a slow UART makes
//! guests wait, not the hypervisor. Its lock is held for one line or one burst
//! of the ring.

use crate::arch::{self, Serial, time};
use crate::terminal::Shown;
use abi::mailbox::REQUEST_LEN;
use abi::mailbox::answer::Answer;
use abi::mailbox::frame::{self, Carries, Input, Receiver, SYNC};
use core::fmt::{self, Write};

/// Bytes that wait for the UART.
const RING: usize = 8192;
/// Bytes of it that are kept for the hypervisor's own lines.
const RESERVED: usize = 2048;
/// Bytes moved to the UART at once.
const PUMP: usize = 512;
/// Unfinished lines are shown after this time.
pub const PROMPT_NS: u64 = 50_000_000;
/// A full UART is tried again after this time.
const RETRY_NS: u64 = 1_000_000;

/// Who wrote what stands on the screen's last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cursor {
    /// Nobody: the line is empty.
    Home,
    /// The partition with this index has an unfinished line there.
    Within(usize),
}

/// The UART, what waits for it, and who has its attention.
#[derive(Debug)]
pub struct Console {
    serial: Option<Serial>,
    ring: [u8; RING],
    first: usize,
    len: usize,
    cursor: Cursor,
    focus: usize,
    receiver: Receiver,
    /// A byte did not fit.
    overflow: bool,
    /// Lines of the hypervisor that did not fit.
    lost: u32,
}

impl Default for Console {
    fn default() -> Self {
        Self::new()
    }
}

/// What was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typed {
    /// A byte for the partition in focus.
    Byte(u8),
    /// The focus is to move to the partition with this number.
    Focus(usize),
    /// The focus is to move to the next partition.
    Next,
    /// A part of a frame or of a command.
    Nothing,
    /// A request of the host.
    Frame([u8; REQUEST_LEN]),
}

impl Console {
    /// A console without a UART.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            serial: None,
            ring: [0; RING],
            first: 0,
            len: 0,
            cursor: Cursor::Home,
            focus: 0,
            receiver: Receiver::new(),
            overflow: false,
            lost: 0,
        }
    }

    fn free(&self) -> usize {
        RING - self.len
    }

    fn put(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let last = (self.first + self.len) % RING;
            if let (true, Some(slot)) = (self.len < RING, self.ring.get_mut(last)) {
                *slot = *byte;
                self.len += 1;
            } else {
                self.overflow = true;
            }
        }
    }

    /// Moves up to `most` bytes to the UART.
    fn pump(&mut self, most: usize) {
        let Some(serial) = self.serial.as_mut() else { return };
        for _ in 0..most.min(self.len) {
            let byte = self.ring.get(self.first).copied().unwrap_or(0);
            if !serial.send(byte) {
                break;
            }
            self.first = (self.first + 1) % RING;
            self.len -= 1;
        }
    }

    /// Moves a burst, and asks for a deadline while some bytes are left.
    fn pump_or_retry(&mut self) {
        self.pump(PUMP);
        if self.len > 0 {
            time::arm(time::now() + time::ticks(RETRY_NS));
        }
    }

    /// Begins a line with a tag, below an unfinished one.
    fn begin(&mut self, tag: &str) {
        if self.cursor != Cursor::Home {
            self.put(b"\r\n");
            self.cursor = Cursor::Home;
        }
        self.tag(tag);
    }

    fn tag(&mut self, tag: &str) {
        self.put(b"[");
        self.put(tag.as_bytes());
        self.put(b"] ");
    }

    /// One byte from the UART, and what came of it.
    fn typed(&mut self) -> Option<Typed> {
        let byte = self.serial.as_mut()?.receive()?;
        Some(match self.receiver.push(byte, arch::crc32c) {
            Input::Key(byte) => Typed::Byte(byte),
            Input::Command(key @ b'0'..=b'9') => Typed::Focus(usize::from(key - b'0')),
            Input::Command(b'n') => Typed::Next,
            Input::Command(byte) => Typed::Byte(byte),
            Input::Frame(Carries::Request) => {
                let mut request = [0; REQUEST_LEN];
                for (to, from) in request.iter_mut().zip(self.receiver.payload()) {
                    *to = *from;
                }
                Typed::Frame(request)
            }
            // Nothing of a broken frame reaches a partition.
            Input::Frame(_) | Input::Damaged | Input::Nothing => Typed::Nothing,
        })
    }
}

/// Gives the console its UART.
pub fn start(serial: Serial) {
    arch::shared().console.lock().serial = Some(serial);
}

/// Whether there is a UART to say something on.
#[must_use]
pub fn is_started() -> bool {
    arch::shared().console.lock().serial.is_some()
}

/// Shows what a partition's terminal has; false if there is no room and it must
/// be tried again. `index` and `tag` are the partition's.
#[must_use]
pub fn show(index: usize, tag: &str, shown: Shown<'_>) -> bool {
    let mut console = arch::shared().console.lock();
    console.pump(PUMP);
    let most = shown.line.len() + 2 * (tag.len() + 5) + RESERVED;
    if console.free() < most {
        time::arm(time::now() + time::ticks(RETRY_NS));
        return false;
    }
    let ours = console.cursor == Cursor::Within(index);
    if !ours {
        console.begin(tag);
    } else if shown.again {
        console.put(b"\r");
        console.tag(tag);
    }
    let known = if ours { shown.known } else { 0 };
    console.put(shown.line.get(known..).unwrap_or(&[]));
    if shown.finished {
        console.put(b"\r\n");
        console.cursor = Cursor::Home;
    } else {
        console.cursor = Cursor::Within(index);
    }
    console.pump_or_retry();
    true
}

/// Moves waiting bytes to the UART; asks to be called again while some are left.
pub fn pump() {
    arch::shared().console.lock().pump_or_retry();
}

/// What was typed next, and the partition in focus; none once the UART is empty.
pub fn typed() -> Option<(Typed, usize)> {
    let mut console = arch::shared().console.lock();
    console.typed().map(|typed| (typed, console.focus))
}

/// Moves the focus.
pub fn set_focus(index: usize) {
    arch::shared().console.lock().focus = index;
}

/// The partition in focus.
#[must_use]
pub fn focus() -> usize {
    arch::shared().console.lock().focus
}

struct Line<'a>(&'a mut Console);

impl Write for Line<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0.put(&[if matches!(byte, 0x20..=0x7e) { byte } else { b' ' }]);
        }
        Ok(())
    }
}

/// A line of the hypervisor's own.
pub fn say(line: fmt::Arguments<'_>) {
    let mut console = arch::shared().console.lock();
    write_line(&mut console, line);
    console.pump_or_retry();
}

/// The answer to a request of the host, as a line of the hypervisor's own. One that finds no room
/// is lost, and the host asks again.
pub fn answer(answer: &Answer) {
    struct Framed<'a>(&'a Answer);
    impl fmt::Display for Framed<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_char(SYNC.into())?;
            let mut result = Ok(());
            frame::encode(Carries::Answer, self.0.bytes(), arch::crc32c, &mut |byte| {
                result = result.and(f.write_char(byte.into()));
            });
            result
        }
    }
    say(format_args!("{}", Framed(answer)));
}

/// Puts a line of the hypervisor's own into the ring, and before it how many
/// did not fit.
fn write_line(console: &mut Console, line: fmt::Arguments<'_>) {
    let lost = console.lost;
    if lost > 0 && try_line(console, format_args!("{lost} lines lost")) {
        console.lost = 0;
    }
    if !try_line(console, line) {
        console.lost = console.lost.saturating_add(1);
    }
}

/// Puts a whole line into the ring, or nothing of it and tells so.
fn try_line(console: &mut Console, line: fmt::Arguments<'_>) -> bool {
    let (len, cursor) = (console.len, console.cursor);
    console.overflow = false;
    console.begin("bulkhead");
    // `Line` cannot fail.
    let _ = Line(console).write_fmt(line);
    console.put(b"\r\n");
    if console.overflow {
        (console.len, console.cursor) = (len, cursor);
    }
    !console.overflow
}

/// The last line of a machine that ends, sent to its last byte.
pub fn say_last(line: fmt::Arguments<'_>) {
    let mut console = arch::shared().console.lock();
    drain(&mut console);
    write_line(&mut console, line);
    drain(&mut console);
}

/// A line from a CPU that panicked and may hold the console's lock itself.
///
/// Waits a bounded time for the lock, then breaks it.
pub fn say_in_panic(line: fmt::Arguments<'_>) {
    for _ in 0..100_000 {
        if let Some(mut console) = arch::shared().console.try_lock() {
            write_line(&mut console, line);
            drain(&mut console);
            return;
        }
        arch::relax();
    }
    arch::break_lock(&arch::shared().console);
    say(line);
}

/// Waits until all is sent, or the UART no longer moves.
fn drain(console: &mut Console) {
    for _ in 0..1_000_000 {
        console.pump(RING);
        if console.len == 0 && console.serial.as_ref().is_none_or(Serial::sent) {
            break;
        }
        arch::relax();
    }
}
