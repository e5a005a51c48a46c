// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an RTOS does with its mailbox, one step a second: it kicks its watchdog,
//! reads its own statistics, ends when it is asked to, and restarts the partition
//! called `driver` when that one's heartbeat stops.

use crate::mailbox::Mailbox;
use crate::{power, println};
use abi::mailbox::answer::Answer;
use abi::mailbox::body::{Changed, List, Statistics};
use abi::mailbox::event::{Kind, KindSet};
use abi::mailbox::request::Request;
use abi::mailbox::state::State;
use abi::mailbox::{Failure, Message, OWN};
use abi::records::{Name, name};

/// Whose heartbeat is watched.
const DRIVER: &str = "driver";
const DRIVER_NAME: Option<Name> = name(DRIVER);
/// The watchdog's time: an emulator on a busy machine may stop for seconds.
const WATCHDOG_NS: u64 = 30_000_000_000;
/// Seconds without a heartbeat before the driver is restarted, and from attempt to attempt.
const SILENCE: u64 = 5;
/// Seconds from one look at the statistics to the next.
const STATISTICS: u64 = 10;

/// The keeper.
#[derive(Debug)]
pub struct Keeper {
    mailbox: Mailbox,
    steps: u64,
    heartbeat: Option<u64>,
    quiet: u64,
    /// The last failure that was printed.
    told: Option<(Option<Message>, Failure)>,
}

impl Keeper {
    /// Sets the watchdog, and wants to be told when to stop.
    #[must_use]
    pub fn begin(mailbox: Mailbox) -> Keeper {
        let mut keeper = Keeper { mailbox, steps: 0, heartbeat: None, quiet: 0, told: None };
        let stop = KindSet::from_bits_truncate(1 << Kind::StopRequested.number());
        keeper.ask(&Request::new(Message::Subscribe, OWN).first(stop.bits()));
        keeper.ask(&Request::new(Message::WatchdogArm, OWN).first(WATCHDOG_NS));
        keeper
    }

    /// One step, once a second. The driver's last heartbeat is what its channel told, if it told any.
    pub fn step(&mut self, heartbeat: Option<u64>) {
        while let Some(answer) = self.mailbox.answer() {
            self.answered(&answer);
        }
        while let Some(event) = self.mailbox.event() {
            if event.known() == Some(Kind::StopRequested) {
                println!("keeper: asked to stop");
                power::off()
            }
        }
        self.ask(&Request::new(Message::WatchdogKick, OWN));
        if self.steps.is_multiple_of(STATISTICS) {
            self.ask(&Request::new(Message::Statistics, OWN));
        }
        if self.is_silent(heartbeat) {
            self.ask(&Request::new(Message::List, OWN));
        }
        self.steps += 1;
    }

    /// Whether the driver, which had a heartbeat, has had none for a while.
    fn is_silent(&mut self, heartbeat: Option<u64>) -> bool {
        if heartbeat.is_none() || heartbeat != self.heartbeat {
            self.heartbeat = heartbeat;
            self.quiet = 0;
            return false;
        }
        self.quiet += 1;
        self.quiet.is_multiple_of(SILENCE)
    }

    fn ask(&mut self, request: &Request) {
        // A full mailbox has as many answers coming; the next step asks again what matters.
        let _ = self.mailbox.ask(request);
    }

    fn answered(&mut self, answer: &Answer) {
        let message = answer.known();
        if let Err(failure) = answer.outcome() {
            // What is refused each second is told once.
            if self.told.replace((message, failure)) != Some((message, failure)) {
                let asked = message.map_or("?", Message::word);
                println!("keeper: {asked}: {} {}", failure.code.word(), failure.detail);
            }
            return;
        }
        match message {
            Some(Message::Statistics) => {
                let own = answer.get::<Statistics>();
                let (cpu, exits) = (own.cpu_ns.get() / 1_000_000, own.exits.get());
                let (interrupts, restarts) = (own.interrupts.get(), own.restarts.get());
                println!(
                    "keeper: {cpu} ms of CPU, {exits} exits, {interrupts} interrupts, {restarts} restarts"
                );
            }
            Some(Message::List) => self.restart(&answer.get::<List>()),
            Some(Message::Restart) => {
                let state = State::from_number(answer.get::<Changed>().state.get());
                println!("keeper: restarted {DRIVER}: {}", state.map_or("?", State::word));
            }
            _ => {}
        }
    }

    /// Restarts the driver, if it is among these partitions; else looks at the next.
    fn restart(&mut self, list: &List) {
        let driver = list.rows.iter().find(|row| Some(row.name) == DRIVER_NAME);
        match (driver, list.next.get()) {
            (Some(row), _) => {
                println!("keeper: {DRIVER} is silent");
                self.ask(&Request::new(Message::Restart, row.index.get()));
            }
            (None, 0) => {}
            (None, next) => self.ask(&Request::new(Message::List, OWN).first(next.into())),
        }
    }
}
