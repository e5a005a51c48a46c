// SPDX-License-Identifier: MIT OR Apache-2.0
//! `MAILBOX.md` says what the code does: every table of numbers, words, offsets,
//! rights and states in it is compared with the types.

use abi::mailbox::answer::Answer;
use abi::mailbox::body::{BODIES, Reason};
use abi::mailbox::event::{Event, Kind};
use abi::mailbox::frame::Carries;
use abi::mailbox::request::{Request, Source, Topic};
use abi::mailbox::rights::{About, Right};
use abi::mailbox::ring::{ANSWERS_WRITTEN, EVENTS_WRITTEN, Header, REQUESTS_WRITTEN};
use abi::mailbox::state::{State, Step, Why};
use abi::mailbox::{Code, Features, Message};
use std::mem::offset_of;

const TEXT: &str = include_str!("../../MAILBOX.md");

/// The cells of the first table behind a heading, without its first two lines.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let is_heading = |line: &&str| line.trim_start_matches('#') == format!(" {heading}");
    let behind = TEXT.lines().skip_while(|line| !is_heading(line)).skip(1);
    let rows = behind.skip_while(|line| !line.starts_with('|')).take_while(|l| l.starts_with('|'));
    let cells = |line: &'static str| {
        line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect()
    };
    let rows: Vec<_> = rows.map(cells).skip(2).collect();
    assert!(!rows.is_empty(), "no table behind {heading}");
    rows
}

/// Two columns of a table: a number, in either base, and a word.
fn pairs(heading: &str) -> Vec<(u64, &'static str)> {
    let number = |cell: &str| match cell.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).unwrap(),
        None => cell.parse().unwrap(),
    };
    table(heading).iter().map(|row| (number(row[0]), row[1])).collect()
}

macro_rules! words {
    ($type:ty) => {
        <$type>::ALL.iter().map(|one| (u64::from(one.number()), one.word())).collect::<Vec<_>>()
    };
}

macro_rules! offsets {
    ($type:ty: $($field:ident)*) => {
        vec![$((offset_of!($type, $field) as u64, stringify!($field)),)*]
    };
}

#[test]
fn numbers_and_words_are_those_of_the_code() {
    assert_eq!(pairs("Messages"), words!(Message));
    assert_eq!(pairs("Codes"), words!(Code));
    assert_eq!(pairs("Kinds"), words!(Kind));
    assert_eq!(pairs("States"), words!(State));
    assert_eq!(pairs("Causes of an end"), words!(Why));
    assert_eq!(pairs("Topics of `vcpu`"), words!(Topic));
    assert_eq!(pairs("Sources of `fault`"), words!(Source));
    assert_eq!(pairs("Reasons of exits"), words!(Reason));
    assert_eq!(pairs("What a frame carries"), words!(Carries));
}

/// A flag's bit and its word in the document.
fn flag(bits: u64, name: &str) -> (u64, String) {
    (bits.trailing_zeros().into(), name.to_lowercase().replace('_', "-"))
}

#[test]
fn flags_are_those_of_the_code() {
    let owned = |heading| pairs(heading).into_iter().map(|(bit, word)| (bit, word.to_owned()));
    let rights = Right::all();
    let rights = rights.iter_names().map(|(name, right)| flag(right.bits().into(), name));
    assert!(owned("Rights").eq(rights));
    let features = Features::all();
    let features = features.iter_names().map(|(name, feature)| flag(feature.bits(), name));
    assert!(owned("Features").eq(features));
}

#[test]
fn layouts_are_those_of_the_code() {
    let request =
        offsets!(Request: number message length partition vcpu reserved first second data);
    assert_eq!(pairs("Requests"), request);
    let answer = offsets!(Answer: number message length code reserved detail body);
    assert_eq!(pairs("Answers"), answer);
    let event =
        offsets!(Event: place kind partition number time_ns lost code first second reserved);
    assert_eq!(pairs("Events"), event);
    for (name, size, fields) in BODIES {
        let fields: Vec<_> = fields.iter().map(|(name, offset)| (*offset as u64, *name)).collect();
        assert_eq!(pairs(&format!("{name}, {size} bytes")), fields, "{name}");
    }
}

#[test]
fn the_memory_is_laid_out_as_the_code_lays_it_out() {
    let mut fields = offsets!(Header: magic version memory requests request_len answers answer_len
        slots events event_len event_slots reserved);
    fields.extend([
        (REQUESTS_WRITTEN.into(), "requests written"),
        (ANSWERS_WRITTEN.into(), "answers written"),
        (EVENTS_WRITTEN.into(), "events written"),
    ]);
    assert_eq!(pairs("The memory"), fields);
    let own = Header::OWN;
    let values = [own.memory, own.requests, own.request_len, own.answers, own.answer_len]
        .into_iter()
        .chain([own.slots, own.events, own.event_len, own.event_slots]);
    for (row, value) in table("The memory")[2..].iter().zip(values) {
        let value = value.get();
        let said = [format!(": {value:#x}."), format!(": {value}."), format!(": {value},")];
        assert!(said.iter().any(|value| row[3].contains(value)), "{row:?} {value}");
    }
}

#[test]
fn needs_are_those_that_the_server_checks() {
    for (row, message) in table("Messages").iter().zip(Message::ALL) {
        let need = message.need();
        let right = need.right.iter_names().map(|(name, _)| name.to_lowercase()).next();
        let right = right.unwrap_or_default();
        let said = match need.about {
            About::Asker => "—".to_owned(),
            About::Machine => format!("{right}, machine"),
            About::Partition if need.own => format!("{right}, or own"),
            About::Partition => right,
        };
        assert_eq!(row[2], said, "{message:?}");
    }
}

#[test]
fn requests_lead_where_the_code_leads() {
    let steps = [Step::Start, Step::Restart, Step::Stop, Step::Kill, Step::Pause, Step::Resume];
    let rows = table("Life of a partition");
    assert_eq!(rows.len(), State::ALL.len());
    for (row, state) in rows.iter().zip(State::ALL) {
        assert_eq!(row[0], state.word());
        for (cell, step) in row[1..].iter().zip(steps) {
            let refusal = if state.refusal().code == Code::Busy { "busy" } else { "no" };
            assert_eq!(*cell, state.after(step).map_or(refusal, State::word), "{state:?} {step:?}");
        }
    }
}
