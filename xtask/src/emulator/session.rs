// SPDX-License-Identifier: MIT OR Apache-2.0
//! A machine watched by a person or a script: its console passed on, its lines
//! matched, its end judged.

use super::keyboard::{HINT, Keyboard};
use crate::ctl::instances::Published;
use crate::failure::{FAILED, PASSED, TIMEOUT};
use crate::terminal::announce;
use anyhow::{Context, Result};
use bulkctl::keys::{Escape, Typed};
use bulkhead_test::emulator::frames::Filter;
use bulkhead_test::emulator::launch::Launch;
use bulkhead_test::emulator::lines::{End, Lines};
use bulkhead_test::emulator::machine::{Event, Machine};
use bulkhead_test::emulator::streams::Streams;
use bulkhead_test::emulator::switchboard::{Switchboard, listen};
use regex::Regex;
use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

/// How long a line without an ending is left to grow before it counts as a prompt.
const PROMPT: Duration = Duration::from_millis(150);
/// How long the machine may take to power off after the hypervisor's last line.
const POWER_OFF: Duration = Duration::from_secs(10);
/// Added to a signal's number, as a shell does, for the exit status.
const SIGNALLED: i32 = 128;

/// What a session waits for and where its console goes besides the screen.
#[derive(Debug, Default)]
pub struct Wishes {
    /// Patterns that must each match a line; the session ends once all did.
    pub until: Vec<Regex>,
    /// The longest time the session may take.
    pub timeout: Option<Duration>,
    /// A file that gets the console too.
    pub log: Option<File>,
    /// Files that get the lines of one partition each.
    pub streams: Option<Streams>,
    /// Where `ctl` programs connect.
    pub published: Option<Published>,
}

/// Why a session is over.
#[derive(Debug, PartialEq, Eq)]
enum Over {
    /// All patterns were seen.
    Seen,
    /// The emulator ended by itself, or did not after the hypervisor's last line.
    Ended,
    /// The time is up.
    Late,
    /// The person left.
    Left,
    /// A signal came.
    Signal(i32),
}

/// The state of a session.
struct Session {
    wishes: Wishes,
    missing: Vec<Regex>,
    filter: Filter,
    host: Filter,
    lines: Lines,
    programs: Switchboard,
    end: Option<End>,
    plain: bool,
}

/// Boots the machine, attaches the terminal, and returns the exit status.
pub fn attend(launch: &Launch, wishes: Wishes) -> Result<u8> {
    let machine = Machine::start(launch)?;
    let keyboard = Keyboard::attach(&machine.sender())?;
    if keyboard.interactive() {
        eprint!("{HINT}\r\n");
    }
    if let Some(published) = &wishes.published {
        let listener = published.listener.try_clone().context("the socket for ctl")?;
        listen(listener, machine.sender());
    }
    let mut session = Session {
        missing: wishes.until.clone(),
        wishes,
        filter: Filter::default(),
        host: Filter::default(),
        lines: Lines::default(),
        programs: Switchboard::default(),
        end: None,
        plain: !keyboard.interactive(),
    };
    let over = session.watch(&machine)?;
    let (status, said) = machine.finish(over != Over::Ended || session.end.is_some())?;
    drop(keyboard);
    if over == Over::Ended && !status.success() && session.end.is_none() {
        announce(&format!("the emulator ended with {status}"));
    }
    if !said.trim().is_empty() {
        eprintln!("{}", said.trim_end());
    }
    Ok(session.judge(&over))
}

impl Session {
    /// Handles events until the session is over.
    fn watch(&mut self, machine: &Machine) -> Result<Over> {
        let started = Instant::now();
        let mut escape = Escape::default();
        let mut off_by: Option<Instant> = None;
        loop {
            if self.wishes.timeout.is_some_and(|limit| started.elapsed() >= limit) {
                return Ok(Over::Late);
            }
            if off_by.is_some_and(|limit| Instant::now() >= limit) {
                return Ok(Over::Ended);
            }
            let over = match machine.next(PROMPT) {
                Some(Event::Output(bytes)) => self.output(&bytes)?,
                Some(Event::Ended) => {
                    let rest = self.filter.rest();
                    self.show(&rest)?;
                    Some(Over::Ended)
                }
                Some(Event::Signal(signal)) => Some(Over::Signal(signal)),
                Some(Event::Input(bytes)) => match escape.read(&bytes) {
                    Typed::Leave => Some(Over::Left),
                    Typed::Keys(keys) => {
                        machine.send(&keys);
                        None
                    }
                },
                Some(Event::Host(bytes)) => {
                    self.programs.pass_on(self.host.push(&bytes));
                    None
                }
                Some(Event::Program(news)) => {
                    self.programs.take(news);
                    None
                }
                None => self.look(&self.lines.partial()),
            };
            if let Some(over) = over {
                return Ok(over);
            }
            while let Some(request) = self.programs.next_request() {
                machine.ask(&request);
            }
            if self.end.is_some() && off_by.is_none() {
                off_by = Some(Instant::now() + POWER_OFF);
            }
        }
    }

    /// Passes the console on, its frames to programs, and reads its lines.
    fn output(&mut self, bytes: &[u8]) -> Result<Option<Over>> {
        if let Some(log) = &mut self.wishes.log {
            log.write_all(&without_returns(bytes)).context("writing the log")?;
        }
        let parted = self.filter.push(bytes);
        for (carries, line) in &parted.frames {
            self.programs.tell(*carries, line);
        }
        self.show(&parted.shown)?;
        for line in self.lines.push(&parted.shown) {
            if let Some(streams) = &mut self.wishes.streams {
                streams.line(&line)?;
            }
            if let Some(end) = End::read(&line) {
                self.end = Some(end);
            }
            if let Some(over) = self.look(&line) {
                return Ok(Some(over));
            }
        }
        Ok(None)
    }

    /// Shows a part of the console to the person. A terminal in raw mode needs the
    /// carriage returns, nobody else does.
    fn show(&self, bytes: &[u8]) -> Result<()> {
        let mut stdout = std::io::stdout().lock();
        let written = match self.plain {
            true => stdout.write_all(&without_returns(bytes)),
            false => stdout.write_all(bytes),
        };
        written.and_then(|()| stdout.flush()).context("writing the console")
    }

    /// Strikes the patterns that a line matches.
    fn look(&mut self, line: &str) -> Option<Over> {
        if self.missing.is_empty() {
            return None;
        }
        self.missing.retain(|pattern| !pattern.is_match(line));
        self.missing.is_empty().then_some(Over::Seen)
    }

    /// The exit status, with a word on what is amiss.
    fn judge(&self, over: &Over) -> u8 {
        match over {
            Over::Seen | Over::Left => PASSED,
            Over::Signal(signal) => u8::try_from(SIGNALLED + signal).unwrap_or(FAILED),
            Over::Late => {
                announce("the time given with --timeout is up");
                self.name_missing();
                TIMEOUT
            }
            Over::Ended if !self.missing.is_empty() => {
                announce("the machine ended first");
                self.name_missing();
                FAILED
            }
            Over::Ended => match &self.end {
                Some(End::Ok) => PASSED,
                Some(End::Failed(_)) => FAILED,
                None => {
                    announce("the machine ended without the hypervisor's last line");
                    FAILED
                }
            },
        }
    }

    /// Says which patterns no line matched.
    fn name_missing(&self) {
        for pattern in &self.missing {
            announce(&format!("no line matched --until {}", pattern.as_str()));
        }
    }
}

/// The bytes without carriage returns.
fn without_returns(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().filter(|&byte| byte != b'\r').collect()
}
