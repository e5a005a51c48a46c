// SPDX-License-Identifier: MIT OR Apache-2.0
//! One UART for everybody: whole lines, each with its owner's tag, and input
//! for the partition in focus. Requests of the host come on it too, or on a UART
//! of their own, where nothing else is heard or said.
//!
//! Lines pass through a ring, so that no line is torn and a slow UART makes
//! guests wait, not the hypervisor. Its lock is held for one line or one burst
//! of the ring.

use crate::MAILBOX;
use crate::arch::{self, Serial, time};
use crate::terminal::Shown;
use abi::mailbox::REQUEST_LEN;
use abi::mailbox::answer::Answer;
use abi::mailbox::frame::{self, Carries, Input, Receiver, SYNC};
use core::fmt::{self, Write};

/// Bytes that wait for the console's UART.
const RING: usize = 8192;
/// Bytes that wait for the host's own: an answer's frame, which is shorter.
const ANSWER: usize = 512;
/// Bytes of the console's that are kept for the hypervisor's own lines.
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

/// Which UART.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// The console's, which everybody shares.
    Console,
    /// The host's own, if the manifest names one.
    Host,
}

/// A UART, what waits for it, and what its frames came to so far.
#[derive(Debug)]
struct Uart<R: ?Sized> {
    serial: Option<Serial>,
    receiver: Receiver,
    first: usize,
    len: usize,
    /// A byte did not fit.
    overflow: bool,
    ring: R,
}

impl<const N: usize> Uart<[u8; N]> {
    const NONE: Self = Self {
        serial: None,
        receiver: Receiver::new(),
        first: 0,
        len: 0,
        overflow: false,
        ring: [0; N],
    };
}

impl Uart<[u8]> {
    fn free(&self) -> usize {
        self.ring.len() - self.len
    }

    /// A place in the ring, which may be behind its end by less than its length.
    fn place(&self, at: usize) -> usize {
        if at < self.ring.len() { at } else { at - self.ring.len() }
    }

    fn put(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let last = self.place(self.first + self.len);
            if let (true, Some(slot)) = (self.free() > 0, self.ring.get_mut(last)) {
                *slot = *byte;
                self.len += 1;
            } else {
                self.overflow = true;
            }
        }
    }

    /// Moves up to `most` bytes to the UART; whether some are left.
    fn pump(&mut self, most: usize) -> bool {
        for _ in 0..most.min(self.len) {
            let Some(serial) = self.serial.as_mut() else { return false };
            let byte = self.ring.get(self.first).copied().unwrap_or(0);
            if !serial.send(byte) {
                break;
            }
            self.first = self.place(self.first + 1);
            self.len -= 1;
        }
        self.len > 0
    }

    /// One byte from the UART, and what came of it.
    fn receive(&mut self) -> Option<Input> {
        let byte = self.serial.as_mut()?.receive()?;
        Some(self.receiver.push(byte, arch::crc32c))
    }

    fn is_idle(&self) -> bool {
        self.len == 0 && self.serial.as_ref().is_none_or(Serial::sent)
    }
}

impl Write for Uart<[u8]> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.put(&[if matches!(byte, 0x20..=0x7e) { byte } else { b' ' }]);
        }
        Ok(())
    }
}

/// The UARTs, what stands on the console's screen, and who has its attention.
#[derive(Debug)]
pub struct Console {
    uart: Uart<[u8; RING]>,
    host: Uart<[u8; ANSWER]>,
    cursor: Cursor,
    focus: usize,
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
    /// A request of the host, to be answered there.
    Frame([u8; REQUEST_LEN], Line),
}

impl Console {
    /// A console without a UART.
    #[must_use]
    pub const fn new() -> Self {
        Self { uart: Uart::NONE, host: Uart::NONE, cursor: Cursor::Home, focus: 0, lost: 0 }
    }

    /// The console's.
    fn uart(&mut self) -> &mut Uart<[u8]> {
        &mut self.uart
    }

    /// The host's own.
    fn host(&mut self) -> &mut Uart<[u8]> {
        &mut self.host
    }

    fn put(&mut self, bytes: &[u8]) {
        self.uart().put(bytes);
    }

    /// Moves a burst, and asks for a deadline while some bytes are left.
    fn pump_or_retry(&mut self) {
        if self.uart().pump(PUMP) | (MAILBOX && self.host().pump(PUMP)) {
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

    /// One byte from a UART, and what came of it.
    fn typed(&mut self) -> Option<Typed> {
        let (input, line) = match self.uart().receive() {
            Some(input) => (input, Line::Console),
            None if MAILBOX => (self.host().receive()?, Line::Host),
            None => return None,
        };
        Some(match input {
            Input::Frame(Carries::Request) if MAILBOX => {
                let uart = if line == Line::Host { self.host() } else { self.uart() };
                let mut request = [0; REQUEST_LEN];
                for (to, from) in request.iter_mut().zip(uart.receiver.payload()) {
                    *to = *from;
                }
                Typed::Frame(request, line)
            }
            _ if line == Line::Host => Typed::Nothing,
            Input::Key(byte) => Typed::Byte(byte),
            Input::Command(key @ b'0'..=b'9') => Typed::Focus(usize::from(key - b'0')),
            Input::Command(b'n') => Typed::Next,
            Input::Command(byte) => Typed::Byte(byte),
            // Nothing of a broken frame reaches a partition.
            Input::Frame(_) | Input::Damaged | Input::Nothing => Typed::Nothing,
        })
    }
}

/// Gives the console its UART, or the host its own.
pub fn start(serial: Serial, line: Line) {
    let mut console = arch::shared().console.lock();
    let uart = if MAILBOX && line == Line::Host { console.host() } else { console.uart() };
    uart.serial = Some(serial);
}

/// Whether there is a UART to say something on.
#[must_use]
pub fn is_started() -> bool {
    arch::shared().console.lock().uart.serial.is_some()
}

/// Shows what a partition's terminal has; false if there is no room and it must
/// be tried again. `index` and `tag` are the partition's.
#[must_use]
pub fn show(index: usize, tag: &str, shown: Shown<'_>) -> bool {
    let mut console = arch::shared().console.lock();
    console.uart().pump(PUMP);
    let most = shown.line.len() + 2 * (tag.len() + 5) + RESERVED;
    if console.uart().free() < most {
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

/// A line of the hypervisor's own.
pub fn say(line: fmt::Arguments<'_>) {
    let mut console = arch::shared().console.lock();
    write_line(&mut console, line);
    console.pump_or_retry();
}

/// The answer to a request of the host where that came from, as a line of the hypervisor's own.
/// One that finds no room is lost, and the host asks again.
pub fn answer(answer: &Answer, line: Line) {
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
    match line {
        Line::Console => say(format_args!("{}", Framed(answer))),
        Line::Host => {
            let mut console = arch::shared().console.lock();
            let host = console.host();
            let len = host.len;
            host.overflow = false;
            // A UART cannot fail.
            let _ = write!(host, "[bulkhead] {}", Framed(answer));
            host.put(b"\r\n");
            if host.overflow {
                host.len = len;
            }
            console.pump_or_retry();
        }
    }
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
    let (len, cursor) = (console.uart.len, console.cursor);
    console.uart.overflow = false;
    console.begin("bulkhead");
    // A UART cannot fail.
    let _ = console.uart().write_fmt(line);
    console.put(b"\r\n");
    if console.uart.overflow {
        (console.uart.len, console.cursor) = (len, cursor);
    }
    !console.uart.overflow
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

/// Waits until all is sent, or a UART no longer moves.
fn drain(console: &mut Console) {
    for _ in 0..1_000_000 {
        console.uart().pump(RING);
        let host_waits = MAILBOX && (console.host().pump(RING) || !console.host().is_idle());
        if console.uart().is_idle() && !host_waits {
            break;
        }
        arch::relax();
    }
}
