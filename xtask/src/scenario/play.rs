// SPDX-License-Identifier: MIT OR Apache-2.0
//! A script played against a machine.

use super::script::Script;
use crate::emulator::keys;
use crate::emulator::launch::Launch;
use crate::emulator::lines::Lines;
use crate::emulator::machine::{Event, Machine};
use anyhow::{Context, Error, Result, bail};
use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::path::Path;
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
        lines: Lines::default(),
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
    lines: Lines,
    log: File,
    recent: VecDeque<String>,
}

impl Run {
    /// Follows the console until the script is over.
    fn follow(&mut self, stage: &Stage, script: &mut Script) -> Result<()> {
        let deadline = Instant::now() + stage.timeout;
        let mut off_by: Option<Instant> = None;
        loop {
            self.type_at(stage.partitions, script)?;
            match self.machine.next(PROMPT) {
                Some(Event::Output(bytes)) => self.output(&bytes, script)?,
                Some(Event::Ended) => return script.judge().map_err(Error::msg),
                Some(Event::Input(_) | Event::Signal(_) | Event::Program(_)) => {}
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

    /// Types what the script wants typed.
    fn type_at(&self, partitions: &[String], script: &mut Script) -> Result<()> {
        while let Some(typing) = script.typing() {
            let place = partitions.iter().position(|name| *name == typing.to);
            let place = place.with_context(|| format!("no partition is called {}", typing.to))?;
            self.machine.send(&keys::focused(place, &typing.text));
        }
        Ok(())
    }

    /// Shows the script each whole line.
    fn output(&mut self, bytes: &[u8], script: &mut Script) -> Result<()> {
        self.log.write_all(bytes).context("writing the console's log")?;
        for line in self.lines.push(bytes) {
            if self.recent.len() == LINES_SHOWN {
                self.recent.pop_front();
            }
            self.recent.push_back(line.clone());
            script.line(&line).map_err(Error::msg)?;
        }
        Ok(())
    }
}
