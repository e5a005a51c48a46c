// SPDX-License-Identifier: MIT OR Apache-2.0
//! The life of a partition: its states, and what leads from one to another.
//! [`State::after`] is the one table of them.
//!
//! ```text
//!  waiting ─start─> starting ─filled─> running <─resume/pause─> paused
//!                      ^                  │ stop: stopping (asked to end, time runs)
//!                      │                  v kill, restart, crash, off, reset, watchdog
//!                      ├───── restart ── ending ──> wiping ──> off, failed
//!                      └── time is over ── backoff <───┘
//! ```

use super::{Code, Failure, Message, numbers};

numbers! {
    /// Where a partition is in its life.
    State: u16 {
        /// It was never started: by hand, or when those it depends on run.
        Waiting = 1, "waiting";
        /// Its memory is being zeroed and its image copied.
        Starting = 2, "starting";
        /// Its vCPUs run.
        Running = 3, "running";
        /// Its vCPUs are kept from running.
        Paused = 4, "paused";
        /// It was asked to end and runs on until it does, or until its time is over.
        Stopping = 5, "stopping";
        /// Its vCPUs are being parked.
        Ending = 6, "ending";
        /// Its memory is being zeroed.
        Wiping = 7, "wiping";
        /// It failed and will be started when its time has come.
        Backoff = 8, "backoff";
        /// It has ended as somebody wanted.
        Off = 9, "off";
        /// It has failed, and is not started again by itself.
        Failed = 10, "failed";
    }
}

numbers! {
    /// Why a partition ended.
    Why: u16 {
        /// It switched itself off.
        Off = 1, "off";
        /// It restarted itself.
        Reset = 2, "reset";
        /// A request stopped it, and it obeyed.
        Stopped = 3, "stopped";
        /// A request killed it, or the time to stop was over.
        Killed = 4, "killed";
        /// A request restarted it.
        Restarted = 5, "restarted";
        /// It did what it may not, or cannot go on.
        Crash = 6, "crash";
        /// Its watchdog was not kicked in time.
        Watchdog = 7, "watchdog";
        /// A CPU of it met a bug of the hypervisor.
        Panic = 8, "panic";
    }
}

/// What can happen to a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A request, or those it depends on run.
    Start,
    /// A request.
    Stop,
    /// A request, or the time to stop is over.
    Kill,
    /// A request.
    Restart,
    /// A request.
    Pause,
    /// A request.
    Resume,
    /// Memory is filled.
    Filled,
    /// The guest, its watchdog or a fault ends it.
    End,
    /// Its vCPUs are parked, and it is to start again at once.
    ParkedAgain,
    /// Its vCPUs are parked.
    Parked,
    /// Memory is zeroed, and it ended as somebody wanted.
    WipedOff,
    /// Memory is zeroed, and it is to start later.
    WipedBackoff,
    /// Memory is zeroed, and it failed for good.
    WipedFailed,
    /// A CPU of it met a bug of the hypervisor.
    Abandon,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Start,
        Self::Stop,
        Self::Kill,
        Self::Restart,
        Self::Pause,
        Self::Resume,
        Self::Filled,
        Self::End,
        Self::ParkedAgain,
        Self::Parked,
        Self::WipedOff,
        Self::WipedBackoff,
        Self::WipedFailed,
        Self::Abandon,
    ];

    /// What a request does to a partition's life; none if nothing.
    #[must_use]
    pub const fn of(message: Message) -> Option<Self> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "a few of many")]
        match message {
            Message::Start => Some(Self::Start),
            Message::Stop => Some(Self::Stop),
            Message::Kill => Some(Self::Kill),
            Message::Restart => Some(Self::Restart),
            Message::Pause => Some(Self::Pause),
            Message::Resume => Some(Self::Resume),
            _ => None,
        }
    }
}

impl State {
    /// The state that a step leads to; none if it cannot happen here.
    #[must_use]
    pub const fn after(self, step: Step) -> Option<Self> {
        use State::{
            Backoff, Ending, Failed, Off, Paused, Running, Starting, Stopping, Waiting, Wiping,
        };
        Some(match (step, self) {
            (Step::Start | Step::Restart, Waiting | Backoff | Off | Failed)
            | (Step::ParkedAgain, Ending) => Starting,
            (Step::Stop, Running) => Stopping,
            (Step::Stop | Step::Kill, Waiting | Backoff) | (Step::WipedOff, Wiping) => Off,
            (Step::Kill | Step::Restart, Running | Paused | Stopping)
            | (Step::End, Running | Paused | Stopping) => Ending,
            (Step::Pause, Running) => Paused,
            (Step::Resume, Paused) | (Step::Filled, Starting) => Running,
            (Step::Parked, Ending) => Wiping,
            (Step::WipedBackoff, Wiping) => Backoff,
            (Step::WipedFailed, Wiping) | (Step::Abandon, _) => Failed,
            _ => return None,
        })
    }

    /// Whether it will leave this state by itself, within a bounded time.
    #[must_use]
    pub const fn is_passing(self) -> bool {
        matches!(self, Self::Starting | Self::Ending | Self::Wiping)
    }

    /// Whether its vCPUs may run.
    #[must_use]
    pub const fn runs(self) -> bool {
        matches!(self, Self::Running | Self::Stopping)
    }

    /// Why a request cannot be served here: not now, or not in this state.
    #[must_use]
    pub const fn refusal(self) -> Failure {
        let code = if self.is_passing() { Code::Busy } else { Code::State };
        Failure::with(code, self as u32)
    }
}
