// SPDX-License-Identifier: MIT OR Apache-2.0
//! The mailbox from a test, typed: what there is, and what can be done to it.

use crate::error::Error;
use crate::system::System;
use abi::mailbox::body::{self, Changed, Log};
use abi::mailbox::request::Request;
use abi::mailbox::{Message, NOBODY, OWN};
use abi::records::U16;
use bulkctl::changes;
use bulkctl::person::Person;
use bulkctl::session::{Session, text};
use bulkctl::verbs::{self, Options, Verb};
use clap::Parser;
use std::time::{Duration, Instant};

pub use abi::mailbox::event::Kind;
pub use abi::mailbox::state::{State, Why};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// From look to look, for a state that is awaited.
const PERIOD: Duration = Duration::from_millis(50);

/// The way to the hypervisor.
#[derive(Clone, Copy, Debug)]
pub struct Mailbox<'a> {
    system: &'a System,
    patience: Duration,
}

/// A partition in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// What it does; none for a state that this library does not know.
    pub state: Option<State>,
    /// Its vCPUs.
    pub vcpus: u16,
    /// Times it was started afresh.
    pub restarts: u32,
}

/// Details of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Details {
    /// What it does.
    pub state: Option<State>,
    /// Times it was started afresh.
    pub restarts: u32,
    /// Restarts that its policy still allows; none if it has no bound.
    pub restarts_left: Option<u32>,
    /// How it ended last.
    pub ended_by: Option<Why>,
    /// Bytes of its memory.
    pub memory: u64,
    /// The CPU of each vCPU.
    pub cpus: Vec<u32>,
    /// When it started last, since boot.
    pub started: Duration,
    /// When it ended last, since boot; zero if it never did.
    pub ended: Duration,
    /// Its watchdog's time, if one is armed.
    pub watchdog: Option<Duration>,
}

/// What was counted of a partition since it was started, its console's bytes and its requests since boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// When this was read, since boot.
    pub time: Duration,
    /// How long its vCPUs were on, together.
    pub cpu: Duration,
    /// Exits.
    pub exits: u64,
    /// Interrupts injected.
    pub interrupts: u64,
    /// Times it rang a channel's bell.
    pub rings: u64,
    /// Times a channel's bell interrupted it.
    pub rung: u64,
    /// Bytes written to its console.
    pub console: u64,
    /// Bytes dropped because its console was full.
    pub dropped: u64,
    /// Bytes typed for it that it had no room for.
    pub untyped: u64,
    /// Mailbox requests.
    pub requests: u64,
    /// Of those, denied.
    pub denied: u64,
}

/// Something in the machine's log. What the numbers mean, the kind says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its number, from one on.
    pub number: u64,
    /// When, since boot.
    pub time: Duration,
    /// What; none for one that this library does not know.
    pub kind: Option<Kind>,
    /// About whom; none if about the machine.
    pub partition: Option<String>,
    /// See [`Kind`].
    pub code: u32,
    /// See [`Kind`].
    pub first: u64,
    /// See [`Kind`].
    pub second: u64,
}

/// A command as it stands behind `cargo xtask ctl`.
#[derive(Clone, Debug, Parser)]
#[command(name = "ctl", no_binary_name = true)]
pub struct Command {
    /// Options of every verb.
    #[command(flatten)]
    options: Options,
    /// The verb.
    #[command(subcommand)]
    verb: Verb,
}

impl Command {
    /// Reads a command.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn read(text: &str) -> Result<Self, String> {
        Self::try_parse_from(text.split_whitespace()).map_err(|error| error.to_string())
    }
}

/// What a [`Command`] came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The exit status that the program would have.
    pub status: u8,
    /// What it printed, with the error if there is one.
    pub output: String,
}

impl<'a> Mailbox<'a> {
    pub(crate) const fn new(system: &'a System) -> Self {
        Self { system, patience: PATIENCE }
    }

    /// The same with another time for each answer; questions that change nothing are asked thrice.
    #[must_use]
    pub const fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// All partitions, in the order of the manifest.
    ///
    /// # Errors
    /// [`Error::Mailbox`], as of all that follows.
    pub fn list(&self) -> Result<Vec<Row>, Error> {
        let rows = self.talk(|session| session.rows())?;
        Ok(rows.iter().map(row).collect())
    }

    /// A partition's state.
    ///
    /// # Errors
    /// [`Error::Mailbox`].
    pub fn state(&self, name: &str) -> Result<Option<State>, Error> {
        let found = self.talk(|session| session.find(name))?;
        Ok(row(&found).state)
    }

    /// A partition in detail.
    ///
    /// # Errors
    /// [`Error::Mailbox`].
    pub fn details(&self, name: &str) -> Result<Details, Error> {
        const WATCHED: u16 = 1 << 1;
        let found: body::Partition = self.get(Message::Partition, name)?;
        let watched = found.flags.get() & WATCHED != 0;
        Ok(Details {
            state: State::from_number(found.state.get()),
            restarts: found.restarts.get(),
            restarts_left: Some(found.restarts_left.get()).filter(|left| *left != u32::MAX),
            ended_by: Why::from_number(found.why.get()),
            memory: found.memory.get(),
            cpus: found.cpus.iter().take(found.vcpus.get().into()).map(|cpu| cpu.get()).collect(),
            started: Duration::from_nanos(found.started_ns.get()),
            ended: Duration::from_nanos(found.ended_ns.get()),
            watchdog: watched.then(|| Duration::from_nanos(found.watchdog_ns.get())),
        })
    }

    /// A partition's counters.
    ///
    /// # Errors
    /// [`Error::Mailbox`].
    pub fn statistics(&self, name: &str) -> Result<Statistics, Error> {
        let found: body::Statistics = self.get(Message::Statistics, name)?;
        Ok(Statistics {
            time: Duration::from_nanos(found.time_ns.get()),
            cpu: Duration::from_nanos(found.cpu_ns.get()),
            exits: found.exits.get(),
            interrupts: found.interrupts.get(),
            rings: found.rings.get(),
            rung: found.rung.get(),
            console: found.console.get(),
            dropped: found.dropped.get(),
            untyped: found.untyped.get(),
            requests: found.requests.get(),
            denied: found.denied.get(),
        })
    }

    /// The machine's log, as far back as the hypervisor keeps it.
    ///
    /// # Errors
    /// [`Error::Mailbox`].
    pub fn events(&self) -> Result<Vec<Event>, Error> {
        self.talk(|session| {
            let names: Vec<String> = session.rows()?.iter().map(|row| text(&row.name)).collect();
            let mut events = Vec::new();
            // Events count from one.
            let mut next = 1;
            loop {
                let log: Log = session.get(&Request::new(Message::Log, OWN).first(next), None)?;
                let count = usize::try_from(log.count.get()).unwrap_or(usize::MAX);
                events.extend(log.events.iter().take(count).map(|found| event(found, &names)));
                // A server that does not move on has no more, whatever it says.
                if log.more.get() == 0 || log.next.get() <= next {
                    return Ok(events);
                }
                next = log.next.get();
            }
        })
    }

    /// Starts a partition that does not run; the state that follows, here and below.
    ///
    /// # Errors
    /// [`Error::Mailbox`].
    pub fn start(&self, name: &str) -> Result<Option<State>, Error> {
        self.change(Message::Start, name)
    }

    /// Asks a partition to end, and kills it when the time is over.
    ///
    /// # Errors
    /// [`Error::Mailbox`].
    pub fn stop(&self, name: &str, within: Duration) -> Result<Option<State>, Error> {
        let time = u64::try_from(within.as_nanos()).unwrap_or(u64::MAX);
        self.ask(name, |row| Request::new(Message::Stop, row).first(time))
    }

    /// Ends a partition now.
    ///
    /// # Errors
    /// [`Error::Mailbox`].
    pub fn kill(&self, name: &str) -> Result<Option<State>, Error> {
        self.change(Message::Kill, name)
    }

    /// Starts a partition afresh.
    ///
    /// # Errors
    /// [`Error::Mailbox`].
    pub fn restart(&self, name: &str) -> Result<Option<State>, Error> {
        self.change(Message::Restart, name)
    }

    /// Keeps a partition's vCPUs from running.
    ///
    /// # Errors
    /// [`Error::Mailbox`].
    pub fn pause(&self, name: &str) -> Result<Option<State>, Error> {
        self.change(Message::Pause, name)
    }

    /// Lets a paused partition run again.
    ///
    /// # Errors
    /// [`Error::Mailbox`].
    pub fn resume(&self, name: &str) -> Result<Option<State>, Error> {
        self.change(Message::Resume, name)
    }

    /// Gives a vCPU what makes its guest dump itself: an NMI on x86, an SError on Arm.
    ///
    /// # Errors
    /// [`Error::Mailbox`], also where the machine cannot do it.
    pub fn inject(&self, name: &str, vcpu: u16) -> Result<Option<State>, Error> {
        self.ask(name, |row| Request { vcpu: U16::new(vcpu), ..Request::new(Message::Inject, row) })
    }

    /// Resets the machine. The console goes on with the next boot.
    ///
    /// # Errors
    /// [`Error::Mailbox`].
    pub fn reboot(&self) -> Result<(), Error> {
        self.talk(|session| changes::machine(session, Message::Reboot))
    }

    /// Switches the machine off.
    ///
    /// # Errors
    /// [`Error::Mailbox`].
    pub fn power_off(&self) -> Result<(), Error> {
        self.talk(|session| changes::machine(session, Message::PowerOff))
    }

    /// Waits until a partition is in a state.
    ///
    /// # Errors
    /// [`Error::Late`] and [`Error::Mailbox`].
    pub fn wait_for(&self, name: &str, state: State, within: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + within;
        loop {
            let now = self.state(name)?;
            if now == Some(state) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let now = now.map_or("unknown", State::word);
                let awaited = format!("{name} that is {} (it is {now})", state.word());
                return Err(Error::Late { awaited, within, console: self.system.console().tail() });
            }
            std::thread::sleep(PERIOD);
        }
    }

    /// Does what `cargo xtask ctl` would do, with its output and its exit status.
    #[must_use]
    pub fn ctl(&self, command: &Command) -> Answered {
        let mut out = Vec::new();
        let mut person = Person {
            out: &mut out,
            terminal: false,
            screen: false,
            keys: Box::new(|| Box::new(std::io::empty())),
        };
        let outcome = self.system.line().and_then(|mut line| {
            Ok(verbs::run(&command.verb, &command.options, &mut line, &mut person)?)
        });
        drop(person);
        let mut output = String::from_utf8_lossy(&out).into_owned();
        let status = match outcome {
            Ok(()) => 0,
            Err(why) => {
                output.push_str(&format!("{why}\n"));
                if let Error::Mailbox(why) = why { why.status() } else { bulkctl::error::FAILED }
            }
        };
        Answered { status, output }
    }

    /// Has a conversation.
    fn talk<T>(
        &self,
        ask: impl FnOnce(&mut Session<'_>) -> Result<T, bulkctl::error::Error>,
    ) -> Result<T, Error> {
        let mut line = self.system.line()?;
        let mut session = Session::open(&mut line, self.patience)?;
        Ok(ask(&mut session)?)
    }

    /// Asks something about a partition.
    fn get<T: abi::mailbox::answer::Body>(&self, message: Message, name: &str) -> Result<T, Error> {
        self.talk(|session| {
            let row = session.find(name)?.index.get();
            session.get(&Request::new(message, row), Some(name))
        })
    }

    fn change(&self, message: Message, name: &str) -> Result<Option<State>, Error> {
        self.ask(name, |row| Request::new(message, row))
    }

    /// Asks a change of a partition.
    fn ask(
        &self,
        name: &str,
        request: impl FnOnce(u16) -> Request,
    ) -> Result<Option<State>, Error> {
        let changed: Changed = self.talk(|session| {
            let row = session.find(name)?.index.get();
            session.get(&request(row), Some(name))
        })?;
        Ok(State::from_number(changed.state.get()))
    }
}

fn row(row: &body::Row) -> Row {
    Row {
        name: text(&row.name),
        state: State::from_number(row.state.get()),
        vcpus: row.vcpus.get(),
        restarts: row.restarts.get(),
    }
}

fn event(event: &abi::mailbox::event::Event, names: &[String]) -> Event {
    let row = Some(event.partition.get()).filter(|row| *row != NOBODY);
    Event {
        number: event.number.get(),
        time: Duration::from_nanos(event.time_ns.get()),
        kind: event.known(),
        partition: row.and_then(|row| names.get(usize::from(row)).cloned()),
        code: event.code.get(),
        first: event.first.get(),
        second: event.second.get(),
    }
}
