// SPDX-License-Identifier: MIT OR Apache-2.0
//! The person's terminal while a machine runs: every key goes to the machine
//! but those after Ctrl-A.
//!
//! Ctrl-A x leaves; Ctrl-A Ctrl-A sends one Ctrl-A. Ctrl-] belongs to the
//! hypervisor: it moves the focus between partitions.

use anyhow::{Context, Result};
use bulkctl::keys::Raw;
use bulkhead_test::emulator::machine::{Event, forward};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::sync::mpsc::Sender;

/// Told once, where the console begins.
pub const HINT: &str = "Ctrl-A x leaves; Ctrl-] and a digit moves the focus";

/// A terminal in raw mode; dropping it puts the old mode back.
#[derive(Debug)]
pub struct Keyboard {
    raw: Option<Raw>,
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
        let raw = Raw::take().context("the terminal's mode")?;
        let typed = sender.clone();
        std::thread::spawn(move || forward(std::io::stdin(), &typed, Event::Input));
        Ok(Self { raw })
    }

    /// Whether a person types here.
    pub fn interactive(&self) -> bool {
        self.raw.is_some()
    }
}
