// SPDX-License-Identifier: MIT OR Apache-2.0
//! What answers tell: of the machine, its partitions and what happened to them.

use super::{about, nanoseconds};
use crate::arch::{self, time};
use crate::partition::Partition;
use crate::{statistics, terminal};
use abi::bundle::label;
use abi::mailbox::body::{self, Counters, Hello, List, Machine, Piece, ROWS, Row, Statistics};
use abi::mailbox::rights::{Asker, MACHINE};
use abi::mailbox::state::State;
use abi::mailbox::{Code, Failure, Features, Message, OWN, VERSION};
use core::sync::atomic::Ordering;

pub(super) fn hello(asker: &Asker) -> Hello {
    let survive = Features::FAULTS_SURVIVE;
    let survive = if arch::kept().is_empty() { Features::empty() } else { survive };
    // Each lock is left before the next one is taken.
    let boot = arch::shared().records.lock().boot();
    let next_event = arch::shared().log.lock().next();
    let features = Features::HISTOGRAMS | Features::INJECT | survive;
    Hello {
        version: VERSION.into(),
        own: asker.own.map_or(OWN, |own| own as u16).into(),
        partitions: (arch::shared().partitions().len() as u16).into(),
        last_message: Message::PowerOff.number().into(),
        rights: asker.rights.over(MACHINE).bits().into(),
        boot: boot.into(),
        next_event: next_event.into(),
        release: label(env!("CARGO_PKG_VERSION")),
        features: features.bits().into(),
    }
}

pub(super) fn machine() -> Machine {
    let shared = arch::shared();
    let mut answer = Machine {
        arch: arch::PLATFORM.arch,
        partitions: (shared.partitions().len() as u32).into(),
        uptime_ns: nanoseconds(time::now()).into(),
        clock_hz: time::frequency().into(),
        denied: shared.denied.load(Ordering::Relaxed).into(),
        ..Machine::default()
    };
    if let Some(facts) = shared.facts.get() {
        answer.board = facts.board;
        answer.cpus = facts.cpus.into();
        answer.memory = facts.memory.into();
    }
    answer
}

pub(super) fn list(first: u16, asker: &Asker) -> List {
    let partitions = arch::shared().partitions();
    let total = partitions.len();
    let mut list = List { total: (total as u32).into(), ..List::default() };
    let rest = partitions.get(usize::from(first)..).unwrap_or(&[]);
    let mut count = 0_u32;
    for (place, partition) in list.rows.iter_mut().zip(rest) {
        *place = Row {
            name: label(partition.name),
            index: (partition.index as u16).into(),
            rights: asker.rights.over(partition.index).bits().into(),
            ..Row::default()
        };
        if asker.sees(partition.index) {
            let life = partition.life();
            place.state = life.state().number().into();
            place.vcpus = (partition.bells.len() as u16).into();
            place.restarts = life.restarts().into();
        }
        count += 1;
    }
    list.count = count.into();
    let next = if rest.len() > ROWS { u32::from(first) + count } else { 0 };
    list.next = next.into();
    list
}

pub(super) fn details(partition: &Partition, asker: &Asker) -> body::Partition {
    let (life, policy) = (partition.life(), &partition.policy);
    let now = time::now();
    let (started, ended) = life.times();
    let watchdog = life.watchdog();
    let left = |until: u64| nanoseconds(until.saturating_sub(now));
    let backoff = life.deadline().filter(|_| life.state() == State::Backoff);
    let restarts_left = match policy.on {
        0 => 0,
        _ => life.restarts_left(policy, now) as u32,
    };
    let flags = u16::from(partition.start.manual) | u16::from(watchdog.period().is_some()) << 1;
    let mut answer = body::Partition {
        name: label(partition.name),
        index: (partition.index as u16).into(),
        state: life.state().number().into(),
        rights: asker.rights.over(partition.index).bits().into(),
        vcpus: (partition.bells.len() as u16).into(),
        restarts: life.restarts().into(),
        why: life.why().map_or(0, |why| why.number()).into(),
        flags: flags.into(),
        memory: partition.memory.iter().map(|memory| memory.size).sum::<u64>().into(),
        started_ns: nanoseconds(started).into(),
        ended_ns: nanoseconds(ended).into(),
        watchdog_ns: nanoseconds(watchdog.period().unwrap_or(0)).into(),
        watchdog_left_ns: watchdog.deadline().map_or(0, left).into(),
        restarts_left: restarts_left.into(),
        restart_on: policy.on.into(),
        backoff_left_ns: backoff.map_or(0, left).into(),
        denied: own_denied(partition).into(),
        ..body::Partition::default()
    };
    for (place, bell) in answer.cpus.iter_mut().zip(&partition.bells) {
        *place = bell.cpu().into();
    }
    answer
}

fn own_denied(partition: &Partition) -> u64 {
    partition.mailbox().map_or(0, |mailbox| mailbox.denied.load(Ordering::Relaxed))
}

pub(super) fn statistics(partition: &Partition) -> Statistics {
    let vcpus = partition.counters.iter();
    let (mut on, mut exits, mut interrupts, mut rings, mut rung) = (0, 0, 0, 0, 0);
    for counters in vcpus {
        on += counters.on().0;
        exits += counters.all_exits();
        interrupts += counters.interrupts();
    }
    for port in &partition.channels {
        let counts = port.counts();
        (rings, rung) = (rings + counts.0, rung + counts.1);
    }
    let mut console = terminal::Counts::default();
    partition.platform.terminal(&mut |terminal| console = terminal.counts());
    let requests = partition.mailbox();
    let requests = requests.map_or(0, |mailbox| mailbox.requests.load(Ordering::Relaxed));
    Statistics {
        time_ns: nanoseconds(time::now()).into(),
        cpu_ns: nanoseconds(on).into(),
        exits: exits.into(),
        interrupts: interrupts.into(),
        rings: rings.into(),
        rung: rung.into(),
        console: console.written.into(),
        dropped: console.dropped.into(),
        untyped: console.untyped.into(),
        requests: requests.into(),
        denied: own_denied(partition).into(),
        restarts: u64::from(partition.life().restarts()).into(),
    }
}

pub(super) fn counters(
    partition: &Partition,
    vcpu: usize,
    counters: &statistics::Counters,
) -> Counters {
    let (on, is_on) = counters.on();
    let cpu = partition.bells.get(vcpu).map_or(0, |bell| bell.cpu());
    let mut answer = Counters {
        time_ns: nanoseconds(time::now()).into(),
        cpu_ns: nanoseconds(on).into(),
        interrupts: counters.interrupts().into(),
        place: (u64::from(cpu) | u64::from(is_on) << 32).into(),
        ..Counters::default()
    };
    for (reason, place) in answer.exits.iter_mut().enumerate() {
        *place = counters.exits(reason).into();
    }
    answer
}

/// Events from a number on, as far as the asker may see them. At most one answer's worth is looked at
/// for each event that fits, so that a long log of others' events bounds the time.
pub(super) fn log(first: u64, asker: &Asker) -> body::Log {
    let log = arch::shared().log.lock();
    let mut answer = body::Log::default();
    let (mut next, mut all_lost, mut count) = (first.max(1), 0, 0_u32);
    while let Some((event, lost)) = log.from(next) {
        let Some(place) = answer.events.get_mut(count as usize) else { break };
        next = event.number.get() + 1;
        all_lost += lost;
        if asker.sees(about(&event)) {
            *place = event;
            count += 1;
        }
    }
    answer.more = u32::from(log.from(next).is_some()).into();
    answer.next = next.into();
    answer.lost = all_lost.into();
    answer.count = count.into();
    answer
}

/// A piece of a fault record.
pub(super) fn fault(
    partition: Option<&Partition>,
    before: bool,
    from: u32,
) -> Result<Piece, Failure> {
    let piece = arch::shared().records.lock().read(partition, before, from);
    piece.ok_or(Failure::new(Code::Nothing))
}
