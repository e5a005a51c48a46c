// SPDX-License-Identifier: MIT OR Apache-2.0
//! A script played against a machine.

use super::format::{Asking, Step};
use super::script::Script;
use crate::ctl::line::Line;
use crate::emulator::frames::Filter;
use crate::emulator::keys;
use crate::emulator::launch::Launch;
use crate::emulator::lines::Lines;
use crate::emulator::machine::{Event, Machine};
use crate::emulator::switchboard::{Switchboard, join};
use crate::failure::{PASSED, status_of};
use anyhow::{Context, Error, Result, bail};
use bulkctl::person::Person;
use bulkctl::verbs;
use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a line without an ending is left to grow before it counts as a prompt.
const PROMPT: Duration = Duration::from_millis(200);
/// How long the machine may take to power off after the hypervisor's last line.
const POWER_OFF: Duration = Duration::from_secs(20);
/// Console lines that a failure repeats.
const LINES_SHOWN: usize = 30;

/// What a run needs to know of its machine.
#[derive(Debug)]
pub struct Stage<'a> {
    /// Starts the emulator.
    pub emulator: &'a Launch,
    /// Partitions in the order of the console's digits.
    pub partitions: &'a [String],
    /// Longest time.
    pub timeout: Duration,
    /// Where the console is written.
    pub log: &'a Path,
}

/// Plays a script; the error says why it failed and what the console showed last.
pub fn play(stage: &Stage, script: &mut Script) -> Result<()> {
    let mut run = Run {
        machine: Machine::start(stage.emulator)?,
        filter: Filter::default(),
        lines: Lines::default(),
        programs: Switchboard::default(),
        asked: None,
        log: File::create(stage.log).with_context(|| stage.log.display().to_string())?,
        recent: VecDeque::new(),
    };
    let verdict = run.follow(stage, script);
    let Run { machine, recent, .. } = run;
    let (_, said) = machine.finish(true)?;
    verdict.map_err(|why| {
        let mut text = format!("{why:#}\nconsole: {}", stage.log.display());
        for line in recent.iter().map(String::as_str).chain(said.lines()) {
            text.push_str("\n  ");
            text.push_str(line);
        }
        Error::msg(text)
    })
}

/// A machine under a script.
struct Run {
    machine: Machine,
    filter: Filter,
    lines: Lines,
    programs: Switchboard,
    asked: Option<JoinHandle<(u8, String)>>,
    log: File,
    recent: VecDeque<String>,
}

impl Run {
    /// Follows the console until the script is over.
    fn follow(&mut self, stage: &Stage, script: &mut Script) -> Result<()> {
        let deadline = Instant::now() + stage.timeout;
        let mut off_by: Option<Instant> = None;
        loop {
            self.act(stage.partitions, script)?;
            match self.machine.next(PROMPT) {
                Some(Event::Output(bytes)) => self.output(&bytes, script)?,
                Some(Event::Ended) => return script.judge().map_err(Error::msg),
                Some(Event::Program(news)) => self.programs.take(news),
                Some(Event::Input(_) | Event::Signal(_)) => {}
                None => script.prompt(&self.lines.partial()),
            }
            let now = Instant::now();
            if script.finished() && off_by.is_none() {
                if script.runs_on() {
                    return script.judge().map_err(Error::msg);
                }
                off_by = Some(now + POWER_OFF);
            }
            if off_by.is_some_and(|limit| now >= limit) {
                bail!("the machine did not power off after its last line");
            }
            if now >= deadline {
                bail!("{} s are up; awaited: {}", stage.timeout.as_secs(), script.awaited());
            }
        }
    }

    /// Does what the script wants done, and passes questions and their answers on.
    fn act(&mut self, partitions: &[String], script: &mut Script) -> Result<()> {
        if let Some(asked) = self.asked.take_if(|asked| asked.is_finished()) {
            let (status, output) = asked.join().map_err(|_| Error::msg("ctl panicked"))?;
            script.answered(status, &output).map_err(Error::msg)?;
        }
        while let Some(deed) = script.deed() {
            match deed {
                Step::Type(typing) => {
                    let place = partitions.iter().position(|name| *name == typing.to);
                    let place =
                        place.with_context(|| format!("no partition is called {}", typing.to))?;
                    self.machine.send(&keys::focused(place, &typing.text));
                }
                Step::Ask(asking) => {
                    let (near, far) = UnixStream::pair().context("a line for ctl")?;
                    join(far, &self.machine.sender());
                    self.asked = Some(std::thread::spawn(move || ask(near, &asking)));
                }
                Step::Noise(bytes) => self.machine.send(&noise(bytes)),
                Step::Expect { .. } => {}
            }
        }
        while let Some(request) = self.programs.next_request() {
            self.machine.send(&request);
        }
        Ok(())
    }

    /// Shows the script each whole line.
    fn output(&mut self, bytes: &[u8], script: &mut Script) -> Result<()> {
        self.log.write_all(bytes).context("writing the console's log")?;
        let parted = self.filter.push(bytes);
        for (carries, line) in &parted.frames {
            self.programs.tell(*carries, line);
        }
        for line in self.lines.push(&parted.shown) {
            if self.recent.len() == LINES_SHOWN {
                self.recent.pop_front();
            }
            self.recent.push_back(line.clone());
            script.line(&line).map_err(Error::msg)?;
        }
        Ok(())
    }
}

/// Asks as `cargo xtask ctl` would; its exit status, and what it printed.
fn ask(line: UnixStream, asking: &Asking) -> (u8, String) {
    let mut out = Vec::new();
    let outcome = Line::new(line.into()).and_then(|mut line| {
        let mut person = Person {
            out: &mut out,
            terminal: false,
            screen: false,
            keys: Box::new(|| Box::new(std::io::empty())),
        };
        let command = &asking.command;
        Ok(verbs::run(&command.verb, &command.options, &mut line, &mut person)?)
    });
    let mut text = String::from_utf8_lossy(&out).into_owned();
    let status = outcome.map_or_else(
        |error| {
            text.push_str(&format!("{error:#}\n"));
            status_of(&error)
        },
        |()| PASSED,
    );
    (status, text)
}

/// Bytes of every kind, the same each time.
fn noise(bytes: usize) -> Vec<u8> {
    let next = |seed: &u32| Some(seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    std::iter::successors(Some(1), next).map(|seed| (seed >> 24) as u8).take(bytes).collect()
}
