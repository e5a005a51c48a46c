// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a test sees of a machine. The machine is this program again: a hypervisor's
//! console with three partitions, of which two echo what is typed.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test may stop"
)]

#[path = "../../../guests/bulkctl/tests/machine/mod.rs"]
mod machine;

use abi::crc32c::software;
use abi::mailbox::Message;
use abi::mailbox::frame::{Carries, Input, LINE_START, Receiver, encode};
use bulkhead_test::mailbox::{Command, Kind};
use bulkhead_test::system::Heard;
use bulkhead_test::{End, Error, State, System, secs};
use machine::{Machine, NAMES, RECORD};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use zerocopy::IntoBytes;

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
    let mut focus = 0;
    let mut line = Vec::new();
    say(b"\r\n[bulkhead] hello\r\n[linux] boot 1\r\n[rtos] heartbeat 7 late\r\n[linux] linux# ");
    for byte in std::io::stdin().lock().bytes() {
        match receiver.push(byte.unwrap(), software) {
            Input::Command(digit) => focus = usize::from(digit - b'0'),
            Input::Key(b'\n') => {
                let text = String::from_utf8(std::mem::take(&mut line)).unwrap();
                let name = NAMES[focus];
                say(format!("\r\n[{name}] you typed {text}\r\n[{name}] {name}# ").as_bytes());
                match text.as_str() {
                    "panic" => say(b"\r\n[bulkhead] panic on CPU 0: why\r\n"),
                    "die" => std::process::exit(3),
                    _ => {}
                }
            }
            Input::Key(key) => line.push(key),
            Input::Frame(Carries::Request) => {
                let answer = machine.answer(receiver.payload());
                let mut framed = [b"\r\n", LINE_START.as_bytes()].concat();
                encode(Carries::Answer, answer.as_bytes(), software, &mut |byte| framed.push(byte));
                framed.extend(b"\r\n");
                say(&framed);
                if answer.message.get() == Message::PowerOff.number() {
                    say(b"[bulkhead] end: failed driver crash\r\n");
                    std::process::exit(0);
                }
            }
            _ => {}
        }
    }
}

fn say(bytes: &[u8]) {
    let mut out = std::io::stdout();
    out.write_all(bytes).unwrap();
    out.flush().unwrap();
}

/// A system on this program, and its console's file, which is gone at the end.
struct Started(System, PathBuf);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.1);
    }
}

fn start(name: &str) -> Started {
    let mut command = std::process::Command::new("env");
    command.arg(format!("{MACHINE}=1")).arg(std::env::current_exe().unwrap());
    command.args(["--exact", "the_machine_of_the_next_tests", "--nocapture"]);
    let log = std::env::temp_dir().join(format!("bulkhead-{name}-{}", std::process::id()));
    let names = NAMES.map(str::to_owned).to_vec();
    Started(System::boot(&command.into(), names, &log).unwrap(), log)
}

const SOON: Duration = secs(60);
const BRIEF: Duration = Duration::from_millis(300);

#[test]
fn each_partition_is_heard_and_typed_at_alone() {
    let Started(system, log) = &start("alone");
    let (linux, rtos) = (system.partition("linux"), system.partition("rtos"));
    assert_eq!(rtos.wait_for(r"^heartbeat (\d+)", SOON).unwrap().number(1), Some(7_u32));
    linux.wait_for("^linux# $", SOON).unwrap();
    linux.send("ls\n").unwrap();
    linux.wait_for("^you typed ls$", SOON).unwrap();
    linux.wait_for("^linux# $", SOON).unwrap();
    rtos.send("go\n").unwrap();
    rtos.wait_for("^you typed go$", SOON).unwrap();
    assert!(linux.lines().unwrap().iter().all(|line| !line.contains("go")));
    system.hypervisor().wait_for("^hello$", SOON).unwrap();
    assert!(std::fs::read_to_string(log).unwrap().contains("[rtos] you typed go"));
}

#[test]
fn what_does_not_come_is_told_in_time_with_the_console() {
    let Started(system, _) = &start("late");
    let begun = Instant::now();
    system.partition("linux").wait_for("^linux# $", SOON).unwrap();
    let error = system.partition("linux").wait_for("no such line", BRIEF).unwrap_err();
    assert!(begun.elapsed() >= BRIEF && matches!(error, Error::Late { .. }), "{error:?}");
    let text = error.to_string();
    for part in ["no such line", "of linux", "within 0.3 s", "[linux] boot 1", "[linux] linux# "] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let error = system.partition("nobody").wait_for("x", SOON).unwrap_err();
    assert!(error.to_string().contains("linux, rtos, driver"), "{error}");
    assert!(matches!(system.partition("nobody").send("x"), Err(Error::NoPartition { .. })));
    let error = system.partition("linux").wait_for("(", SOON).unwrap_err();
    assert!(matches!(error, Error::Pattern(_)), "{error:?}");
}

#[test]
fn the_mailbox_is_typed() {
    let Started(system, _) = &start("typed");
    let mailbox = system.mailbox().patience(SOON);
    let rows = mailbox.list().unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, NAMES);
    assert_eq!((rows[2].state, rows[2].vcpus, rows[2].restarts), (Some(State::Failed), 2, 2));
    assert_eq!(mailbox.pause("rtos").unwrap(), Some(State::Paused));
    assert_eq!(mailbox.state("rtos").unwrap(), Some(State::Paused));
    mailbox.wait_for("rtos", State::Paused, SOON).unwrap();
    let late = mailbox.wait_for("rtos", State::Off, BRIEF).unwrap_err();
    assert!(late.to_string().contains("rtos that is off (it is paused)"), "{late}");
    let refused = mailbox.stop("rtos", secs(1)).unwrap_err();
    assert!(refused.to_string().contains("rtos is paused: no `stop` in that state"), "{refused}");
    assert!(matches!(mailbox.kill("nobody"), Err(Error::Mailbox(_))));
    assert_eq!(mailbox.inject("linux", 1).unwrap(), Some(State::Running));
    assert_eq!(mailbox.statistics("linux").unwrap().dropped, 7);
    let details = mailbox.details("driver").unwrap();
    assert_eq!((details.restarts_left, details.watchdog), (Some(3), Some(secs(2))));
    let events = mailbox.events().unwrap();
    assert_eq!((events.len(), events[4].kind), (5, Some(Kind::Crashed)));
    assert_eq!(events[4].partition.as_deref(), Some("rtos"));
    let answered = mailbox.ctl(&Command::read("faults driver").unwrap());
    assert!(answered.status == 0 && answered.output.contains(RECORD.lines().next().unwrap()));
    let answered = mailbox.ctl(&Command::read("kill nobody").unwrap());
    assert!(answered.status == 2 && answered.output.contains("no partition nobody"));
    assert!(Command::read("fly").is_err());
}

#[test]
fn a_machine_that_ends_is_told_at_once_with_the_hypervisors_last_line() {
    let Started(system, _) = &start("ends");
    system.mailbox().patience(SOON).power_off().unwrap();
    let end = End::Failed("driver crash".to_owned());
    assert_eq!(system.wait_for_end(SOON).unwrap(), end);
    let error = system.partition("linux").wait_for("never", SOON).unwrap_err();
    assert!(error.to_string().contains("ended (driver crash)"), "{error}");
    assert!(system.mailbox().list().is_err());
    let mut console = system.console();
    let heard = std::iter::from_fn(|| Some(console.next(SOON)).filter(|one| *one != Heard::Ended));
    assert!(heard.into_iter().any(|one| one == Heard::Line("[linux] boot 1".to_owned())));
}

#[test]
fn a_machine_that_dies_or_panics_is_no_wait_for_the_timeout() {
    let Started(system, _) = &start("dies");
    system.partition("linux").send("die\n").unwrap();
    let error = system.partition("rtos").wait_for("never", 10 * SOON).unwrap_err();
    assert!(matches!(error, Error::Ended { end: None, .. }), "{error:?}");
    let Started(system, _) = &start("panics");
    system.partition("linux").send("panic\n").unwrap();
    let error = system.partition("rtos").wait_for("never", 10 * SOON).unwrap_err();
    assert!(matches!(&error, Error::Panic { line, .. } if line.ends_with("why")), "{error:?}");
    system.hypervisor().wait_for("^panic", SOON).unwrap();
}

#[test]
fn a_system_that_is_stopped_has_ended() {
    let Started(system, _) = &start("stopped");
    system.stop();
    assert!(matches!(system.wait_for_end(SOON), Err(Error::Ended { end: None, .. })));
}
