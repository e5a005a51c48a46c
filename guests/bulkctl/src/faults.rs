// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fault records: the last one of each partition, and what survived the last reset.

use crate::error::Error;
use crate::person::Person;
use crate::session::{Session, text};
use abi::mailbox::body::Piece;
use abi::mailbox::request::{Request, Source};
use abi::mailbox::{Code, Message, OWN};
use abi::records::U64;
use serde::Serialize;

/// Longest record that is read: whoever says that there is more is not believed.
const LONGEST: usize = 64 * 1024;
/// Bytes in a line of a record that is not text.
const WIDTH: usize = 16;

/// A record.
#[derive(Serialize)]
struct View<'a> {
    /// None for the hypervisor's own.
    partition: Option<&'a str>,
    /// It was kept from before the last reset.
    before_reset: bool,
    /// What it says; a record that is no text is written in hexadecimal.
    text: String,
}

/// Prints the records of one partition, or all.
///
/// # Errors
/// [`Error`].
pub fn print(
    session: &mut Session<'_>,
    person: &mut Person<'_>,
    json: bool,
    name: Option<&str>,
) -> Result<(), Error> {
    let mut rows = Vec::new();
    match name {
        Some(name) => rows.push(session.find(name)?),
        None => rows = session.rows()?,
    }
    let mut found = 0;
    for row in rows {
        let partition = text(&row.name);
        for source in [Source::Partition, Source::PartitionBefore] {
            let record = record(session, row.index.get(), source, Some(&partition));
            // Whoever may not see one partition's records may see another's.
            let record = if name.is_none() && denied(&record) { None } else { record? };
            found += usize::from(record.is_some());
            tell(session, person, json, Some(&partition), source, record)?;
        }
    }
    if name.is_none() {
        let record = record(session, OWN, Source::HypervisorBefore, None);
        let record = if denied(&record) { None } else { record? };
        found += usize::from(record.is_some());
        tell(session, person, json, None, Source::HypervisorBefore, record)?;
    }
    if found == 0 && !json { person.line("no fault records") } else { Ok(()) }
}

fn denied(record: &Result<Option<Vec<u8>>, Error>) -> bool {
    record.as_ref().is_err_and(Error::is_denied)
}

/// A whole record, if there is one.
fn record(
    session: &mut Session<'_>,
    row: u16,
    source: Source,
    about: Option<&str>,
) -> Result<Option<Vec<u8>>, Error> {
    let mut record = Vec::new();
    while record.len() < LONGEST {
        let request = Request {
            second: U64::new(source.number()),
            ..Request::new(Message::Fault, row).first(record.len() as u64)
        };
        let piece: Piece = match session.get(&request, about) {
            Err(error) if error.has(Code::Nothing) => return Ok(None),
            piece => piece?,
        };
        let count = usize::try_from(piece.count.get()).unwrap_or(usize::MAX);
        record.extend(piece.bytes.iter().take(count));
        let total = usize::try_from(piece.total.get()).unwrap_or(LONGEST);
        if count == 0 || record.len() >= total {
            break;
        }
    }
    Ok(Some(record))
}

fn tell(
    session: &Session<'_>,
    person: &mut Person<'_>,
    json: bool,
    partition: Option<&str>,
    source: Source,
    record: Option<Vec<u8>>,
) -> Result<(), Error> {
    let Some(record) = record else { return Ok(()) };
    let before_reset = source != Source::Partition;
    let symbol = |address| session.symbol(partition?, address);
    let view = View { partition, before_reset, text: named(&readable(&record), &symbol) };
    if json {
        return person.json(&view);
    }
    let when = if before_reset { ", before the last reset" } else { "" };
    person.line(&format!("{}{when}:", partition.unwrap_or("the hypervisor")))?;
    view.text.lines().try_for_each(|line| person.line(&format!("  {line}")))
}

/// The record with the name of the place where a vCPU was, if that is known.
fn named(text: &str, symbol: &dyn Fn(u64) -> Option<String>) -> String {
    let line = |line: &str| {
        let place = line.strip_prefix("vCPU ").and_then(|rest| rest.split_once(" at "));
        let digits = place
            .and_then(|(_, place)| place.split_once("0x"))
            .map(|(_, rest)| rest.split(|c: char| !c.is_ascii_hexdigit()).next().unwrap_or(""));
        let address = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        match address.and_then(symbol) {
            Some(name) => format!("{line}\n  in {name}\n"),
            None => format!("{line}\n"),
        }
    };
    text.lines().map(line).collect()
}

/// The record as text.
fn readable(record: &[u8]) -> String {
    match std::str::from_utf8(record) {
        Ok(text) if !text.contains(|c: char| c.is_control() && c != '\n') => text.to_owned(),
        _ => {
            let line = |(number, bytes): (usize, &[u8])| {
                let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("{:04x}  {}\n", number * WIDTH, digits.join(" "))
            };
            record.chunks(WIDTH).enumerate().map(line).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_vcpu_was_has_its_name() {
        let symbol = |address| (address == 0x4010_0004).then(|| "reporter+0x4".to_owned());
        let arm = "solo: a fault\nvCPU 0 at pc 0x40100004, pstate 0x3c5: a fault\nx0 0x40100004\n";
        let named = named(arm, &symbol);
        assert_eq!(
            named,
            "solo: a fault\nvCPU 0 at pc 0x40100004, pstate 0x3c5: a fault\n  in reporter+0x4\nx0 0x40100004\n"
        );
        let unknown = "vCPU 1 at 0x100010, code base 0x0: a triple fault\n";
        assert_eq!(super::named(unknown, &symbol), unknown);
    }
}
