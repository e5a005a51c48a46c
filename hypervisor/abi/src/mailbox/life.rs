// SPDX-License-Identifier: MIT OR Apache-2.0
//! A partition's life as one value, without clock or machine: who asks for a
//! change says what time it is, and is told what to do. Every change of the
//! state goes through [`State::after`].

use super::policy::{Fate, History, Policy};
use super::state::{State, Step, Why};
use super::watchdog::Watchdog;
use super::{Code, Failure};

/// A partition's life. Times are nanoseconds since boot.
#[derive(Clone, Debug)]
pub struct Life {
    state: State,
    why: Option<Why>,
    fate: Fate,
    starts: u32,
    started: u64,
    ended: u64,
    stop_by: u64,
    history: History,
    watchdog: Watchdog,
}

/// What a deadline brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// It is to be filled and started, as [`State::Starting`] says.
    Start,
    /// It is to be parked, as [`State::Ending`] says.
    End(Why),
}

impl Life {
    /// A partition that waits, or one that is being started at boot.
    #[must_use]
    pub fn new(starts: bool) -> Self {
        Self {
            state: if starts { State::Starting } else { State::Waiting },
            why: None,
            fate: Fate::Off,
            starts: 0,
            started: 0,
            ended: 0,
            stop_by: 0,
            history: History::new(),
            watchdog: Watchdog::default(),
        }
    }

    /// Where it is.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Why it ends, or ended last.
    #[must_use]
    pub const fn why(&self) -> Option<Why> {
        self.why
    }

    /// What becomes, or became, of it after its last end.
    #[must_use]
    pub const fn fate(&self) -> Fate {
        self.fate
    }

    /// Times it was started afresh.
    #[must_use]
    pub const fn restarts(&self) -> u32 {
        self.starts.saturating_sub(1)
    }

    /// When it started and when it ended last; zero if never.
    #[must_use]
    pub const fn times(&self) -> (u64, u64) {
        (self.started, self.ended)
    }

    /// How many more restarts its policy allows.
    #[must_use]
    pub fn restarts_left(&self, policy: &Policy, now: u64) -> usize {
        self.history.left(policy, now)
    }

    fn step(&mut self, step: Step) -> Result<State, Failure> {
        self.state = self.state.after(step).ok_or(self.state.refusal())?;
        Ok(self.state)
    }

    /// Carries out a request to start, kill, restart, pause or resume; the state
    /// then says what is to be done.
    ///
    /// # Errors
    /// [`State::refusal`], and nothing happened; [`Code::Unsupported`] for a step that nobody asks for.
    pub fn ask(&mut self, step: Step, policy: &Policy, now: u64) -> Result<State, Failure> {
        let why = match step {
            Step::Start | Step::Pause | Step::Resume => None,
            Step::Kill => Some(Why::Killed),
            Step::Restart => Some(Why::Restarted),
            Step::Stop
            | Step::Filled
            | Step::End
            | Step::ParkedAgain
            | Step::Parked
            | Step::WipedOff
            | Step::WipedBackoff
            | Step::WipedFailed
            | Step::Abandon => return Err(Failure::new(Code::Unsupported)),
        };
        // Nobody runs on a CPU that met a bug again.
        if self.why == Some(Why::Panic) {
            return Err(self.state.refusal());
        }
        let state = self.step(step)?;
        match (state, why) {
            (State::Ending, Some(why)) => self.decide(why, policy, now),
            (State::Off, Some(why)) => self.forgo(why),
            (State::Paused, _) => self.watchdog.pause(now),
            (State::Running, _) => self.watchdog.resume(now),
            _ => {}
        }
        Ok(state)
    }

    /// Asks it to end within a time: [`State::Stopping`] if it is to be told so.
    ///
    /// # Errors
    /// [`State::refusal`], and nothing happened.
    pub fn stop(&mut self, within: u64, now: u64) -> Result<State, Failure> {
        let state = self.step(Step::Stop)?;
        if state == State::Off {
            self.forgo(Why::Stopped);
        }
        self.stop_by = now.saturating_add(within);
        Ok(state)
    }

    /// The guest or a fault ends it. False if it is ending already, or does not run.
    pub fn end(&mut self, why: Why, policy: &Policy, now: u64) -> bool {
        // Who was asked to end and does so has obeyed, even by a reset.
        let obeyed = self.state == State::Stopping && matches!(why, Why::Off | Why::Reset);
        let ends = self.step(Step::End).is_ok();
        if ends {
            self.decide(if obeyed { Why::Stopped } else { why }, policy, now);
        }
        ends
    }

    /// It is not started, as it would have been.
    const fn forgo(&mut self, why: Why) {
        self.why = Some(why);
        self.fate = Fate::Off;
    }

    fn decide(&mut self, why: Why, policy: &Policy, now: u64) {
        self.why = Some(why);
        self.ended = now;
        self.fate = self.history.ended(policy, why, self.started, now);
    }

    /// Its vCPUs are parked: [`State::Starting`] if it is to be filled, [`State::Wiping`] if wiped.
    pub fn parked(&mut self, now: u64) -> State {
        let at_once = matches!(self.fate, Fate::Again(at) if at <= now);
        let _ = self.step(if at_once { Step::ParkedAgain } else { Step::Parked });
        self.state
    }

    /// Its memory is wiped.
    pub fn wiped(&mut self) -> State {
        let _ = self.step(match self.fate {
            Fate::Again(_) => Step::WipedBackoff,
            Fate::Off => Step::WipedOff,
            Fate::Failed | Fate::GivenUp(_) => Step::WipedFailed,
        });
        self.state
    }

    /// Its memory is filled: it runs from now. False if it was abandoned meanwhile.
    pub fn filled(&mut self, policy: &Policy, now: u64) -> bool {
        let runs = self.step(Step::Filled).is_ok();
        if runs {
            self.starts = self.starts.saturating_add(1);
            self.started = now;
            self.watchdog = Watchdog::begin(policy.watchdog, now);
        }
        runs
    }

    /// A CPU of it met a bug of the hypervisor.
    pub fn abandon(&mut self, now: u64) {
        if self.step(Step::Abandon).is_ok() {
            self.why = Some(Why::Panic);
            self.fate = Fate::Failed;
            self.ended = now;
        }
    }

    /// Its watchdog.
    #[must_use]
    pub const fn watchdog(&self) -> &Watchdog {
        &self.watchdog
    }

    /// Its watchdog, to be changed.
    pub const fn watchdog_mut(&mut self) -> &mut Watchdog {
        &mut self.watchdog
    }

    /// When to call [`Life::due`]; none if nothing will come by itself.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        let watchdog = self.watchdog.deadline();
        match (self.state, self.fate) {
            (State::Running, _) => watchdog,
            (State::Stopping, _) => Some(watchdog.unwrap_or(u64::MAX).min(self.stop_by)),
            (State::Backoff, Fate::Again(at)) => Some(at),
            _ => None,
        }
    }

    /// A deadline may have come: what it brought.
    pub fn due(&mut self, policy: &Policy, now: u64) -> Option<Due> {
        self.deadline().filter(|deadline| *deadline <= now)?;
        if self.state == State::Backoff {
            self.step(Step::Start).ok()?;
            return Some(Due::Start);
        }
        let over = self.state == State::Stopping && self.stop_by <= now;
        let why = if over { Why::Killed } else { Why::Watchdog };
        self.end(why, policy, now).then_some(Due::End(why))
    }
}
