// SPDX-License-Identifier: MIT OR Apache-2.0
//! What happened: the machine's log, and what is added to it.

use crate::error::Error;
use crate::person::Person;
use crate::session::{Session, text};
use abi::mailbox::body::Log;
use abi::mailbox::event::{Event, Kind};
use abi::mailbox::request::Request;
use abi::mailbox::state::Why;
use abi::mailbox::{Message, NOBODY, OWN};
use serde::Serialize;
use std::time::Duration;

/// From look to look, for somebody who follows the log.
const PERIOD: Duration = Duration::from_millis(250);

/// An event.
#[derive(Serialize)]
struct View<'a> {
    number: u64,
    time_ns: u64,
    /// None for one that this build does not know; then `kind_number` tells.
    kind: Option<&'static str>,
    kind_number: u16,
    partition: Option<&'a str>,
    code: u32,
    first: u64,
    second: u64,
    text: String,
}

/// Events that exist no more.
#[derive(Serialize)]
struct Lost {
    lost: u64,
}

/// Prints the log from its beginning, and goes on if asked to.
///
/// # Errors
/// [`Error`].
pub fn print(
    session: &mut Session<'_>,
    person: &mut Person<'_>,
    json: bool,
    follow: bool,
) -> Result<(), Error> {
    let names: Vec<String> = session.rows()?.iter().map(|row| text(&row.name)).collect();
    // Events count from one.
    let mut next = 1;
    loop {
        let log: Log = session.get(&Request::new(Message::Log, OWN).first(next), None)?;
        let lost = log.lost.get();
        if lost > 0 && json {
            person.json(&Lost { lost })?;
        } else if lost > 0 {
            person.line(&format!("{lost} events exist no more"))?;
        }
        let count = usize::try_from(log.count.get()).unwrap_or(usize::MAX);
        for event in log.events.iter().take(count) {
            let view = view(event, &names);
            if json {
                person.json(&view)?;
            } else {
                let seconds = view.time_ns as f64 / 1e9;
                person.line(&format!("{seconds:>12.6}  {}", view.text))?;
            }
        }
        // A server that does not move on has no more, whatever it says.
        let moved = log.next.get() > next;
        next = next.max(log.next.get());
        if log.more.get() != 0 && moved {
            continue;
        }
        if !follow {
            return Ok(());
        }
        std::thread::sleep(PERIOD);
    }
}

fn view<'a>(event: &Event, names: &'a [String]) -> View<'a> {
    let row = event.partition.get();
    let partition =
        if row == NOBODY { None } else { names.get(usize::from(row)).map(String::as_str) };
    let kind = event.known();
    View {
        number: event.number.get(),
        time_ns: event.time_ns.get(),
        kind: kind.map(Kind::word),
        kind_number: event.kind.get(),
        partition,
        code: event.code.get(),
        first: event.first.get(),
        second: event.second.get(),
        text: format!("{}: {}", partition.unwrap_or("machine"), words(event, kind, names)),
    }
}

/// What happened, in words.
fn words(event: &Event, kind: Option<Kind>, names: &[String]) -> String {
    let (code, first, second) = (event.code.get(), event.first.get(), event.second.get());
    let milliseconds = |nanoseconds: u64| nanoseconds / 1_000_000;
    let number = u16::try_from(code).unwrap_or(u16::MAX);
    let why = Why::from_number(number).map_or("unknown", Why::word);
    let message = Message::from_number(number).map_or("unknown", Message::word);
    let Some(kind) = kind else { return format!("event of kind {}", event.kind.get()) };
    let word = kind.word();
    match kind {
        Kind::Started | Kind::Paused | Kind::Resumed => word.to_owned(),
        Kind::Stopped | Kind::Crashed => format!("{word}: {why}"),
        Kind::Restarted => format!("{word}, {code} so far"),
        Kind::GaveUp => format!("gave up after {code} restarts"),
        Kind::Watchdog => format!("its watchdog of {} ms fired", milliseconds(first)),
        Kind::ConsoleFlood => format!("console flood, {first} bytes dropped"),
        Kind::Denied => {
            let about = usize::try_from(second).ok().and_then(|row| names.get(row));
            let about = about.map_or("the machine", String::as_str);
            format!("denied {first} times, last `{message}` of {about}")
        }
        Kind::Doorbell => format!("rang channel {second} too fast, {first} times"),
        Kind::StopRequested => format!("asked to end within {} ms", milliseconds(first)),
        Kind::PeerGone => format!("the peer on channel {second} has gone"),
        Kind::PeerBack => format!("the peer on channel {second} is back"),
        Kind::Machine => message.to_owned(),
        Kind::Panic => format!("panic on CPU {code}"),
    }
}
