// SPDX-License-Identifier: MIT OR Apache-2.0
//! The person's terminal while a machine runs: every key goes to the machine
//! but those after Ctrl-A.
//!
//! Ctrl-A x leaves; Ctrl-A Ctrl-A sends one Ctrl-A. Ctrl-] belongs to the
//! hypervisor: it moves the focus between partitions.

use super::machine::{Event, forward};
use anyhow::{Context, Result};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::io::IsTerminal;
use std::sync::mpsc::Sender;

/// Ctrl-A.
const PREFIX: u8 = 0x01;

/// Told once, where the console begins.
pub const HINT: &str = "Ctrl-A x leaves; Ctrl-] and a digit moves the focus";

/// A terminal in raw mode; dropping it puts the old mode back.
#[derive(Debug)]
pub struct Keyboard {
    before: Option<Termios>,
}

impl Keyboard {
    /// Sends what is typed, and the signals that ask to stop, as events. A
    /// standard input that is no terminal is sent as it is.
    pub fn attach(sender: &Sender<Event>) -> Result<Self> {
        let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])
            .context("listening for signals")?;
        let told = sender.clone();
        std::thread::spawn(move || {
            for signal in signals.forever() {
                if told.send(Event::Signal(signal)).is_err() {
                    break;
                }
            }
        });
        let stdin = std::io::stdin();
        let before = if stdin.is_terminal() {
            let before = tcgetattr(&stdin).context("reading the terminal's mode")?;
            let mut raw = before.clone();
            raw.make_raw();
            tcsetattr(&stdin, OptionalActions::Now, &raw).context("setting the terminal's mode")?;
            Some(before)
        } else {
            None
        };
        let typed = sender.clone();
        std::thread::spawn(move || forward(std::io::stdin(), &typed, Event::Input, None));
        Ok(Self { before })
    }

    /// Whether a person types here.
    pub fn interactive(&self) -> bool {
        self.before.is_some()
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // A terminal that is gone needs no mode.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
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
    /// For the machine.
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
