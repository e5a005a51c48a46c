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
            tell(person, json, Some(&partition), source, record)?;
        }
    }
    if name.is_none() {
        let record = record(session, OWN, Source::HypervisorBefore, None);
        let record = if denied(&record) { None } else { record? };
        found += usize::from(record.is_some());
        tell(person, json, None, Source::HypervisorBefore, record)?;
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
    person: &mut Person<'_>,
    json: bool,
    partition: Option<&str>,
    source: Source,
    record: Option<Vec<u8>>,
) -> Result<(), Error> {
    let Some(record) = record else { return Ok(()) };
    let before_reset = source != Source::Partition;
    let view = View { partition, before_reset, text: readable(&record) };
    if json {
        return person.json(&view);
    }
    let when = if before_reset { ", before the last reset" } else { "" };
    person.line(&format!("{}{when}:", partition.unwrap_or("the hypervisor")))?;
    view.text.lines().try_for_each(|line| person.line(&format!("  {line}")))
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
