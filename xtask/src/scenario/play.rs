// SPDX-License-Identifier: MIT OR Apache-2.0
//! A script played against a machine: the library of tests starts, hears and steers
//! it, the script says what is to happen.

use super::format::Step;
use super::script::Script;
use anyhow::{Error, Result, bail};
use bulkhead_test::System;
use bulkhead_test::emulator::launch::Launch;
use bulkhead_test::mailbox::{Answered, Command};
use bulkhead_test::system::{Console, Heard};
use std::path::Path;
use std::thread::{Scope, ScopedJoinHandle, scope};
use std::time::{Duration, Instant};

/// How long nothing may be heard of a machine before the script has its turn.
const PATIENCE: Duration = Duration::from_millis(50);
/// How long the machine may take to power off after the hypervisor's last line.
const POWER_OFF: Duration = Duration::from_secs(20);

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
    let system = System::boot(stage.emulator, stage.partitions.to_vec(), stage.log)?;
    let verdict = scope(|scope| {
        let mut run = Run { system: &system, console: system.console(), asked: None, scope };
        let verdict = run.follow(stage.timeout, script);
        // Whoever still waits for an answer gets none.
        system.stop();
        verdict
    });
    verdict.map_err(|why| Error::msg(format!("{why:#}\n{}", system.console().tail())))
}

/// A machine under a script.
struct Run<'scope, 'env> {
    system: &'env System,
    console: Console<'env>,
    asked: Option<ScopedJoinHandle<'scope, Answered>>,
    scope: &'scope Scope<'scope, 'env>,
}

impl<'scope, 'env> Run<'scope, 'env> {
    /// Follows the console until the script is over.
    fn follow(&mut self, timeout: Duration, script: &mut Script) -> Result<()> {
        let deadline = Instant::now() + timeout;
        let mut off_by: Option<Instant> = None;
        loop {
            self.act(script)?;
            match self.console.next(PATIENCE) {
                Heard::Line(line) => script.line(&line).map_err(Error::msg)?,
                Heard::Prompt(line) => script.prompt(&line),
                Heard::Ended => {
                    // What answered last may have been what ended it.
                    self.take_answer(script)?;
                    return script.judge().map_err(Error::msg);
                }
                Heard::Nothing => {}
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
                bail!("{} s are up; awaited: {}", timeout.as_secs(), script.awaited());
            }
        }
    }

    /// Does what the script wants done, and passes answers on.
    fn act(&mut self, script: &mut Script) -> Result<()> {
        if self.asked.as_ref().is_some_and(|asked| asked.is_finished()) {
            self.take_answer(script)?;
        }
        while let Some(deed) = script.deed() {
            match deed {
                Step::Type(typing) => self.system.partition(&typing.to).send(&typing.text)?,
                Step::Ask(asking) => self.ask(asking.command),
                Step::Noise(bytes) => self.system.send_raw(noise(bytes)),
                Step::Expect { .. } => {}
            }
        }
        Ok(())
    }

    /// Passes an answer on, which is awaited.
    fn take_answer(&mut self, script: &mut Script) -> Result<()> {
        let Some(asked) = self.asked.take() else { return Ok(()) };
        let Answered { status, output } = asked.join().map_err(|_| Error::msg("ctl panicked"))?;
        script.answered(status, &output).map_err(Error::msg)
    }

    /// Asks, while the console is followed.
    fn ask(&mut self, command: Command) {
        let mailbox = self.system.mailbox();
        self.asked = Some(self.scope.spawn(move || mailbox.ctl(&command)));
    }
}

/// Bytes of every kind, the same each time.
fn noise(bytes: usize) -> Vec<u8> {
    let next = |seed: &u32| Some(seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    std::iter::successors(Some(1), next).map(|seed| (seed >> 24) as u8).take(bytes).collect()
}
