// SPDX-License-Identifier: MIT OR Apache-2.0
//! A CPU's loop: whom to enter next, and what to do when nobody is to be
//! entered.
//!
//! A CPU owns the vCPUs that have a seat on it, and nobody else touches their
//! state. Waiting, wishes and work on memory belong here, so that the run loop
//! knows of none of them.

use crate::MAILBOX;
use crate::arch::{self, Vcpu};
use crate::bell::{Bell, Wish};
use crate::fault::Why;
use crate::partition::{End, Partition};
use crate::run::Next;
use crate::work::{Step, Work};
use crate::{console, interrupt, log, records};
use abi::mailbox::event::Kind;
use abi::mailbox::policy::{Fate, Otherwise};
use abi::mailbox::state::{self, State};
use alloc::vec::Vec;
use core::fmt;

/// A vCPU and its place on a CPU.
#[derive(Debug)]
pub struct Seat {
    vcpu: Vcpu,
    partition: &'static Partition,
    on: bool,
    /// Its partition is paused.
    held: bool,
    work: Option<Work>,
}

/// Who has the CPU when. One pinned vCPU is the timetable with one row.
#[derive(Debug)]
pub struct Timetable {
    rows: Vec<usize>,
}

impl Timetable {
    /// The seat whose time it is at `_now`; none on a CPU without seats.
    #[must_use]
    pub fn seat(&self, _now: u64) -> Option<usize> {
        self.rows.first().copied()
    }
}

/// One CPU.
#[derive(Debug)]
pub struct Cpu {
    seats: Vec<Seat>,
    timetable: Timetable,
}

impl Cpu {
    /// A CPU without seats.
    #[must_use]
    pub const fn new() -> Self {
        Self { seats: Vec::new(), timetable: Timetable { rows: Vec::new() } }
    }

    /// Gives a vCPU a seat here. Memory of a partition is filled by vCPU 0's CPU.
    pub fn seat(&mut self, vcpu: Vcpu, partition: &'static Partition) {
        let starts = vcpu.index() == 0 && partition.state() == State::Starting;
        let work = starts.then(|| Work::new(true));
        self.timetable.rows.push(self.seats.len());
        self.seats.push(Seat { vcpu, partition, on: false, held: false, work });
    }

    /// The partition whose vCPU the CPU runs or would run.
    #[must_use]
    pub fn partition(&self) -> Option<&'static Partition> {
        self.seats.first().map(|seat| seat.partition)
    }

    /// One turn of the CPU's loop.
    pub fn turn(&mut self) {
        let row = self.timetable.seat(arch::time::now());
        match row.and_then(|row| self.seats.get_mut(row)) {
            Some(seat) => seat.turn(),
            None => arch::wait(),
        }
    }

    /// The CPU's loop.
    pub fn serve(&mut self) -> ! {
        #[cfg(feature = "panic-test")]
        crate::drill::start();
        loop {
            self.turn();
        }
    }
}

impl Default for Cpu {
    fn default() -> Self {
        Self::new()
    }
}

impl Seat {
    /// Answers wishes, then does a step of work, enters the guest, or waits.
    fn turn(&mut self) {
        self.attend();
        if self.work.is_some() {
            self.work_on();
            self.poll();
        } else if !self.on || self.held {
            arch::wait();
            self.poll();
        } else {
            match arch::run(&mut self.vcpu, self.partition) {
                Next::Resume | Next::Yield => {
                    if self.vcpu.take_clean() {
                        self.work = Some(Work::clean());
                    }
                }
                Next::Wait => {
                    // What is pending already wakes nobody who sleeps.
                    if !self.partition.platform.has_pending(&mut self.vcpu, self.partition) {
                        arch::wait();
                    }
                    self.poll();
                }
                Next::Off => self.switch_off(),
            }
        }
    }

    /// Answers interrupts while the guest is not entered.
    fn poll(&mut self) {
        if arch::interrupt_pending() {
            // The answer is what the guest finds when it is entered again.
            let _ = interrupt::answer(&mut self.vcpu, self.partition);
        }
    }

    /// Answers what other CPUs want of this vCPU.
    fn attend(&mut self) {
        let Some(bell) = self.partition.bells.get(self.vcpu.index()) else { return };
        if !bell.waits(Wish::CONTROL) {
            return;
        }
        let wishes = bell.take(Wish::CONTROL) & Wish::CONTROL;
        if wishes.contains(Wish::STOP) {
            self.stop(bell);
        } else if wishes.contains(Wish::START)
            && let Some((entry, argument)) = bell.started()
        {
            self.vcpu.load(entry, argument);
            interrupt::refresh(&mut self.vcpu, self.partition);
            self.switch(true);
        }
        if wishes.contains(Wish::WORK) {
            self.work = Some(Work::new(self.partition.state() == State::Starting));
        }
        if wishes.intersects(Wish::RARE) {
            self.attend_rarely(wishes);
        }
    }

    /// The partition's state changed, or its mailbox has something.
    #[cold]
    #[inline(never)]
    fn attend_rarely(&mut self, wishes: Wish) {
        if wishes.contains(Wish::STATE) {
            self.held = self.partition.state() == State::Paused;
        }
        if wishes.contains(Wish::DUMP) && self.on {
            self.vcpu.dump();
        }
        if self.vcpu.index() != 0 {
            return;
        }
        self.partition.look();
        // What came while it was paused waits for its being resumed.
        let is_due = wishes.intersects(Wish::MAILBOX | Wish::STATE);
        if let (true, Some(mailbox)) = (is_due, self.partition.mailbox())
            && self.partition.state().runs()
        {
            mailbox.serve(&mut self.vcpu, self.partition);
        }
    }

    /// The vCPU is on or off from now.
    fn switch(&mut self, on: bool) {
        self.on = on;
        self.vcpu.counters().switch(on);
    }

    /// The partition ends: the vCPU is parked. Never inlined, because it would cost the loop.
    #[cold]
    #[inline(never)]
    fn stop(&mut self, bell: &Bell) {
        // The last words of a guest may be an unfinished line.
        self.partition.platform.terminal_deadline(&mut self.vcpu, self.partition);
        if self.vcpu.index() == 0 && self.partition.how() == End::Fault(Why::Watchdog) {
            records::partition_failed(self.partition, &self.vcpu, Why::Watchdog);
        }
        self.park();
        bell.close();
        if let Some(fate) = self.partition.parked(self.vcpu.index()) {
            tell(self.partition, fate);
        }
    }

    /// The vCPU is off, and nothing of it acts on this CPU any more.
    fn park(&mut self) {
        self.switch(false);
        self.held = false;
        self.partition.platform.park(&mut self.vcpu, self.partition);
        self.vcpu.park();
        if let Some(bell) = self.partition.bells.get(self.vcpu.index()) {
            bell.stopped();
        }
    }

    /// The guest switched this vCPU off; the last one of a partition ends it.
    fn switch_off(&mut self) {
        let last = self.partition.cpu_off();
        if last {
            records::partition_failed(self.partition, &self.vcpu, Why::AllCpusOff);
        }
        self.park();
        if last {
            self.partition.end(End::Fault(Why::AllCpusOff));
        }
    }

    /// One step of zeroing or copying; after the last, the partition starts or has ended.
    #[inline(never)]
    fn work_on(&mut self) {
        let Some(work) = self.work.as_mut() else { return };
        if self.partition.state() == State::Failed {
            // A CPU of it panicked meanwhile.
            self.work = None;
            return;
        }
        match work.step(self.partition) {
            Step::More => {}
            Step::Cleaned => self.work = None,
            Step::Filled => {
                self.work = None;
                self.partition.start();
            }
            Step::Wiped => {
                self.work = None;
                finish(self.partition);
            }
        }
    }
}

impl Partition {
    /// Its memory is filled: devices come out of reset and vCPU 0 starts.
    fn start(&self) {
        self.platform.reset();
        for port in &self.channels {
            port.reset();
        }
        for counters in &self.counters {
            counters.reset();
        }
        if let Some(mailbox) = self.mailbox() {
            mailbox.reset();
        }
        self.platform.connect(self);
        let restarts = self.filled();
        let started_before = restarts.is_some_and(|times| times > 0);
        match restarts {
            None => return,
            Some(0) => {
                console::say(format_args!("{}: started", self.name));
                log::tell(Kind::Started, Some(self.index), 0, 0, 0);
            }
            Some(times) => {
                console::say(format_args!("{}: restarted ({times})", self.name));
                log::tell(Kind::Restarted, Some(self.index), times, 0, 0);
            }
        }
        if started_before {
            self.channels.iter().for_each(|port| port.tell_peer(Kind::PeerBack));
        }
        self.start_first();
        self.look();
        if MAILBOX {
            follow();
        }
    }

    /// Starts, if it waited for nothing but others that run now.
    fn follows(&self) {
        let partitions = arch::shared().partitions();
        let waits = |other: &&&Partition| self.start.depends.has(other.index);
        if !self.start.manual
            && self.state() == State::Waiting
            && partitions.iter().filter(waits).all(|other| other.state().runs())
        {
            // Of two that ask, one wins.
            let _ = self.ask(state::Step::Start);
        }
    }
}

/// A partition runs: those that waited for it are started.
pub fn follow() {
    arch::shared().partitions().iter().for_each(|other| other.follows());
}

/// What became of a partition that is parked, where that is not told later.
fn tell(partition: &Partition, fate: Fate) {
    if let End::Fault(fault) = partition.how() {
        log::tell(Kind::Crashed, Some(partition.index), ended_by(partition), fault as u64, 0);
    }
    partition.channels.iter().for_each(|port| port.tell_peer(Kind::PeerGone));
    match fate {
        Fate::Again(_) if partition.how() != End::Restart => say_how(partition),
        Fate::GivenUp(otherwise) => {
            let (name, max) = (partition.name, partition.policy.max);
            console::say(format_args!("{name}: given up after {max} restarts"));
            log::tell(Kind::GaveUp, Some(partition.index), max as u32, 0, 0);
            if otherwise == Otherwise::RebootMachine {
                reboot(format_args!("{name} was given up"));
            }
        }
        Fate::Again(_) | Fate::Off | Fate::Failed => {}
    }
}

/// The number of the cause that a partition ended for last.
fn ended_by(partition: &Partition) -> u32 {
    partition.life().why().map_or(0, |why| why.number().into())
}

/// How a partition ended.
fn say_how(partition: &Partition) {
    match partition.how() {
        End::Fault(why) => console::say(format_args!("{}: stopped: {why}", partition.name)),
        End::Off | End::Restart => console::say(format_args!("{}: off", partition.name)),
    }
}

/// A partition's memory is wiped.
fn finish(partition: &Partition) {
    let (state, last) = partition.wiped();
    if state == State::Backoff {
        partition.look();
        return;
    }
    ended(partition, last);
}

/// A partition has ended and is not started again by itself; with the last one the machine ends.
pub fn ended(partition: &Partition, last: bool) {
    say_how(partition);
    log::tell(Kind::Stopped, Some(partition.index), ended_by(partition), 0, 0);
    if last {
        end_machine();
    }
}

/// The machine is reset, for this reason.
pub fn reboot(why: fmt::Arguments<'_>) -> ! {
    console::say_last(format_args!("reset: {why}"));
    arch::reboot()
}

/// All partitions have ended: say how, and switch the machine off.
pub fn end_machine() -> ! {
    let partitions = arch::shared().partitions();
    let failed = partitions.iter().find_map(|partition| match partition.how() {
        End::Fault(why) => Some((partition.name, why)),
        End::Off | End::Restart => None,
    });
    match failed {
        Some((name, why)) => console::say_last(format_args!("end: failed {name} {why}")),
        None => console::say_last(format_args!("end: ok")),
    }
    arch::power_off()
}
