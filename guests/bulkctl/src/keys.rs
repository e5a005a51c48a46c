// SPDX-License-Identifier: MIT OR Apache-2.0
//! A person's terminal while keys go elsewhere: raw, and every key is passed on
//! but those after Ctrl-A. Ctrl-A x leaves; Ctrl-A Ctrl-A sends one Ctrl-A.

use rustix::termios::{OptionalActions, OutputModes, Termios, tcgetattr, tcsetattr};
use std::io::{self, IsTerminal};

/// Ctrl-A.
const PREFIX: u8 = 0x01;

/// The standard input as a terminal in raw mode; dropping it puts the old mode back.
#[derive(Debug)]
pub struct Raw(Termios);

impl Raw {
    /// Takes the terminal; none if the standard input is none. Output keeps its
    /// line endings, so that a lone LF still begins a line.
    ///
    /// # Errors
    /// When its mode cannot be read or set.
    pub fn take() -> io::Result<Option<Self>> {
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return Ok(None);
        }
        let before = tcgetattr(&stdin)?;
        let mut raw = before.clone();
        raw.make_raw();
        raw.output_modes |= before.output_modes & (OutputModes::OPOST | OutputModes::ONLCR);
        tcsetattr(&stdin, OptionalActions::Now, &raw)?;
        Ok(Some(Self(before)))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone needs no mode.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// Takes the keys after Ctrl-A out of what is typed.
#[derive(Debug, Default)]
pub struct Escape {
    pending: bool,
}

/// What typed bytes come to.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed {
    /// For the other side.
    Keys(Vec<u8>),
    /// The person leaves.
    Leave,
}

impl Escape {
    /// Reads typed bytes.
    pub fn read(&mut self, bytes: &[u8]) -> Typed {
        let mut keys = Vec::new();
        for &byte in bytes {
            match (self.pending, byte) {
                (false, PREFIX) => self.pending = true,
                (true, b'x' | b'X') => return Typed::Leave,
                (true, other) => {
                    self.pending = false;
                    keys.push(other);
                }
                (false, other) => keys.push(other),
            }
        }
        Typed::Keys(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_taken_even_when_it_comes_alone() {
        let mut escape = Escape::default();
        assert_eq!(escape.read(b"ls\x01"), Typed::Keys(b"ls".to_vec()));
        assert_eq!(escape.read(b"\x01a"), Typed::Keys(b"\x01a".to_vec()));
        assert_eq!(escape.read(b"\x01x"), Typed::Leave);
    }
}
