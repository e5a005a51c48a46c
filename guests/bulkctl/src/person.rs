// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who sits in front: where output goes, and where keys come from.

use crate::error::Error;
use serde::Serialize;
use std::io::{self, IsTerminal, Read, Stdout, Write};
use std::sync::mpsc::{Receiver, channel};

/// Bytes read at once.
const BLOCK: usize = 1024;

/// Output, and keys where a verb wants them.
pub struct Person<'a> {
    /// Where output goes.
    pub out: &'a mut dyn Write,
    /// Whether that is a terminal.
    pub terminal: bool,
    /// Whether that terminal moves its cursor.
    pub screen: bool,
    /// What keys are read from, by those verbs that do.
    pub keys: Box<dyn Fn() -> Box<dyn Read + Send>>,
}

impl<'a> Person<'a> {
    /// Whoever started this program.
    #[must_use]
    pub fn standard(out: &'a mut Stdout) -> Self {
        let terminal = out.is_terminal();
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self { out, terminal, screen: terminal && !dumb, keys: Box::new(|| Box::new(io::stdin())) }
    }
}

impl Person<'_> {
    /// Prints a line.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn line(&mut self, text: &str) -> Result<(), Error> {
        self.raw(format!("{text}\n").as_bytes())
    }

    /// Prints a value as one line of JSON.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), Error> {
        self.line(&serde_json::to_string(value).map_err(io::Error::from)?)
    }

    /// Prints bytes as they are, at once.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn raw(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.out.write_all(bytes)?;
        Ok(self.out.flush()?)
    }

    /// What is typed from now on, in the pieces in which it comes; closed at its end.
    #[must_use]
    pub fn typed(&self) -> Receiver<Vec<u8>> {
        let mut input = (self.keys)();
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            let mut block = [0; BLOCK];
            while let Ok(read @ 1..) = input.read(&mut block) {
                if sender.send(block.iter().take(read).copied().collect()).is_err() {
                    break;
                }
            }
        });
        receiver
    }
}
