// SPDX-License-Identifier: MIT OR Apache-2.0
//! The console without the mailbox's frames, which are for programs: a line is
//! held back as long as it may be one.

use abi::crc32c::software;
use abi::mailbox::frame::{Carries, LINE_START, TEXT_LEN, decode_line};

/// Longest line that may be a frame, with its end.
const LONGEST: usize = LINE_START.len() + TEXT_LEN + 2;

/// Takes frames out of a console.
#[derive(Debug, Default)]
pub struct Filter {
    held: Vec<u8>,
    /// The line is none of a frame.
    passing: bool,
}

/// What bytes came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Parted {
    /// For a person.
    pub shown: Vec<u8>,
    /// The lines with frames, without their ends.
    pub frames: Vec<(Carries, Vec<u8>)>,
}

impl Filter {
    /// Takes the console's next bytes.
    pub fn push(&mut self, bytes: &[u8]) -> Parted {
        let mut parted = Parted::default();
        for &byte in bytes {
            if self.passing {
                parted.shown.push(byte);
                self.passing = byte != b'\n';
                continue;
            }
            self.held.push(byte);
            if byte == b'\n' {
                self.line(&mut parted);
            } else if !self.may_be_a_frame() {
                parted.shown.append(&mut self.held);
                self.passing = true;
            }
        }
        parted
    }

    /// What is held back when no more comes.
    pub fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    fn may_be_a_frame(&self) -> bool {
        let start = LINE_START.as_bytes();
        self.held.len() <= LONGEST
            && (self.held.starts_with(start) || start.starts_with(&self.held))
    }

    /// A line is whole.
    fn line(&mut self, parted: &mut Parted) {
        let held = std::mem::take(&mut self.held);
        let text = held.strip_suffix(b"\n").unwrap_or(&held);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        match decode_line(text, software) {
            Some((carries, _)) => parted.frames.push((carries, text.to_vec())),
            None => parted.shown.extend(held),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::mailbox::frame::encode;

    fn frame() -> Vec<u8> {
        let mut line = LINE_START.as_bytes().to_vec();
        encode(Carries::Answer, b"payload", software, &mut |byte| line.push(byte));
        line
    }

    #[test]
    fn frames_are_taken_out_however_the_bytes_are_cut() {
        let frame = frame();
        let parts: [&[u8]; 4] = [b"[a] one\r\n", &frame, b"\r\n[bulkhead] two\r\n", b"[a] prompt"];
        let console = parts.concat();
        for size in 1..console.len() {
            let mut filter = Filter::default();
            let mut all = Parted::default();
            for piece in console.chunks(size) {
                let parted = filter.push(piece);
                all.shown.extend(parted.shown);
                all.frames.extend(parted.frames);
            }
            assert_eq!(all.shown, b"[a] one\r\n[bulkhead] two\r\n[a] prompt");
            assert_eq!(all.frames, [(Carries::Answer, frame.clone())]);
        }
    }

    #[test]
    fn what_only_looks_like_a_frame_is_shown() {
        let mut damaged = frame();
        damaged[20] ^= 1;
        damaged.extend(b"\r\n");
        let mut filter = Filter::default();
        assert_eq!(filter.push(&damaged).shown, damaged);
        let long = [LINE_START.as_bytes(), &[b'A'; 2 * LONGEST]].concat();
        assert_eq!(filter.push(&long).shown, long);
        assert_eq!(filter.push(b"\n[bulk").shown, b"\n");
        assert_eq!(filter.rest(), b"[bulk");
    }
}
