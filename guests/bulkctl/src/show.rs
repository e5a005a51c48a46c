// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is: the list, the machine, one partition. Each is a view that is printed
//! as JSON as it stands, and else as text.

use crate::error::{self, Error};
use crate::person::Person;
use crate::session::{Session, text};
use crate::table::{Table, size, time};
use abi::mailbox::body::{self, Counters, Histogram, Reason, Row, Statistics};
use abi::mailbox::request::{Request, Topic};
use abi::mailbox::state::Why;
use abi::mailbox::{Code, Features, Message, OWN};
use abi::records::U16;
use serde::Serialize;
use std::collections::BTreeMap;

/// A partition in the list.
#[derive(Serialize)]
struct RowView {
    name: String,
    /// None if it may not be observed.
    state: Option<&'static str>,
    vcpus: Option<u16>,
    restarts: Option<u32>,
    rights: Vec<&'static str>,
    own: bool,
}

/// The machine.
#[derive(Serialize)]
pub(crate) struct MachineView {
    pub(crate) board: String,
    pub(crate) arch: String,
    pub(crate) release: String,
    boot: u32,
    pub(crate) cpus: u32,
    pub(crate) partitions: u32,
    memory: u64,
    pub(crate) uptime_ns: u64,
    booted_ns: u64,
    clock_hz: u64,
    pub(crate) denied: u64,
}

/// A partition in detail.
#[derive(Serialize)]
struct PartitionView {
    name: String,
    index: u16,
    state: &'static str,
    rights: Vec<&'static str>,
    cpus: Vec<u32>,
    memory: u64,
    restarts: u32,
    /// None if its policy has no bound.
    restarts_left: Option<u32>,
    restart_on: Vec<&'static str>,
    ended_by: Option<&'static str>,
    starts_by_hand: bool,
    started_ns: u64,
    ended_ns: u64,
    watchdog: Option<WatchdogView>,
    backoff_left_ns: u64,
    statistics: StatisticsView,
    vcpus: Vec<VcpuView>,
}

/// A watchdog that is armed.
#[derive(Serialize)]
struct WatchdogView {
    time_ns: u64,
    left_ns: u64,
}

/// Counters of a partition.
#[derive(Serialize)]
struct StatisticsView {
    time_ns: u64,
    cpu_ns: u64,
    exits: u64,
    interrupts: u64,
    rings: u64,
    rung: u64,
    console: u64,
    dropped: u64,
    untyped: u64,
    requests: u64,
    denied: u64,
}

/// Counters of a vCPU.
#[derive(Serialize)]
struct VcpuView {
    cpu: u32,
    on: bool,
    cpu_ns: u64,
    interrupts: u64,
    exits: BTreeMap<&'static str, u64>,
    /// None on a hypervisor that does not measure it.
    exit_time: Option<HistogramView>,
    lateness: Option<HistogramView>,
}

/// How long something took.
#[derive(Serialize)]
struct HistogramView {
    worst_ns: u64,
    sum_ns: u64,
    count: u64,
    /// Those that are not empty.
    buckets: Vec<Bucket>,
}

/// How often it took less than a time, and not less than the bucket before.
#[derive(Serialize)]
struct Bucket {
    /// None for the last, which has no end.
    below_ns: Option<f64>,
    count: u64,
}

/// Prints all partitions.
///
/// # Errors
/// [`Error`].
pub fn list(session: &mut Session<'_>, person: &mut Person<'_>, json: bool) -> Result<(), Error> {
    let own = session.hello().own.get();
    let rows: Vec<RowView> = session.rows()?.iter().map(|row| row_view(row, own)).collect();
    if json {
        return person.json(&rows);
    }
    let mut table = Table::new(&["NAME", "-STATE", "VCPUS", "RESTARTS", "-RIGHTS"]);
    for row in rows {
        let number = |number: Option<u32>| number.map_or("-".to_owned(), |n| n.to_string());
        table.row(vec![
            format!("{}{}", row.name, if row.own { " *" } else { "" }),
            row.state.unwrap_or("-").to_owned(),
            number(row.vcpus.map(u32::from)),
            number(row.restarts),
            row.rights.join(" "),
        ]);
    }
    print(person, &table.lines())
}

fn row_view(row: &Row, own: u16) -> RowView {
    let state = row.state.get();
    // A partition that may not be observed has its name and its rights alone.
    let seen = state != 0;
    RowView {
        name: text(&row.name),
        state: seen.then(|| error::state(state.into())),
        vcpus: seen.then(|| row.vcpus.get()),
        restarts: seen.then(|| row.restarts.get()),
        rights: error::rights(row.rights.get()),
        own: row.index.get() == own,
    }
}

/// Prints what the machine is.
///
/// # Errors
/// [`Error`].
pub fn machine(
    session: &mut Session<'_>,
    person: &mut Person<'_>,
    json: bool,
) -> Result<(), Error> {
    let view = machine_view(session)?;
    if json {
        return person.json(&view);
    }
    let booted = if view.boot == 0 { String::new() } else { format!(", boot {}", view.boot) };
    print(
        person,
        &[
            format!("board       {}, {}", view.board, view.arch),
            format!("Bulkhead    {}{booted}", view.release),
            format!("up          {}", time(view.uptime_ns)),
            format!("CPUs        {}", view.cpus),
            format!("memory      {}", size(view.memory)),
            format!("partitions  {}", view.partitions),
            format!("clock       {} Hz", view.clock_hz),
            format!("denied      {} requests", view.denied),
        ],
    )
}

pub(crate) fn machine_view(session: &mut Session<'_>) -> Result<MachineView, Error> {
    let machine: body::Machine = session.get(&Request::new(Message::Machine, OWN), None)?;
    let hello = session.hello();
    Ok(MachineView {
        board: text(&machine.board),
        arch: text(&machine.arch),
        release: text(&hello.release),
        boot: hello.boot.get(),
        cpus: machine.cpus.get(),
        partitions: machine.partitions.get(),
        memory: machine.memory.get(),
        uptime_ns: machine.uptime_ns.get(),
        booted_ns: machine.booted_ns.get(),
        clock_hz: machine.clock_hz.get(),
        denied: machine.denied.get(),
    })
}

/// Prints one partition.
///
/// # Errors
/// [`Error`].
pub fn partition(
    session: &mut Session<'_>,
    person: &mut Person<'_>,
    json: bool,
    name: &str,
) -> Result<(), Error> {
    let row = session.find(name)?.index.get();
    let request = |message| Request::new(message, row);
    let found: body::Partition = session.get(&request(Message::Partition), Some(name))?;
    let counts: Statistics = session.get(&request(Message::Statistics), Some(name))?;
    let mut vcpus = Vec::new();
    for vcpu in 0..found.vcpus.get() {
        vcpus.push(vcpu_view(session, row, vcpu, name)?);
    }
    let view = partition_view(&found, &counts, vcpus);
    if json {
        return person.json(&view);
    }
    print(person, &partition_lines(&view))
}

fn partition_view(
    found: &body::Partition,
    counts: &Statistics,
    vcpus: Vec<VcpuView>,
) -> PartitionView {
    const BY_HAND: u16 = 1 << 0;
    const WATCHED: u16 = 1 << 1;
    let flags = found.flags.get();
    let why = |number| Why::from_number(number).map(Why::word);
    let on = found.restart_on.get();
    PartitionView {
        name: text(&found.name),
        index: found.index.get(),
        state: error::state(found.state.get().into()),
        rights: error::rights(found.rights.get()),
        cpus: found.cpus.iter().take(found.vcpus.get().into()).map(|cpu| cpu.get()).collect(),
        memory: found.memory.get(),
        restarts: found.restarts.get(),
        restarts_left: Some(found.restarts_left.get()).filter(|left| *left != u32::MAX),
        restart_on: Why::ALL
            .iter()
            .filter(|why| on >> why.number() & 1 != 0)
            .map(|why| why.word())
            .collect(),
        ended_by: why(found.why.get()),
        starts_by_hand: flags & BY_HAND != 0,
        started_ns: found.started_ns.get(),
        ended_ns: found.ended_ns.get(),
        watchdog: (flags & WATCHED != 0).then(|| WatchdogView {
            time_ns: found.watchdog_ns.get(),
            left_ns: found.watchdog_left_ns.get(),
        }),
        backoff_left_ns: found.backoff_left_ns.get(),
        statistics: StatisticsView {
            time_ns: counts.time_ns.get(),
            cpu_ns: counts.cpu_ns.get(),
            exits: counts.exits.get(),
            interrupts: counts.interrupts.get(),
            rings: counts.rings.get(),
            rung: counts.rung.get(),
            console: counts.console.get(),
            dropped: counts.dropped.get(),
            untyped: counts.untyped.get(),
            requests: counts.requests.get(),
            denied: counts.denied.get(),
        },
        vcpus,
    }
}

fn vcpu_view(
    session: &mut Session<'_>,
    row: u16,
    vcpu: u16,
    name: &str,
) -> Result<VcpuView, Error> {
    let counters = counters(session, row, vcpu, name)?;
    let place = counters.place.get();
    Ok(VcpuView {
        cpu: u32::try_from(place & u64::from(u32::MAX)).unwrap_or(0),
        on: place >> 32 & 1 != 0,
        cpu_ns: counters.cpu_ns.get(),
        interrupts: counters.interrupts.get(),
        exits: Reason::ALL
            .iter()
            .zip(&counters.exits)
            .map(|(reason, count)| (reason.word(), count.get()))
            .collect(),
        exit_time: histogram(session, row, vcpu, Topic::ExitTime, name)?.map(|h| h.view()),
        lateness: histogram(session, row, vcpu, Topic::Lateness, name)?.map(|h| h.view()),
    })
}

/// The counters of a vCPU.
pub(crate) fn counters(
    session: &mut Session<'_>,
    row: u16,
    vcpu: u16,
    name: &str,
) -> Result<Counters, Error> {
    session.get(&vcpu_request(row, vcpu, Topic::Counters), Some(name))
}

fn vcpu_request(row: u16, vcpu: u16, topic: Topic) -> Request {
    let request = Request::new(Message::Vcpu, row).first(topic.number().into());
    Request { vcpu: U16::new(vcpu), ..request }
}

/// A histogram that somebody measured.
pub(crate) struct Measured(Histogram);

/// A histogram of a vCPU; none if the hypervisor does not measure it.
pub(crate) fn histogram(
    session: &mut Session<'_>,
    row: u16,
    vcpu: u16,
    topic: Topic,
    name: &str,
) -> Result<Option<Measured>, Error> {
    let features = Features::from_bits_truncate(session.hello().features.get());
    if !features.contains(Features::HISTOGRAMS) {
        return Ok(None);
    }
    match session.get(&vcpu_request(row, vcpu, topic), Some(name)) {
        Ok(found) => Ok(Some(Measured(found))),
        Err(error) if error.has(Code::Nothing) || error.has(Code::Unsupported) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Measured {
    /// The longest, in nanoseconds.
    pub(crate) fn worst_ns(&self) -> u64 {
        self.0.worst_ns.get()
    }

    fn view(&self) -> HistogramView {
        let places: Vec<u64> = self.0.places.iter().map(|place| place.get()).collect();
        let first_ns = self.0.first_ps.get() as f64 / 1000.0;
        let ends = (0_i32..).map(|place| first_ns * 2_f64.powi(place));
        let last = places.len().saturating_sub(1);
        HistogramView {
            worst_ns: self.worst_ns(),
            sum_ns: self.0.sum_ns.get(),
            count: places.iter().fold(0, |sum, count| sum.saturating_add(*count)),
            buckets: places
                .iter()
                .zip(ends)
                .enumerate()
                .filter(|(_, (count, _))| **count > 0)
                .map(|(place, (count, end))| Bucket {
                    below_ns: (place < last).then_some(end),
                    count: *count,
                })
                .collect(),
        }
    }
}

fn partition_lines(view: &PartitionView) -> Vec<String> {
    let cpus: Vec<String> = view.cpus.iter().map(u32::to_string).collect();
    let left = view.restarts_left.map_or(String::new(), |left| format!(", {left} left"));
    let policy = match view.restart_on[..] {
        [] => "never".to_owned(),
        _ => format!("on {}{left}", view.restart_on.join(", ")),
    };
    let mut lines = vec![
        format!("partition   {}, row {}", view.name, view.index),
        format!("state       {}", view.state),
        format!("rights      {}", view.rights.join(" ")),
        format!("CPUs        {}", cpus.join(" ")),
        format!("memory      {}", size(view.memory)),
        format!("started     at {}", time(view.started_ns)),
    ];
    if let Some(why) = view.ended_by {
        lines.push(format!("ended       at {}: {why}", time(view.ended_ns)));
    }
    lines.push(format!("restarts    {}, by its policy {policy}", view.restarts));
    if view.starts_by_hand {
        lines.push("start       by hand".to_owned());
    }
    if view.backoff_left_ns > 0 {
        lines.push(format!("backoff     {} left", time(view.backoff_left_ns)));
    }
    if let Some(watchdog) = &view.watchdog {
        let (all, left) = (time(watchdog.time_ns), time(watchdog.left_ns));
        lines.push(format!("watchdog    {all}, {left} left"));
    }
    let counts = &view.statistics;
    lines.extend([
        format!("CPU time    {}", time(counts.cpu_ns)),
        format!("exits       {}", counts.exits),
        format!("interrupts  {}", counts.interrupts),
        format!("bells       {} rung, {} heard", counts.rings, counts.rung),
        format!(
            "console     {} bytes, {} dropped, {} typed in vain",
            counts.console, counts.dropped, counts.untyped
        ),
        format!("mailbox     {} requests, {} denied", counts.requests, counts.denied),
    ]);
    for (number, vcpu) in view.vcpus.iter().enumerate() {
        lines.push(format!("vCPU {number}      {}", vcpu_line(vcpu)));
    }
    lines
}

fn vcpu_line(vcpu: &VcpuView) -> String {
    let on = if vcpu.on { "" } else { ", off" };
    let exits = vcpu.exits.iter().filter(|(_, count)| **count > 0);
    let exits: Vec<String> = exits.map(|(word, count)| format!("{word} {count}")).collect();
    let exits = if exits.is_empty() { "no exits".to_owned() } else { exits.join(", ") };
    let worst = |what: &str, view: &Option<HistogramView>| {
        view.as_ref().map_or(String::new(), |view| format!("; {what} {}", time(view.worst_ns)))
    };
    format!(
        "on CPU {}{on}; {exits}{}{}",
        vcpu.cpu,
        worst("longest exit", &vcpu.exit_time),
        worst("latest timer", &vcpu.lateness)
    )
}

fn print(person: &mut Person<'_>, lines: &[String]) -> Result<(), Error> {
    lines.iter().try_for_each(|line| person.line(line))
}
