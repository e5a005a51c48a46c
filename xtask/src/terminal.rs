// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a person sees beside the machine's console: announcements, progress
//! and colour, all on standard error.
//!
//! Colour and moving progress appear on a terminal only, and `NO_COLOR` turns
//! colour off; elsewhere a step that takes longer than a second is two plain lines.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::LazyLock;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// Steps that take less are not worth a line.
const NOTICEABLE: Duration = Duration::from_secs(1);

/// The steps that are shown, each on a line of its own.
static STEPS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

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
    /// Dropped with the step, which wakes its watch.
    watch: Option<Sender<()>>,
}

impl Step {
    /// Shows a step of unknown length.
    pub fn begin(name: &str) -> Self {
        let mut step = Self {
            bar: ProgressBar::hidden(),
            started: Instant::now(),
            name: name.to_owned(),
            watch: None,
        };
        if std::io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}");
            step.bar = STEPS.add(ProgressBar::new_spinner());
            step.bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            step.bar.set_message(name.to_owned());
            step.bar.enable_steady_tick(Duration::from_millis(120));
        } else {
            step.watch = Some(watch(name.to_owned()));
        }
        step
    }

    /// Replaces the text beside the step's name.
    pub fn detail(&self, text: &str) {
        self.bar.set_message(format!("{}: {text}", self.name));
    }

    /// Writes something above the step.
    pub fn above(&self, write: impl FnOnce()) {
        STEPS.suspend(write);
    }
}

/// Names a step, where nothing moves, once it has taken a noticeable time.
fn watch(name: String) -> Sender<()> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        if receiver.recv_timeout(NOTICEABLE) == Err(RecvTimeoutError::Timeout) {
            eprintln!("{name} …");
        }
    });
    sender
}

impl Drop for Step {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        self.watch = None;
        let elapsed = self.started.elapsed();
        if elapsed >= NOTICEABLE {
            let line = format!("{}: {:.1} s", self.name, elapsed.as_secs_f64());
            eprintln!("{}", paint(Tone::Quiet, &line));
        }
    }
}
