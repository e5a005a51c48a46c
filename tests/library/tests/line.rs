// SPDX-License-Identifier: MIT OR Apache-2.0
//! The mailbox over serial lines: a server behind a socket or a pseudo-terminal, which
//! it shares with a console and with noise.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop")]

#[path = "../../../guests/bulkctl/tests/machine/mod.rs"]
mod machine;

use abi::crc32c::software;
use abi::mailbox::answer::Answer;
use abi::mailbox::body::Hello;
use abi::mailbox::frame::{Carries, Input, LINE_START, Receiver, encode};
use abi::mailbox::request::Request;
use bulkctl::error::TIMEOUT;
use bulkctl::link::{Broken, Link};
use bulkctl::session::Session;
use bulkhead_test::line::Line;
use bulkhead_test::mistake::Mistake;
use machine::{Machine, NAMES, RECORD};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use zerocopy::IntoBytes;

const PATIENCE: Duration = Duration::from_secs(20);

/// A hypervisor at the end of a serial line, until the line is closed. `before` is what it
/// writes before each answer.
fn serve(mut line: impl Read + Write + Send + 'static, before: Vec<u8>) {
    std::thread::spawn(move || {
        let mut machine = Machine::new();
        let mut receiver = Receiver::new();
        let mut block = [0; 256];
        while let Ok(read @ 1..) = line.read(&mut block) {
            for byte in &block[..read] {
                if receiver.push(*byte, software) != Input::Frame(Carries::Request) {
                    continue;
                }
                let answer = machine.answer(receiver.payload());
                if line.write_all(&[&before[..], &framed(&answer)].concat()).is_err() {
                    return;
                }
            }
        }
    });
}

fn framed(answer: &Answer) -> Vec<u8> {
    let mut line = LINE_START.as_bytes().to_vec();
    encode(Carries::Answer, answer.as_bytes(), software, &mut |byte| line.push(byte));
    line.extend(b"\r\n");
    line
}

/// A line to a hypervisor that writes something before each answer.
fn line_to(before: &[u8]) -> Line {
    let (near, far) = UnixStream::pair().unwrap();
    serve(far, before.to_vec());
    Line::new(near.into()).unwrap()
}

fn names(link: &mut dyn Link) -> Vec<String> {
    let mut session = Session::open(link, PATIENCE).unwrap();
    let rows = session.rows().unwrap();
    rows.iter().map(|row| bulkctl::session::text(&row.name)).collect()
}

#[test]
fn answers_are_found_among_console_lines_and_noise() {
    let mut noise: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    noise.extend(b"\r\n[linux] \x1b[0mhello\r\n[bulkhead] :AAAA\r\n[bulkhead] : not\r\n");
    assert_eq!(names(&mut line_to(&noise)), NAMES);
    assert_eq!(names(&mut line_to(b"[rtos] heartbeat\r\n")), NAMES);
}

#[test]
fn an_answer_that_a_guest_made_up_or_another_asked_for_is_not_taken() {
    let hello = |number: u32| {
        let mut answer = Machine::new().answer(Request::hello().as_bytes());
        answer.number = number.into();
        answer.put(&Hello::default());
        framed(&answer)
    };
    let forged = [b"[linux] ".to_vec(), hello(1), hello(1), hello(u32::MAX)].concat();
    assert_eq!(names(&mut line_to(&forged)), NAMES);
}

#[test]
fn a_line_that_is_too_long_is_passed_over_to_its_end() {
    let mut long = b"x".repeat(1024);
    long.extend(framed(&Answer::EMPTY));
    assert_eq!(names(&mut line_to(&long)), NAMES);
}

#[test]
fn nobody_at_the_other_end_is_told_in_time_with_a_cure() {
    let (near, _far) = UnixStream::pair().unwrap();
    let mut line = Line::new(near.into()).unwrap();
    let begun = Instant::now();
    let error = Session::open(&mut line, Duration::from_millis(50)).err().unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(150));
    assert_eq!(error.status(), TIMEOUT);
    assert!(error.to_string().contains("--patience"), "{error}");
}

#[test]
fn a_line_that_is_closed_is_told_at_once() {
    let (near, far) = UnixStream::pair().unwrap();
    drop(far);
    let mut line = Line::new(near.into()).unwrap();
    let broken = line.ask(&Request::hello(), PATIENCE).err();
    assert!(matches!(broken, Some(Broken::Gone(_))), "{broken:?}");
}

#[test]
fn a_pseudo_terminal_is_a_serial_device() {
    let controller = rustix::pty::openpt(rustix::pty::OpenptFlags::RDWR).unwrap();
    rustix::pty::grantpt(&controller).unwrap();
    rustix::pty::unlockpt(&controller).unwrap();
    let path = rustix::pty::ptsname(&controller, Vec::new()).unwrap();
    serve(File::from(controller), b"[linux] login: \r\n".to_vec());
    let mut line = Line::open(path.to_str().unwrap().as_ref(), 115_200).unwrap();
    assert_eq!(names(&mut line), NAMES);
    let error = Line::open("/dev/null/none".as_ref(), 115_200).unwrap_err();
    assert!(error.is::<Mistake>(), "{error}");
}

#[test]
fn a_whole_record_comes_over_a_line() {
    let mut line = line_to(b"");
    let mut out = Vec::new();
    let mut person = bulkctl::person::Person {
        out: &mut out,
        terminal: false,
        screen: false,
        keys: Box::new(|| Box::new(std::io::empty())),
    };
    let mut session = Session::open(&mut line, PATIENCE).unwrap();
    bulkctl::faults::print(&mut session, &mut person, false, Some(NAMES[2])).unwrap();
    let first = RECORD.lines().next().unwrap();
    assert_eq!(String::from_utf8(out).unwrap().lines().nth(1), Some(&*format!("  {first}")));
}
