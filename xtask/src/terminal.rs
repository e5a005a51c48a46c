// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a person sees beside the machine's console: announcements, progress
//! and colour, all on standard error.
//!
//! Colour and moving progress appear on a terminal only, and `NO_COLOR` turns
//! colour off; elsewhere each step is one plain line.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// A colour with a meaning.
#[derive(Clone, Copy, Debug)]
pub enum Tone {
    /// Went well.
    Good,
    /// Went wrong.
    Bad,
    /// Neither: a skip, a hint.
    Quiet,
    /// A heading.
    Strong,
}

/// Whether standard error takes colour.
fn coloured() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// The text in a tone, if standard error is a terminal.
pub fn paint(tone: Tone, text: &str) -> String {
    if !coloured() {
        return text.to_owned();
    }
    let code = match tone {
        Tone::Good => "32",
        Tone::Bad => "31;1",
        Tone::Quiet => "2",
        Tone::Strong => "1",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// Says what happens next and changes something outside the target folder.
pub fn announce(text: &str) {
    eprintln!("{} {text}", paint(Tone::Strong, "xtask:"));
}

/// A step that may take longer than a second, shown until it is dropped.
pub struct Step {
    bar: ProgressBar,
    started: Instant,
    name: String,
}

impl Step {
    /// Shows a step of unknown length.
    pub fn begin(name: &str) -> Self {
        let bar = if std::io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}");
            let bar = ProgressBar::new_spinner();
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.set_message(name.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        } else {
            eprintln!("{name}");
            ProgressBar::hidden()
        };
        Self { bar, started: Instant::now(), name: name.to_owned() }
    }

    /// Replaces the text beside the step's name.
    pub fn detail(&self, text: &str) {
        self.bar.set_message(format!("{}: {text}", self.name));
    }

    /// Writes something above the step.
    pub fn above(&self, write: impl FnOnce()) {
        self.bar.suspend(write);
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        if self.bar.is_hidden() {
            return;
        }
        let elapsed = self.started.elapsed();
        if elapsed >= Duration::from_secs(1) {
            let line = format!("{} {:.1} s", self.name, elapsed.as_secs_f64());
            eprintln!("{}", paint(Tone::Quiet, &line));
        }
    }
}
