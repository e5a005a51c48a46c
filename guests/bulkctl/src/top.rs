// SPDX-License-Identifier: MIT OR Apache-2.0
//! A live view in the spirit of esxtop: what each partition used between two
//! looks, and how late it ever was since it started.

use crate::error::{self, Error};
use crate::keys::Raw;
use crate::person::Person;
use crate::session::{Session, text};
use crate::show::{MachineView, counters, histogram, machine_view};
use crate::table::{Table, time};
use abi::mailbox::Message;
use abi::mailbox::body::{REASONS, Reason, Row, Statistics};
use abi::mailbox::request::{Request, Topic};
use abi::mailbox::rights::Right;
use abi::mailbox::state::State;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// To the screen's first place; to the end of the line; what is below.
const HOME: &str = "\x1b[H";
const REST_OF_LINE: &str = "\x1b[K";
const BELOW: &str = "\x1b[J";
/// Another screen than the one with what was typed, without a cursor; and back.
const OPEN: &str = "\x1b[?1049h\x1b[?25l\x1b[2J";
const CLOSE: &str = "\x1b[?25h\x1b[?1049l";

/// What one look saw of a partition.
#[derive(Clone, Default)]
struct Look {
    time_ns: u64,
    cpu_ns: u64,
    exits: [u64; REASONS],
    interrupts: u64,
    console: u64,
    dropped: u64,
    worst_exit_ns: Option<u64>,
    worst_late_ns: Option<u64>,
}

/// A frame.
#[derive(Serialize)]
struct Frame {
    /// None if the machine may not be observed.
    machine: Option<MachineView>,
    partitions: Vec<Line>,
}

/// A partition between two looks.
#[derive(Serialize)]
struct Line {
    name: String,
    state: &'static str,
    restarts: u32,
    /// Of one CPU; more than 100 with several vCPUs.
    cpu_percent: f64,
    exits_per_s: BTreeMap<&'static str, f64>,
    interrupts_per_s: f64,
    console_per_s: f64,
    dropped: u64,
    /// Since its start; none where nobody measures it.
    worst_exit_ns: Option<u64>,
    worst_late_ns: Option<u64>,
}

/// Shows frames until the person leaves, or one.
///
/// # Errors
/// [`Error`].
pub fn show(
    session: &mut Session<'_>,
    person: &mut Person<'_>,
    json: bool,
    once: bool,
    every: Duration,
) -> Result<(), Error> {
    let once = once || !person.terminal;
    let mut before = look_at_all(session)?;
    if once || json || !person.screen {
        loop {
            std::thread::sleep(every);
            let (frame, now) = frame(session, &before)?;
            before = now;
            if json {
                person.json(&frame)?;
            } else {
                lines(&frame).iter().try_for_each(|line| person.line(line))?;
            }
            if once {
                return Ok(());
            }
            if !json {
                person.line("")?;
            }
        }
    }
    let _raw = Raw::take()?;
    let keys = person.typed();
    person.raw(OPEN.as_bytes())?;
    let outcome = live(session, person, &keys, before, every);
    person.raw(CLOSE.as_bytes())?;
    outcome
}

/// Draws frames over one another.
fn live(
    session: &mut Session<'_>,
    person: &mut Person<'_>,
    keys: &Receiver<Vec<u8>>,
    mut before: Looks,
    every: Duration,
) -> Result<(), Error> {
    // The first frame is not waited for as long as the others.
    let mut wait = every.min(Duration::from_millis(200));
    loop {
        if leaves(keys, wait) {
            return Ok(());
        }
        wait = every;
        let (frame, now) = frame(session, &before)?;
        before = now;
        let mut text = HOME.to_owned();
        for line in lines(&frame) {
            text.push_str(&line);
            text.push_str(REST_OF_LINE);
            text.push_str("\r\n");
        }
        text.push_str(BELOW);
        person.raw(text.as_bytes())?;
    }
}

/// Whether q, Ctrl-C or Ctrl-D is typed within a time.
fn leaves(keys: &Receiver<Vec<u8>>, wait: Duration) -> bool {
    match keys.recv_timeout(wait) {
        Ok(bytes) => bytes.iter().any(|key| matches!(key, b'q' | b'Q' | 0x03 | 0x04)),
        Err(RecvTimeoutError::Timeout) => false,
        Err(RecvTimeoutError::Disconnected) => true,
    }
}

type Looks = BTreeMap<u16, Look>;

fn look_at_all(session: &mut Session<'_>) -> Result<Looks, Error> {
    let mut looks = Looks::new();
    for row in visible(session)? {
        let name = text(&row.name);
        looks.insert(row.index.get(), look(session, &row, &name)?);
    }
    Ok(looks)
}

/// The partitions that we may observe, or are.
fn visible(session: &mut Session<'_>) -> Result<Vec<Row>, Error> {
    let own = session.hello().own.get();
    let mut rows = session.rows()?;
    let observed = |row: &Row| row.rights.get() & Right::OBSERVE.bits() != 0;
    rows.retain(|row| observed(row) || row.index.get() == own);
    Ok(rows)
}

fn look(session: &mut Session<'_>, row: &Row, name: &str) -> Result<Look, Error> {
    let index = row.index.get();
    let request = Request::new(Message::Statistics, index);
    let counts: Statistics = session.get(&request, Some(name))?;
    let mut look = Look {
        time_ns: counts.time_ns.get(),
        cpu_ns: counts.cpu_ns.get(),
        interrupts: counts.interrupts.get(),
        console: counts.console.get(),
        dropped: counts.dropped.get(),
        ..Look::default()
    };
    for vcpu in 0..row.vcpus.get() {
        let found = counters(session, index, vcpu, name)?;
        for (sum, count) in look.exits.iter_mut().zip(&found.exits) {
            *sum = sum.saturating_add(count.get());
        }
        let mut worst = |topic, sum: &mut Option<u64>| -> Result<(), Error> {
            if let Some(found) = histogram(session, index, vcpu, topic, name)? {
                *sum = Some(sum.unwrap_or(0).max(found.worst_ns()));
            }
            Ok(())
        };
        worst(Topic::ExitTime, &mut look.worst_exit_ns)?;
        worst(Topic::Lateness, &mut look.worst_late_ns)?;
    }
    Ok(look)
}

/// What was used since an earlier look, and the new look.
fn frame(session: &mut Session<'_>, before: &Looks) -> Result<(Frame, Looks), Error> {
    let machine = match machine_view(session) {
        Err(error) if error.is_denied() => None,
        machine => Some(machine?),
    };
    let mut looks = Looks::new();
    let mut partitions = Vec::new();
    for row in visible(session)? {
        let name = text(&row.name);
        let now = look(session, &row, &name)?;
        let index = row.index.get();
        let state = error::state(row.state.get().into());
        let before = before.get(&index).cloned().unwrap_or_default();
        partitions.push(line(name, state, row.restarts.get(), &before, &now));
        looks.insert(index, now);
    }
    Ok((Frame { machine, partitions }, looks))
}

/// A partition between two looks. Its counters begin anew with it; then all of them are new.
fn line(name: String, state: &'static str, restarts: u32, before: &Look, now: &Look) -> Line {
    let passed = now.time_ns.saturating_sub(before.time_ns).max(1) as f64 / 1e9;
    let since = |before: u64, now: u64| now.checked_sub(before).unwrap_or(now) as f64;
    let each = Reason::ALL.iter().zip(before.exits.iter().zip(&now.exits));
    Line {
        name,
        state,
        restarts,
        cpu_percent: rounded(since(before.cpu_ns, now.cpu_ns) / passed / 1e7),
        exits_per_s: each
            .map(|(reason, (before, now))| (reason.word(), rounded(since(*before, *now) / passed)))
            .collect(),
        interrupts_per_s: rounded(since(before.interrupts, now.interrupts) / passed),
        console_per_s: rounded(since(before.console, now.console) / passed),
        dropped: now.dropped,
        worst_exit_ns: now.worst_exit_ns,
        worst_late_ns: now.worst_late_ns,
    }
}

/// To one place behind the point.
fn rounded(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

fn lines(frame: &Frame) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(machine) = &frame.machine {
        let MachineView { board, arch, release, cpus, partitions, denied, .. } = machine;
        let up = time(machine.uptime_ns);
        lines.push(format!(
            "{board}, {arch}, Bulkhead {release}: up {up}, {cpus} CPUs, {partitions} partitions, {denied} requests denied"
        ));
    }
    let running = State::Running.word();
    let mut headings = vec!["NAME", "-STATE", "CPU%", "EXITS/s"];
    headings.extend(Reason::ALL.iter().map(|reason| reason.word()));
    headings.extend(["IRQ/s", "EXIT-MAX", "LATE-MAX", "OUT/s", "DROPPED", "RESTARTS"]);
    let mut table = Table::new(&headings);
    for line in &frame.partitions {
        let rate = |rate: f64| if rate == 0.0 { "-".to_owned() } else { format!("{rate:.0}") };
        let worst = |worst: Option<u64>| worst.map_or("-".to_owned(), time);
        let mut cells = vec![line.name.clone(), line.state.to_owned()];
        cells.push(if line.state == running || line.cpu_percent > 0.0 {
            format!("{:.1}", line.cpu_percent)
        } else {
            "-".to_owned()
        });
        cells.push(rate(line.exits_per_s.values().sum()));
        cells.extend(
            Reason::ALL
                .iter()
                .map(|reason| rate(line.exits_per_s.get(reason.word()).copied().unwrap_or(0.0))),
        );
        cells.extend([
            rate(line.interrupts_per_s),
            worst(line.worst_exit_ns),
            worst(line.worst_late_ns),
            rate(line.console_per_s),
            line.dropped.to_string(),
            line.restarts.to_string(),
        ]);
        table.row(cells);
    }
    lines.extend(table.lines());
    lines
}
