// SPDX-License-Identifier: MIT OR Apache-2.0
//! The mailbox: what a partition, or the host at the serial line, may see and
//! steer of the machine. The protocol is `abi`'s; here are its pages and what
//! its orders do.
//!
//! vCPU 0's CPU serves a partition's mailbox, one request in a turn of its loop,
//! so that no request keeps interrupts masked for long. Nobody else touches the
//! page. The lock is that of the counts: the first of all (ARCHITECTURE.md, "Locks").

mod told;

use crate::arch::{self, Vcpu, time};
use crate::bell::Wish;
use crate::exit::Direction;
use crate::log::{self, Seldom};
use crate::partition::Partition;
use crate::{console, cpu};
use abi::bundle::label;
use abi::mailbox::answer::Answer;
use abi::mailbox::body::{Changed, Subscribed, Written};
use abi::mailbox::event::{Event, Kind, KindSet};
use abi::mailbox::request::{Order, Source, Topic};
use abi::mailbox::rights::{Asker, MACHINE, Rights};
use abi::mailbox::ring::{self, Found, Words};
use abi::mailbox::server::{Backend, serve};
use abi::mailbox::state::{State, Step};
use abi::mailbox::{Code, Failure, Message};
use abi::platform::channel as register;
use abi::records::Name;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use paging::HostPhys;
use spin::Mutex;

/// What the mailbox tells of the machine.
#[derive(Debug)]
pub struct Facts {
    /// Board that the manifest was written for.
    pub board: Name,
    /// CPUs.
    pub cpus: u32,
    /// Bytes of RAM.
    pub memory: u64,
}

impl Facts {
    /// Keeps them for the mailbox.
    pub fn keep(board: &str, cpus: usize, memory: u64) {
        arch::shared().facts.call_once(|| Self { board: label(board), cpus: cpus as u32, memory });
    }
}

/// Events told in one turn.
const EVENTS_AT_ONCE: usize = 4;

/// A partition's mailbox.
#[derive(Debug)]
pub struct Mailbox {
    memory: Memory,
    asker: Asker,
    line: Mutex<Line>,
    mask: AtomicU32,
    status: AtomicU32,
    requests: AtomicU64,
    denied: AtomicU64,
    told: Seldom,
    /// The [`KindSet`] of events that are wanted.
    kinds: AtomicU64,
}

/// How far it is.
#[derive(Debug)]
struct Line {
    server: ring::Server,
    feed: Feed,
}

/// The next event to tell.
#[derive(Debug)]
struct Feed {
    next: u64,
    /// Events lost since the last one that was told.
    lost: u64,
}

impl Feed {
    /// All are still to come.
    const NEW: Self = Self { next: 1, lost: 0 };
}

/// The shared page, by the hypervisor's hand.
#[derive(Clone, Copy, Debug)]
struct Memory(HostPhys);

impl Memory {
    fn at(&self, offset: u32) -> Option<HostPhys> {
        self.0.checked_add(offset.into()).filter(|_| offset < ring::MEMORY_LEN)
    }
}

impl Words for Memory {
    fn load(&self, offset: u32) -> [u8; 8] {
        self.at(offset & !7).map_or(0, arch::peek).to_le_bytes()
    }

    fn store(&self, offset: u32, bytes: [u8; 8]) {
        if let Some(host) = self.at(offset & !7) {
            arch::poke(host, u64::from_le_bytes(bytes));
        }
    }

    fn count(&self, offset: u32) -> u32 {
        (u64::from_le_bytes(self.load(offset)) >> ((offset & 4) * 8)) as u32
    }

    fn set_count(&self, offset: u32, count: u32) {
        if let Some(host) = self.at(offset & !3) {
            arch::poke32(host, count);
        }
    }

    fn barrier(&self) {
        core::sync::atomic::fence(Ordering::SeqCst);
    }
}

impl Mailbox {
    /// The mailbox of a partition, in memory that was placed for it.
    #[must_use]
    pub const fn new(index: usize, memory: HostPhys, rights: Rights) -> Self {
        Self {
            memory: Memory(memory),
            asker: Asker { own: Some(index), rights },
            line: Mutex::new(Line { server: ring::Server::NEW, feed: Feed::NEW }),
            mask: AtomicU32::new(1),
            status: AtomicU32::new(0),
            requests: AtomicU64::new(0),
            denied: AtomicU64::new(0),
            told: Seldom::never(),
            kinds: AtomicU64::new(0),
        }
    }

    /// The partition starts afresh, on vCPU 0's CPU.
    pub fn reset(&self) {
        arch::zero(self.memory.0, ring::MEMORY_LEN as usize);
        self.kinds.store(0, Ordering::Relaxed);
        *self.line.lock() = Line { server: ring::Server::begin(&self.memory), feed: Feed::NEW };
        self.mask.store(1, Ordering::Relaxed);
        self.status.store(0, Ordering::Relaxed);
    }

    /// An access to a register; what a read gives.
    pub fn access(&self, offset: u64, direction: Direction, partition: &Partition) -> u64 {
        match (offset, direction) {
            (register::MASK, Direction::Read) => return self.mask.load(Ordering::Relaxed).into(),
            (register::STATUS, Direction::Read) => {
                return self.status.swap(0, Ordering::AcqRel).into();
            }
            (register::SIZE, Direction::Read) => return ring::MEMORY_LEN.into(),
            (register::MASK, Direction::Write(value)) => {
                self.mask.store(value as u32 & 1, Ordering::Relaxed);
            }
            (register::DOORBELL, Direction::Write(_)) => partition.ring(1, Wish::MAILBOX),
            _ => {}
        }
        0
    }

    /// Tells some events and answers a request, on vCPU 0's CPU.
    #[inline(never)]
    pub fn serve(&self, vcpu: &mut Vcpu, partition: &Partition) {
        let mut line = self.line.lock();
        let (mut came, mut more) = self.tell(&mut line);
        if let Found::Request(bytes) = line.server.next(&self.memory) {
            self.requests.fetch_add(1, Ordering::Relaxed);
            let feed = Some((self, &mut line.feed));
            let mut desk = Desk { feed, end: None };
            let answer = serve(&bytes, &self.asker, &mut desk);
            let end = desk.end;
            line.server.answer(&self.memory, &answer);
            finish(end);
            (came, more) = (true, true);
        }
        drop(line);
        if came {
            // Release: what was written to the page comes before the status.
            self.status.store(1, Ordering::Release);
            if self.mask.load(Ordering::Relaxed) != 0 {
                partition.platform.pulse(arch::PLATFORM.mailbox.interrupt, vcpu, partition);
            }
        }
        if more {
            partition.ring(1, Wish::MAILBOX);
        }
    }

    /// Whether any event is wanted.
    #[must_use]
    pub fn listens(&self) -> bool {
        self.kinds.load(Ordering::Relaxed) != 0
    }

    /// Whether the partition subscribed to such an event and may be told.
    #[must_use]
    pub fn wants(&self, event: &Event) -> bool {
        let kinds = KindSet::from_bits_retain(self.kinds.load(Ordering::Relaxed));
        let about = about(event);
        event.known().is_some_and(|kind| {
            // To be asked to end concerns nobody else.
            let private = kind == Kind::StopRequested;
            kinds.has(kind) && self.asker.sees(about) && (!private || self.asker.own == Some(about))
        })
    }

    /// The partition wants such events from now.
    fn subscribe(&self, kinds: KindSet, feed: &mut Feed) -> Subscribed {
        if !self.listens() {
            feed.next = arch::shared().log.lock().next();
        }
        feed.lost = 0;
        self.kinds.store(kinds.bits(), Ordering::Relaxed);
        Subscribed { kinds: kinds.bits().into(), next: feed.next.into() }
    }

    /// Tells the next events; whether it told one, and whether there may be more.
    fn tell(&self, line: &mut Line) -> (bool, bool) {
        let Line { server, feed } = line;
        let mut told = false;
        if !self.listens() {
            return (false, false);
        }
        for _ in 0..EVENTS_AT_ONCE {
            let found = arch::shared().log.lock().from(feed.next);
            let Some((mut event, lost)) = found else { return (told, false) };
            feed.lost = feed.lost.saturating_add(lost);
            feed.next = event.number.get() + 1;
            if self.wants(&event) {
                event.lost = (core::mem::take(&mut feed.lost) as u32).into();
                server.tell(&self.memory, &event);
                told = true;
            }
        }
        (told, true)
    }

    /// A request was denied: how many were since an event told of it, if one is due.
    fn deny(&self) -> Option<u64> {
        self.told.due(self.denied.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// Whom an event is about.
fn about(event: &Event) -> usize {
    match event.partition.get() {
        abi::mailbox::NOBODY => MACHINE,
        row => row.into(),
    }
}

/// What stands behind the server.
struct Desk<'a> {
    /// The asker's mailbox and its events; none for the host.
    feed: Option<(&'a Mailbox, &'a mut Feed)>,
    /// How the machine is to end, once the request is answered.
    end: Option<Message>,
}

/// Answers a request of the host on the serial line where it came, who may do everything.
pub fn serve_host(bytes: &[u8], line: console::Line) {
    let mut desk = Desk { feed: None, end: None };
    let answer = serve(bytes, &Asker { own: None, rights: Rights::all() }, &mut desk);
    console::answer(&answer, line);
    finish(desk.end);
}

/// The machine ends, if that was asked.
#[inline(always)]
fn finish(end: Option<Message>) {
    match end {
        Some(Message::Reboot) => cpu::reboot(format_args!("a request")),
        Some(_) => power_off(),
        None => {}
    }
}

fn partition(row: usize) -> Option<&'static Partition> {
    arch::shared().partitions().get(row).copied()
}

/// Nanoseconds that ticks last.
#[must_use]
pub fn nanoseconds(ticks: u64) -> u64 {
    let frequency = time::frequency().max(1);
    let rest = ticks % frequency * 1_000_000_000 / frequency;
    (ticks / frequency).wrapping_mul(1_000_000_000).wrapping_add(rest)
}

impl Backend for Desk<'_> {
    fn partitions(&self) -> usize {
        arch::shared().partitions().len()
    }

    fn vcpus(&self, row: usize) -> usize {
        partition(row).map_or(0, |partition| partition.bells.len())
    }

    fn state(&self, row: usize) -> State {
        partition(row).map_or(State::Failed, Partition::state)
    }

    fn denied(&mut self, asker: &Asker, message: Message, member: usize) {
        arch::shared().denied.fetch_add(1, Ordering::Relaxed);
        let Some(own) = asker.own else { return };
        let mailbox = partition(own).and_then(Partition::mailbox);
        if let Some(count) = mailbox.and_then(Mailbox::deny) {
            log::tell(Kind::Denied, Some(own), message as u32, count, member as u64);
        }
    }

    fn carry_out(
        &mut self,
        order: &Order,
        member: usize,
        asker: &Asker,
        answer: &mut Answer,
    ) -> Result<(), Failure> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the rest is about one partition")]
        match order {
            Order::Hello => answer.put(&told::hello(asker)),
            Order::Machine => answer.put(&told::machine()),
            Order::List(first) => answer.put(&told::list(*first, asker)),
            Order::Log(first) => answer.put(&told::log(*first, asker)),
            Order::Subscribe(kinds) => {
                let (mailbox, feed) = self.feed.as_mut().ok_or(Failure::new(Code::Unsupported))?;
                answer.put(&mailbox.subscribe(*kinds, feed));
            }
            Order::PowerOff => self.end = Some(Message::PowerOff),
            Order::Reboot => {
                log::tell(Kind::Machine, None, Message::Reboot as u32, 0, 0);
                self.end = Some(Message::Reboot);
            }
            Order::Fault(from, Source::HypervisorBefore) => {
                answer.put(&told::fault(None, true, *from)?)
            }
            _ => {
                let partition = partition(member).ok_or(Failure::new(Code::Nothing))?;
                about_one(order, partition, asker, answer)?;
            }
        }
        Ok(())
    }
}

/// What is asked of one partition.
fn about_one(
    order: &Order,
    partition: &'static Partition,
    asker: &Asker,
    answer: &mut Answer,
) -> Result<(), Failure> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the rest changes something")]
    match order {
        Order::Partition => answer.put(&told::details(partition, asker)),
        Order::Statistics => answer.put(&told::statistics(partition)),
        Order::Vcpu(vcpu, topic) => {
            let counters = partition.counters.get(usize::from(*vcpu));
            let counters = counters.ok_or(Failure::new(Code::Nothing))?;
            match topic {
                Topic::Counters => answer.put(&told::counters(partition, (*vcpu).into(), counters)),
                Topic::ExitTime => answer.put(&counters.exit_time.read()),
                Topic::Lateness => answer.put(&counters.lateness.read()),
            }
        }
        Order::ConsoleRead(from) => {
            partition.platform.terminal(&mut |terminal| answer.put(&terminal.read(*from)));
        }
        Order::ConsoleWrite(count, data) => {
            let bytes = data.get(..*count).unwrap_or(&[]).iter();
            let taken = bytes.take_while(|byte| partition.platform.typed(**byte, partition));
            let count = (taken.count() as u32).into();
            answer.put(&Written { count, reserved: 0.into() });
        }
        Order::Fault(from, source) => {
            let before = *source != Source::Partition;
            answer.put(&told::fault(Some(partition), before, *from)?);
        }
        _ => {
            change(order, partition)?;
            let life = partition.life();
            answer.put(&Changed {
                state: life.state().number().into(),
                reserved: 0.into(),
                restarts: life.restarts().into(),
            });
        }
    }
    Ok(())
}

/// What changes a partition's life, its watchdog, or what its guest does next.
fn change(order: &Order, partition: &Partition) -> Result<(), Failure> {
    let tell = |kind, first| log::tell(kind, Some(partition.index), 0, first, 0);
    #[expect(clippy::wildcard_enum_match_arm, reason = "all else was carried out before")]
    match order {
        Order::Start => partition.ask(Step::Start).map(drop)?,
        Order::Kill => partition.ask(Step::Kill).map(drop)?,
        Order::Restart => partition.ask(Step::Restart).map(drop)?,
        Order::Pause => {
            partition.ask(Step::Pause)?;
            tell(Kind::Paused, 0);
        }
        Order::Resume => {
            partition.ask(Step::Resume)?;
            tell(Kind::Resumed, 0);
            cpu::follow();
        }
        Order::Stop(within) => {
            if partition.ask_stop(time::ticks(*within))? == State::Stopping {
                tell(Kind::StopRequested, *within);
            }
        }
        Order::Inject(vcpu) => partition.ring(1 << vcpu, Wish::DUMP),
        Order::WatchdogArm(period) => {
            const FIRST: u32 = abi::mailbox::HEAD_LEN as u32;
            let period = time::ticks(*period);
            let mut armed = false;
            partition.change_watchdog(&mut |watchdog, now| armed = watchdog.arm(period, now));
            if !armed {
                return Err(Failure::with(Code::Argument, FIRST));
            }
        }
        Order::WatchdogKick => partition.change_watchdog(&mut |watchdog, now| watchdog.kick(now)),
        Order::WatchdogDisarm => {
            partition.change_watchdog(&mut |watchdog, now| watchdog.disarm(now));
        }
        _ => return Err(Failure::new(Code::Unsupported)),
    }
    Ok(())
}

/// The machine ends, as somebody who may has asked.
fn power_off() -> ! {
    console::say_last(format_args!("end: ok"));
    arch::power_off()
}
