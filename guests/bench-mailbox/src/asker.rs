// SPDX-License-Identifier: MIT OR Apache-2.0
//! The partition that asks.

use crate::nap;
use abi::mailbox::answer::{Answer, Body};
use abi::mailbox::body::{Changed, Counters, List, Partition};
use abi::mailbox::request::{Request, Topic};
use abi::mailbox::ring::ANSWERS_WRITTEN;
use abi::mailbox::state::State;
use abi::mailbox::{Message, OWN};
use abi::records::{Name, name};
use arrayvec::ArrayVec;
use guest_rt::mailbox::Mailbox;
use guest_rt::{power, println, timer};

/// How often each question is asked, and the RTOS restarted.
const REPEATS: usize = 16;
const RESTARTS: usize = 5;
/// Waits, as shares of a second: until the hypervisor has finished what a start began, until
/// who was started has done so too, and from one reading of the statistics to the next.
const SETTLE: u64 = 20;
const DONE: u64 = 2;
const BETWEEN: u64 = 10_000;
/// Most readings of the statistics: the watched partition ends much sooner.
const READINGS: u64 = 100_000;

const RTOS: Option<Name> = name("rtos");
const WATCHED: Option<Name> = name("watched");

/// What could not be measured.
type Failed = &'static str;

/// Measures everything, prints it, and ends the machine.
pub(crate) fn run(mailbox: Mailbox) -> ! {
    let mut asker = Asker { mailbox };
    match asker.measure() {
        Ok(rows) => rows.iter().for_each(Row::print),
        Err(why) => println!("bench: failed: {why}"),
    }
    nap(SETTLE);
    asker.mailbox.ask(&Request::new(Message::PowerOff, OWN));
    power::off()
}

/// A row: its name and what was counted.
struct Row {
    name: &'static str,
    counts: ArrayVec<u64, REPEATS>,
}

impl Row {
    fn new(name: &'static str) -> Self {
        Self { name, counts: ArrayVec::new() }
    }

    fn print(&self) {
        let mut counts = self.counts.clone();
        counts.sort_unstable();
        if let [smallest, .., largest] | [smallest @ largest] = counts.as_slice() {
            let median = counts.get(counts.len() / 2).unwrap_or(largest);
            println!("bench: {} {smallest} {median} {largest}", self.name);
        }
    }
}

struct Asker {
    mailbox: Mailbox,
}

impl Asker {
    fn measure(&mut self) -> Result<[Row; 5], Failed> {
        nap(SETTLE);
        let [hello, hello_client] =
            self.round_trips(["mailbox-hello", "mailbox-hello-client"], &Request::hello())?;
        let statistics = Request::new(Message::Statistics, OWN);
        let [statistics, _] = self.round_trips(["mailbox-statistics", ""], &statistics)?;
        let restart = self.restarts()?;
        let readings = self.readings()?;
        Ok([hello, hello_client, statistics, restart, readings])
    }

    /// The row of a partition of this name.
    fn row(&mut self, name: Option<Name>) -> Result<u16, Failed> {
        let list: List = self.get(&Request::new(Message::List, OWN))?;
        let row = list.rows.iter().find(|row| Some(row.name) == name);
        Ok(row.ok_or("the list of partitions lacks one")?.index.get())
    }

    /// Asks, and waits for the answer.
    fn answer(&mut self, request: &Request) -> Result<Answer, Failed> {
        let number = self.mailbox.ask(request).ok_or("the mailbox is full")?;
        self.taken(number)
    }

    /// The answer with this number, which is the next.
    fn taken(&mut self, number: u32) -> Result<Answer, Failed> {
        let answer = loop {
            match self.mailbox.answer() {
                Some(answer) => break answer,
                None => core::hint::spin_loop(),
            }
        };
        let good = answer.number.get() == number && answer.outcome().is_ok();
        if good { Ok(answer) } else { Err("a request was refused") }
    }

    fn get<T: Body>(&mut self, request: &Request) -> Result<T, Failed> {
        Ok(self.answer(request)?.get())
    }

    /// From the store that rings the bell until the answer is seen in the page; and from before
    /// the request is put there until the answer is taken out.
    fn round_trips(
        &mut self,
        names: [&'static str; 2],
        request: &Request,
    ) -> Result<[Row; 2], Failed> {
        let [mut inner, mut outer] = names.map(Row::new);
        for _ in 0..REPEATS {
            let put = timer::now();
            let number = self.mailbox.put(request).ok_or("the mailbox is full")?;
            let answers = self.answers();
            let rung = timer::now();
            self.mailbox.ring();
            while self.answers() == answers {
                core::hint::spin_loop();
            }
            let seen = timer::now();
            self.taken(number)?;
            let taken = timer::now();
            inner.counts.push(seen - rung);
            outer.counts.push(taken - put);
        }
        Ok([inner, outer])
    }

    /// Answers written so far.
    fn answers(&self) -> u32 {
        self.mailbox.memory().read32(ANSWERS_WRITTEN.into())
    }

    /// Restarts the RTOS, and asks nothing until it runs again: from the end of one run until the
    /// vCPU of the next is switched on.
    fn restarts(&mut self) -> Result<Row, Failed> {
        let rtos = self.row(RTOS)?;
        let _: Changed = self.get(&Request::new(Message::Start, rtos))?;
        nap(SETTLE);
        let mut row = Row::new("restart-rtos");
        for number in 1..=RESTARTS {
            let _: Changed = self.get(&Request::new(Message::Restart, rtos))?;
            nap(SETTLE);
            let details: Partition = self.get(&Request::new(Message::Partition, rtos))?;
            let topic = Request::new(Message::Vcpu, rtos).first(Topic::Counters as u64);
            let counters: Counters = self.get(&topic)?;
            let is_on = counters.place.get() >> 32 & 1 != 0;
            if details.restarts.get() as usize != number || !is_on {
                return Err("the RTOS was not restarted");
            }
            let on = counters.time_ns.get() - counters.cpu_ns.get();
            row.counts.push(counts(on - details.ended_ns.get()));
        }
        let _: Changed = self.get(&Request::new(Message::Kill, rtos))?;
        nap(SETTLE);
        Ok(row)
    }

    /// Lets the watched partition run unread, then reads all there is to read of it while it runs
    /// again: how often that was.
    fn readings(&mut self) -> Result<Row, Failed> {
        let watched = self.row(WATCHED)?;
        let start = Request::new(Message::Start, watched);
        let _: Changed = self.get(&start)?;
        nap(DONE);
        let _: Changed = self.get(&start)?;
        let mut row = Row::new("readings");
        for reading in 1..READINGS {
            nap(BETWEEN);
            self.answer(&Request::new(Message::List, OWN))?;
            self.answer(&Request::new(Message::Statistics, watched))?;
            for topic in Topic::ALL {
                let vcpu = Request::new(Message::Vcpu, watched).first(*topic as u64);
                self.answer(&vcpu)?;
            }
            let details: Partition = self.get(&Request::new(Message::Partition, watched))?;
            if details.state.get() == State::Off as u16 {
                row.counts.push(reading);
                return Ok(row);
            }
        }
        Err("the watched partition did not end")
    }
}

/// Nanoseconds as counts of the counter, to the nearest.
fn counts(nanoseconds: u64) -> u64 {
    const SECOND: u128 = 1_000_000_000;
    let counts = (u128::from(nanoseconds) * u128::from(timer::frequency()) + SECOND / 2) / SECOND;
    u64::try_from(counts).unwrap_or(u64::MAX)
}
