// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages on a serial line, which they may share with a console: frames of
//! printable characters, so that a person who reads along sees lines.
//!
//! ```text
//!  to the hypervisor    Ctrl-] : CR  Ctrl-] : base64 CR
//!  from it              [bulkhead] :base64 CR LF
//!
//!  base64 of   0      1      2        4       8         8 + length
//!              | kind | zero | length | CRC   | payload |
//! ```
//! The base64 is RFC 4648's, without padding. The CRC is CRC-32C of the frame
//! with that field left out. Zeros at a payload's end may be left out. Nothing
//! that is not base64 can stand in a frame, so a receiver that meets something
//! else gives the frame up, and the next sync begins one whatever came before.
//! The empty frame in front of a request takes what an escape key at the end of
//! noise would do to the sync behind it.

use super::ANSWER_LEN;
use crate::crc32c::Step;

/// The escape key that a frame to the hypervisor begins with: Ctrl-].
pub const ESCAPE: u8 = 0x1d;
/// What says that a frame follows.
pub const SYNC: u8 = b':';
/// What ends a frame.
pub const END: u8 = b'\r';
/// How a line with a frame from the hypervisor begins.
pub const LINE_START: &str = "[bulkhead] :";
/// Bytes before the payload.
pub const FRAME_HEAD: usize = 8;
/// Most bytes of a payload.
pub const PAYLOAD_LEN: usize = ANSWER_LEN;
/// Most bytes of a frame.
pub const FRAME_LEN: usize = FRAME_HEAD + PAYLOAD_LEN;
/// Most characters of a frame, without sync and end.
pub const TEXT_LEN: usize = (FRAME_LEN * 4).div_ceil(3);

super::numbers! {
    /// What a frame carries.
    Carries: u8 {
        /// A request, to the hypervisor.
        Request = 1, "request";
        /// An answer, from it.
        Answer = 2, "answer";
        /// An event, from it.
        Event = 3, "event";
    }
}

/// Writes the characters of a frame, without sync and end. Zeros at the
/// payload's end are left out; what is behind [`PAYLOAD_LEN`] is cut.
pub fn encode(carries: Carries, payload: &[u8], step: Step, put: &mut dyn FnMut(u8)) {
    let payload = payload.get(..PAYLOAD_LEN).unwrap_or(payload);
    let used = payload.iter().rposition(|byte| *byte != 0).map_or(0, |last| last.saturating_add(1));
    let payload = payload.get(..used).unwrap_or(payload);
    let [low, high] = u16::try_from(payload.len()).unwrap_or(0).to_le_bytes();
    let head = [carries.number(), 0, low, high];
    let crc = step(step(0, &head), payload).to_le_bytes();
    let mut bits = Bits::default();
    for byte in head.iter().chain(&crc).chain(payload) {
        bits.push(u32::from(*byte), 8);
        while let Some(digit) = bits.take(6) {
            put(letter(digit));
        }
    }
    if let Some(digit) = bits.rest(6) {
        put(letter(digit));
    }
}

/// A whole request as it is sent: an empty frame, sync, characters, end.
pub fn encode_request(payload: &[u8], step: Step, put: &mut dyn FnMut(u8)) {
    for byte in [ESCAPE, SYNC, END, ESCAPE, SYNC] {
        put(byte);
    }
    encode(Carries::Request, payload, step, put);
    put(END);
}

/// What a [`Decoder`] made of a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It belongs to a frame that goes on.
    More,
    /// It ended a frame, which is whole: [`Decoder::payload`] has what it carries.
    Whole(Carries),
    /// It ended a frame that is damaged, empty or of a kind that this build does not know.
    Damaged,
    /// No frame can have it: the frame is given up, and the byte is not part of it.
    GivenUp,
}

/// A receiver of one frame, from behind its sync. It keeps at most one frame.
#[derive(Clone, Debug)]
pub struct Decoder {
    bytes: [u8; FRAME_LEN],
    len: usize,
    bits: Bits,
}

impl Decoder {
    /// Expects a frame's first character.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: [0; FRAME_LEN], len: 0, bits: Bits { value: 0, count: 0 } }
    }

    /// A sync was met: forgets what came before.
    pub fn sync(&mut self) {
        self.len = 0;
        self.bits = Bits::default();
    }

    /// Takes the next byte. After anything but [`Taken::More`] it expects a sync.
    pub fn push(&mut self, byte: u8, step: Step) -> Taken {
        if byte == END {
            return self.end(step);
        }
        let Some(digit) = value(byte) else { return Taken::GivenUp };
        self.bits.push(digit, 6);
        let Some(next) = self.bits.take(8) else { return Taken::More };
        let Some(place) = self.bytes.get_mut(self.len) else { return Taken::GivenUp };
        #[expect(clippy::cast_possible_truncation, reason = "eight bits")]
        let next = next as u8;
        *place = next;
        self.len = self.len.saturating_add(1);
        Taken::More
    }

    fn end(&self, step: Step) -> Taken {
        let Some([kind, zero, low, high, crc @ ..]) = self.bytes.first_chunk::<FRAME_HEAD>() else {
            return Taken::Damaged;
        };
        let payload = self.payload();
        let length = usize::from(u16::from_le_bytes([*low, *high]));
        let found = step(step(0, &[*kind, *zero, *low, *high]), payload);
        let whole = self.len >= FRAME_HEAD
            && payload.len() == length
            && self.bits.is_padding()
            && found == u32::from_le_bytes(*crc);
        match Carries::from_number(*kind) {
            Some(carries) if whole => Taken::Whole(carries),
            _ => Taken::Damaged,
        }
    }

    /// What the frame carries, after [`Taken::Whole`]. Shorter than the message
    /// if that ends in zeros.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.bytes.get(FRAME_HEAD..self.len).unwrap_or(&[])
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

/// What came of a byte from a line that a person's keys and frames share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Nothing yet.
    Nothing,
    /// A key, for the partition in focus.
    Key(u8),
    /// The key behind an escape key.
    Command(u8),
    /// A frame is whole: [`Receiver::payload`] has what it carries.
    Frame(Carries),
    /// A frame was damaged, and is dropped.
    Damaged,
}

/// Where a [`Receiver`] stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Keys,
    Escaped,
    Frame,
}

/// The hypervisor's side of a serial line: tells keys, commands and frames apart,
/// and finds the next frame again whatever came before it.
#[derive(Clone, Debug)]
pub struct Receiver {
    place: Place,
    decoder: Decoder,
}

impl Receiver {
    /// At the start of a line that nothing came from yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { place: Place::Keys, decoder: Decoder::new() }
    }

    /// Takes the next byte.
    pub fn push(&mut self, byte: u8, step: Step) -> Input {
        match self.place {
            Place::Keys => self.key(byte),
            Place::Escaped if byte == SYNC => {
                self.decoder.sync();
                self.place = Place::Frame;
                Input::Nothing
            }
            Place::Escaped => {
                self.place = Place::Keys;
                Input::Command(byte)
            }
            Place::Frame => self.framed(byte, step),
        }
    }

    fn key(&mut self, byte: u8) -> Input {
        if byte == ESCAPE {
            self.place = Place::Escaped;
            return Input::Nothing;
        }
        Input::Key(byte)
    }

    fn framed(&mut self, byte: u8, step: Step) -> Input {
        let taken = self.decoder.push(byte, step);
        if taken != Taken::More {
            self.place = Place::Keys;
        }
        match taken {
            Taken::More => Input::Nothing,
            Taken::Whole(carries) => Input::Frame(carries),
            Taken::Damaged => Input::Damaged,
            Taken::GivenUp => self.key(byte),
        }
    }

    /// What the frame carries, after [`Input::Frame`]. Shorter than the message
    /// if that ends in zeros.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.decoder.payload()
    }
}

impl Default for Receiver {
    fn default() -> Self {
        Self::new()
    }
}

/// The frame in one line from the hypervisor, without the line's end, if it has one.
#[must_use]
pub fn decode_line(line: &[u8], step: Step) -> Option<(Carries, Decoder)> {
    let text = line.strip_prefix(LINE_START.as_bytes())?;
    let mut decoder = Decoder::new();
    for byte in text {
        if decoder.push(*byte, step) != Taken::More {
            return None;
        }
    }
    match decoder.push(END, step) {
        Taken::Whole(carries) => Some((carries, decoder)),
        Taken::More | Taken::Damaged | Taken::GivenUp => None,
    }
}

/// Bits on their way from one width to another; never more than 13.
#[derive(Clone, Copy, Debug, Default)]
struct Bits {
    value: u32,
    count: u32,
}

impl Bits {
    fn push(&mut self, bits: u32, count: u32) {
        self.value = self.value.wrapping_shl(count) | bits;
        self.count = self.count.wrapping_add(count);
    }

    /// The oldest bits, if there are as many.
    fn take(&mut self, count: u32) -> Option<u32> {
        self.count = self.count.checked_sub(count)?;
        let taken = self.value.wrapping_shr(self.count);
        self.value &= !u32::MAX.wrapping_shl(self.count);
        Some(taken)
    }

    /// What is left, filled up with zeros.
    fn rest(&mut self, count: u32) -> Option<u32> {
        (self.count > 0).then(|| self.value.wrapping_shl(count.wrapping_sub(self.count)))
    }

    /// Whether what is left is what [`encode`] fills up with.
    const fn is_padding(self) -> bool {
        self.value == 0 && self.count < 6
    }
}

/// The letter of six bits.
fn letter(digit: u32) -> u8 {
    #[expect(clippy::cast_possible_truncation, reason = "six bits")]
    let digit = digit as u8 & 0x3f;
    match digit {
        0..26 => digit.wrapping_add(b'A'),
        26..52 => digit.wrapping_sub(26).wrapping_add(b'a'),
        52..62 => digit.wrapping_sub(52).wrapping_add(b'0'),
        62 => b'+',
        _ => b'/',
    }
}

/// The six bits of a letter.
fn value(letter: u8) -> Option<u32> {
    let digit = match letter {
        b'A'..=b'Z' => letter.wrapping_sub(b'A'),
        b'a'..=b'z' => letter.wrapping_sub(b'a').wrapping_add(26),
        b'0'..=b'9' => letter.wrapping_sub(b'0').wrapping_add(52),
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(digit.into())
}
