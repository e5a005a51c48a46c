// SPDX-License-Identifier: MIT OR Apache-2.0
//! A machine behind a real server: three partitions, and counters that move.

use abi::mailbox::answer::Answer;
use abi::mailbox::body::{
    Changed, Counters, Hello, Histogram, List, Log, Machine as MachineBody, PIECE, Partition,
    Piece, Row, Statistics, Written,
};
use abi::mailbox::event::{Event, Kind};
use abi::mailbox::request::{Order, Source, Topic};
use abi::mailbox::rights::{Asker, MACHINE, Rights};
use abi::mailbox::server::{Backend, serve};
use abi::mailbox::state::{State, Step, Why};
use abi::mailbox::{Code, Failure, Features, Message, OWN, VERSION};
use abi::records::{U16, U32, U64, name};

/// Names of the partitions; the rows have the same order.
pub(crate) const NAMES: [&str; 3] = ["linux", "rtos", "driver"];
/// A fault record of the driver's.
pub(crate) const RECORD: &str = "data abort at 0x40080000\npc 0x40100004\n";

/// What the machine is and was told.
pub(crate) struct Machine {
    pub(crate) asker: Asker,
    pub(crate) states: [State; 3],
    pub(crate) done: Vec<(Order, usize)>,
    pub(crate) console: Vec<u8>,
    pub(crate) typed: Vec<u8>,
    pub(crate) events: Vec<Event>,
    pub(crate) denied: u64,
    looks: u64,
}

impl Machine {
    /// A machine whose asker is the host.
    pub(crate) fn new() -> Self {
        let mut events = Vec::new();
        for row in 0..5_u16 {
            let kind = [Kind::Started, Kind::Crashed][usize::from(row) / 3];
            let event = Event::new(kind, Some(row % 3));
            events.push(Event {
                number: U64::new(u64::from(row) + 1),
                time_ns: U64::new(1_500_000_000 + u64::from(row)),
                code: U32::new(u32::from(Why::Crash.number()) * u32::from(row / 3)),
                ..event
            });
        }
        Self {
            asker: Asker { own: None, rights: Rights::all() },
            states: [State::Running, State::Running, State::Failed],
            done: Vec::new(),
            console: Vec::new(),
            typed: Vec::new(),
            events,
            denied: 0,
            looks: 0,
        }
    }

    /// The answer to a request.
    pub(crate) fn answer(&mut self, request: &[u8]) -> Answer {
        let asker = self.asker;
        serve(request, &asker, self)
    }

    fn step(&mut self, step: Step, member: usize, answer: &mut Answer) -> Result<(), Failure> {
        let state = self.states[member];
        self.states[member] = state.after(step).ok_or(state.refusal())?;
        self.changed(member, answer);
        Ok(())
    }

    fn changed(&self, member: usize, answer: &mut Answer) {
        let state = U16::new(self.states[member].number());
        answer.put(&Changed { state, restarts: U32::new(4), ..Changed::default() });
    }

    fn row(&self, index: usize) -> Row {
        let seen = self.asker.sees(index);
        Row {
            name: name(NAMES[index]).unwrap(),
            index: U16::new(index as u16),
            state: U16::new(if seen { self.states[index].number() } else { 0 }),
            rights: U16::new(self.asker.rights.over(index).bits()),
            vcpus: U16::new(if seen { 2 } else { 0 }),
            restarts: U32::new(if seen { index as u32 } else { 0 }),
            ..Row::default()
        }
    }

    fn hello(&self) -> Hello {
        Hello {
            version: U32::new(VERSION),
            own: U16::new(self.asker.own.map_or(OWN, |own| own as u16)),
            partitions: U16::new(3),
            features: U64::new(Features::HISTOGRAMS.bits()),
            rights: U16::new(self.asker.rights.over(MACHINE).bits()),
            release: name("0.1.0").unwrap(),
            ..Hello::default()
        }
    }

    /// A second passes with each look.
    fn now(&self) -> U64 {
        U64::new(1_000_000_000 * self.looks)
    }

    fn machine(&self) -> MachineBody {
        MachineBody {
            board: name("fake").unwrap(),
            arch: name("aarch64").unwrap(),
            cpus: U32::new(4),
            partitions: U32::new(3),
            memory: U64::new(2 << 30),
            uptime_ns: self.now(),
            denied: U64::new(self.denied),
            ..MachineBody::default()
        }
    }

    fn partition(&self, index: usize) -> Partition {
        Partition {
            name: name(NAMES[index]).unwrap(),
            index: U16::new(index as u16),
            state: U16::new(self.states[index].number()),
            rights: U16::new(self.asker.rights.over(index).bits()),
            vcpus: U16::new(2),
            flags: U16::new(2),
            memory: U64::new(32 << 20),
            why: U16::new(Why::Crash.number()),
            restarts_left: U32::new(3),
            restart_on: U32::new(1 << Why::Crash.number() | 1 << Why::Watchdog.number()),
            watchdog_ns: U64::new(2_000_000_000),
            watchdog_left_ns: U64::new(500_000_000),
            ..Partition::default()
        }
    }

    fn statistics(&self) -> Statistics {
        Statistics {
            time_ns: self.now(),
            cpu_ns: U64::new(500_000_000 * self.looks),
            exits: U64::new(10 * self.looks),
            console: U64::new(self.console.len() as u64),
            dropped: U64::new(7),
            ..Statistics::default()
        }
    }

    fn counters(&self, vcpu: u16) -> Counters {
        let mut counters = Counters { time_ns: self.now(), ..Counters::default() };
        counters.place = U64::new(1 << 32 | u64::from(vcpu));
        counters.exits[1] = U64::new(1000 * self.looks);
        counters
    }

    /// Two rows at most, so that the list has several pages.
    fn list(&self, first: usize) -> List {
        let mut list = List { total: U32::new(3), ..List::default() };
        let end = NAMES.len().min(first + 2);
        let rows = first..end;
        list.count = U32::new(rows.len() as u32);
        list.next = U32::new(if end < NAMES.len() { end as u32 } else { 0 });
        for (to, index) in list.rows.iter_mut().zip(rows) {
            *to = self.row(index);
        }
        list
    }

    fn log(&self, first: u64) -> Log {
        let mut log = Log { next: U64::new(first), ..Log::default() };
        let wanted = self.events.iter().filter(|event| event.number.get() >= first);
        let mut count = 0;
        for (to, event) in log.events.iter_mut().zip(wanted) {
            *to = *event;
            count += 1;
        }
        log.count = U32::new(count);
        log.next = U64::new(first + u64::from(count));
        log.more = U32::new(u32::from(log.next.get() <= self.events.len() as u64));
        log
    }
}

fn histogram() -> Histogram {
    let mut histogram = Histogram { worst_ns: U64::new(12_345), ..Histogram::default() };
    histogram.first_ps = U64::new(250_000);
    histogram.places[0] = U64::new(9);
    histogram.places[23] = U64::new(1);
    histogram
}

fn piece(bytes: &[u8], from: u64) -> Piece {
    let rest = bytes.get(from as usize..).unwrap_or(&[]);
    let mut piece = Piece::default();
    let count = rest.len().min(PIECE);
    piece.bytes[..count].copy_from_slice(&rest[..count]);
    piece.count = U32::new(count as u32);
    piece.total = U32::new(bytes.len() as u32);
    piece.next = U64::new(from + count as u64);
    piece
}

impl Backend for Machine {
    fn partitions(&self) -> usize {
        NAMES.len()
    }

    fn vcpus(&self, _: usize) -> usize {
        2
    }

    fn state(&self, partition: usize) -> State {
        self.states[partition]
    }

    fn denied(&mut self, _: &Asker, _: Message, _: usize) {
        self.denied += 1;
    }

    fn carry_out(
        &mut self,
        order: &Order,
        member: usize,
        _: &Asker,
        answer: &mut Answer,
    ) -> Result<(), Failure> {
        self.done.push((*order, member));
        self.looks += 1;
        match order {
            Order::Hello => answer.put(&self.hello()),
            Order::Machine => answer.put(&self.machine()),
            Order::List(first) => answer.put(&self.list((*first).into())),
            Order::Partition => answer.put(&self.partition(member)),
            Order::Statistics => answer.put(&self.statistics()),
            Order::Vcpu(vcpu, Topic::Counters) => answer.put(&self.counters(*vcpu)),
            Order::Vcpu(..) => answer.put(&histogram()),
            Order::Start => self.step(Step::Start, member, answer)?,
            Order::Stop(_) => self.step(Step::Stop, member, answer)?,
            Order::Kill => self.step(Step::Kill, member, answer)?,
            Order::Restart => self.step(Step::Restart, member, answer)?,
            Order::Pause => self.step(Step::Pause, member, answer)?,
            Order::Resume => self.step(Step::Resume, member, answer)?,
            Order::Inject(_) => self.changed(member, answer),
            Order::ConsoleRead(from) => answer.put(&piece(&self.console, *from)),
            // A guest with room for five bytes, which echoes them.
            Order::ConsoleWrite(count, data) => {
                let taken = &data[..(*count).min(5)];
                self.typed.extend(taken);
                self.console.extend(taken);
                answer.put(&Written { count: U32::new(taken.len() as u32), ..Written::default() });
            }
            Order::Fault(from, Source::Partition) if member == 2 => {
                answer.put(&piece(RECORD.as_bytes(), (*from).into()));
            }
            Order::Fault(from, Source::HypervisorBefore) => {
                answer.put(&piece(&[0xfe; 20], (*from).into()));
            }
            Order::Fault(..) => return Err(Failure::new(Code::Nothing)),
            Order::Log(first) => answer.put(&self.log(*first)),
            Order::WatchdogArm(_)
            | Order::WatchdogKick
            | Order::WatchdogDisarm
            | Order::Subscribe(_) => return Err(Failure::new(Code::Unsupported)),
            Order::Reboot | Order::PowerOff => {}
        }
        Ok(())
    }
}
