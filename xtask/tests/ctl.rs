// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ctl` at a machine that is attended, and in a scenario.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop")]

#[path = "../../guests/bulkctl/tests/machine/mod.rs"]
mod machine;

use abi::crc32c::software;
use abi::mailbox::answer::Answer;
use abi::mailbox::frame::{Carries, Input, LINE_START, Receiver, encode};
use abi::mailbox::request::Request;
use bulkctl::error::TIMEOUT;
use bulkctl::link::Link;
use bulkctl::session::Session;
use bulkhead_test::line::Line;
use machine::{Machine, NAMES};
use std::fs::File;
use std::io::{Read, Write};
use std::process::Command;
use std::time::Duration;
use xtask::ctl::instances::{self, Published};
use xtask::emulator::session::{Wishes, attend};
use xtask::scenario::play::{Stage, play};
use xtask::scenario::script::Script;
use xtask::workspace::Workspace;
use zerocopy::IntoBytes;

const PATIENCE: Duration = Duration::from_secs(20);

fn framed(answer: &Answer) -> Vec<u8> {
    let mut line = LINE_START.as_bytes().to_vec();
    encode(Carries::Answer, answer.as_bytes(), software, &mut |byte| line.push(byte));
    line.extend(b"\r\n");
    line
}

fn names(link: &mut dyn Link) -> Vec<String> {
    let mut session = Session::open(link, PATIENCE).unwrap();
    let rows = session.rows().unwrap();
    rows.iter().map(|row| bulkctl::session::text(&row.name)).collect()
}

/// The variable that makes this program a machine.
const MACHINE: &str = "BULKHEAD_TEST_MACHINE";

/// Does nothing as a test; in the program that the next tests start it is the machine.
#[test]
fn the_machine_of_the_next_tests() {
    if std::env::var_os(MACHINE).is_none() {
        return;
    }
    let mut machine = Machine::new();
    let mut receiver = Receiver::new();
    let mut out = std::io::stdout();
    for byte in std::io::stdin().lock().bytes() {
        if receiver.push(byte.unwrap(), software) != Input::Frame(Carries::Request) {
            continue;
        }
        let answer = machine.answer(receiver.payload());
        out.write_all(&framed(&answer)).unwrap();
        out.flush().unwrap();
        if answer.message.get() == abi::mailbox::Message::PowerOff.number() {
            out.write_all(b"[bulkhead] end: ok\r\n").unwrap();
            out.flush().unwrap();
            std::process::exit(0);
        }
    }
}

/// This program as an emulator.
fn machine_of_the_next_tests() -> Command {
    let mut command = Command::new("env");
    command.arg(format!("{MACHINE}=1")).arg(std::env::current_exe().unwrap());
    command.args(["--exact", "the_machine_of_the_next_tests", "--nocapture"]);
    command
}

#[test]
fn a_machine_that_is_attended_is_found_and_steered_by_several_at_once() {
    let workspace = Workspace::find().unwrap();
    let command = machine_of_the_next_tests();
    let log = std::env::temp_dir().join(format!("bulkhead-ctl-{}.log", std::process::id()));
    let wishes = Wishes {
        timeout: Some(3 * PATIENCE),
        log: Some(File::create(&log).unwrap()),
        published: Some(Published::new(&workspace, "test", Default::default()).unwrap()),
        ..Wishes::default()
    };
    let attended = std::thread::spawn(move || attend(&command.into(), wishes).unwrap());
    let connect = || instances::connect(&Workspace::find().unwrap(), Some(std::process::id()));
    let several: Vec<_> = (0..4)
        .map(|_| {
            let mut line = Line::new(connect().unwrap().1.into()).unwrap();
            std::thread::spawn(move || (0..5).for_each(|_| assert_eq!(names(&mut line), NAMES)))
        })
        .collect();
    several.into_iter().for_each(|one| one.join().unwrap());
    let mut line = Line::new(connect().unwrap().1.into()).unwrap();
    let power_off = Request::new(abi::mailbox::Message::PowerOff, abi::mailbox::OWN);
    line.ask(&power_off, PATIENCE).unwrap();
    assert_eq!(attended.join().unwrap(), xtask::failure::PASSED);
    assert!(connect().is_err(), "the record is gone");
    let logged = std::fs::read_to_string(&log).unwrap();
    assert!(logged.contains(LINE_START) && logged.contains("[bulkhead] end: ok"), "{logged}");
    std::fs::remove_file(log).unwrap();
}

#[test]
fn a_scenario_asks_and_makes_noise() {
    let scenario = "about = ''\ntimeout = 60\nend = 'ok'
        [[step]]\nctl = 'list'\nprints = ['^NAME ', '^driver  failed']
        [[step]]\nctl = 'resume rtos'\nprints = 'no `resume` in that state'\nstatus = 1
        [[step]]\nnoise = 1048576
        [[step]]\nctl = 'pause rtos --json'\nprints = '\"paused\"'
        [[step]]\nctl = 'power-off'";
    let mut script = Script::new(&toml::from_str(scenario).unwrap()).unwrap();
    let log = std::env::temp_dir().join(format!("bulkhead-play-{}.log", std::process::id()));
    let emulator = machine_of_the_next_tests().into();
    play(
        &Stage { emulator: &emulator, partitions: &[], timeout: 3 * PATIENCE, log: &log },
        &mut script,
    )
    .unwrap();
    std::fs::remove_file(log).unwrap();
}

#[test]
fn an_answer_that_did_not_come_has_the_status_of_ctl() {
    let (message, patience) = (abi::mailbox::Message::List, PATIENCE);
    let error = bulkctl::error::Error::Silent { message, patience, attempts: 3 };
    let error = anyhow::Error::new(error).context("asking");
    assert_eq!(xtask::failure::status_of(&error), TIMEOUT);
}
