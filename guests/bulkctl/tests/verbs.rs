// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every verb against a server: what it prints, as text and as JSON, what it
//! does to the machine, and how it fails.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop")]
#![allow(clippy::panic, reason = "a test may stop")]

mod machine;

use abi::mailbox::answer::Answer;
use abi::mailbox::event::{Event, Kind};
use abi::mailbox::request::{Order, Request};
use abi::mailbox::rights::{Asker, Rights, Set};
use abi::mailbox::state::State;
use abi::records::{U16, U64};
use bulkctl::error::{Error, FAILED, TIMEOUT, USAGE};
use bulkctl::link::{Broken, Link};
use bulkctl::person::Person;
use bulkctl::verbs::{self, Options, Verb};
use clap::Parser;
use machine::{Machine, NAMES, RECORD};
use serde_json::{Value, json};
use std::io::{Cursor, Read};
use std::time::Duration;
use zerocopy::IntoBytes;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    verb: Verb,
}

/// A link that loses the first answers.
struct Direct<'a> {
    machine: &'a mut Machine,
    lost: u32,
    asked: u32,
}

impl Link for Direct<'_> {
    fn ask(&mut self, request: &Request, _: Duration) -> Result<Answer, Broken> {
        self.asked += 1;
        let answer = self.machine.answer(request.as_bytes());
        if self.asked <= self.lost {
            return Err(Broken::Silent);
        }
        Ok(answer)
    }
}

/// Types a line at a machine, with keys behind it, over a link that loses answers.
fn typed(
    machine: &mut Machine,
    line: &str,
    keys: &'static [u8],
    lost: u32,
) -> Result<String, Error> {
    let words = std::iter::once("ctl").chain(line.split_whitespace());
    let Line { options, verb } = Line::try_parse_from(words).unwrap();
    let mut out = Vec::new();
    let mut person = Person {
        out: &mut out,
        terminal: false,
        screen: false,
        keys: Box::new(move || Box::new(Cursor::new(keys))),
    };
    let mut link = Direct { machine, lost, asked: 0 };
    verbs::run(&verb, &options, &mut link, &mut person)?;
    Ok(String::from_utf8(out).unwrap())
}

fn ctl(machine: &mut Machine, line: &str) -> Result<String, Error> {
    typed(machine, line, b"", 0)
}

/// The values that a verb prints as JSON, one a line.
fn values(machine: &mut Machine, line: &str) -> Vec<Value> {
    let text = ctl(machine, &format!("{line} --json")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn failure(machine: &mut Machine, line: &str) -> (u8, String) {
    let error = ctl(machine, line).unwrap_err();
    (error.status(), error.to_string())
}

#[test]
fn the_list_has_every_partition_also_over_several_answers() {
    let mut machine = Machine::new();
    let text = ctl(&mut machine, "list").unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 1 + NAMES.len(), "{text}");
    assert!(lines[0].starts_with("NAME    STATE"), "{text}");
    assert!(lines[3].starts_with("driver  failed       2         2  observe console"), "{text}");
    let rows = &values(&mut machine, "list")[0];
    let first = json!({
        "name": "linux", "state": "running", "vcpus": 2, "restarts": 0,
        "rights": ["observe", "console", "control"], "own": false,
    });
    assert_eq!(rows[0], first);
    assert_eq!(rows.as_array().unwrap().len(), NAMES.len());
}

#[test]
fn whom_one_may_not_observe_has_a_name_and_no_state() {
    let mut machine = Machine::new();
    machine.asker = Asker { own: Some(1), rights: Rights::default() };
    let rows = &values(&mut machine, "list")[0];
    assert_eq!(rows[0]["state"], Value::Null);
    assert_eq!(rows[1]["state"], "running");
    assert_eq!(rows[1]["own"], true);
    let text = ctl(&mut machine, "list").unwrap();
    assert!(text.contains("\nlinux   -"), "{text}");
    assert!(text.contains("\nrtos *  running"), "{text}");
    let frame = &values(&mut machine, "top --once --every 1ms")[0];
    assert_eq!(frame["machine"], Value::Null);
    assert_eq!(frame["partitions"].as_array().unwrap().len(), 1);
}

#[test]
fn the_machine_and_a_partition_are_shown() {
    let mut machine = Machine::new();
    let text = ctl(&mut machine, "show").unwrap();
    assert!(text.contains("board       fake, aarch64\n"), "{text}");
    assert!(text.contains("memory      2 GiB\n"), "{text}");
    assert_eq!(values(&mut machine, "show")[0]["cpus"], 4);

    let text = ctl(&mut machine, "show driver").unwrap();
    for line in [
        "partition   driver, row 2",
        "state       failed",
        "ended       at 0: crash",
        "restarts    0, by its policy on crash, watchdog, 3 left",
        "watchdog    2.000 s, 500.0 ms left",
        "longest exit 12.3 us; latest timer 12.3 us",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let view = &values(&mut machine, "show driver")[0];
    assert_eq!(view["watchdog"], json!({ "time_ns": 2_000_000_000_u64, "left_ns": 500_000_000 }));
    assert_eq!(view["statistics"]["dropped"], 7);
    let exit_time = &view["vcpus"][1]["exit_time"];
    assert_eq!(exit_time["count"], 10);
    assert_eq!(exit_time["buckets"][0], json!({ "below_ns": 250.0, "count": 9 }));
    assert_eq!(exit_time["buckets"][1], json!({ "below_ns": null, "count": 1 }));
}

#[test]
fn changes_are_carried_out_once_and_tell_the_state() {
    let cases = [
        ("start driver", Order::Start, 2, "driver: starting\n"),
        ("stop rtos --within 500ms", Order::Stop(500_000_000), 1, "rtos: stopping\n"),
        ("kill linux", Order::Kill, 0, "linux: ending\n"),
        ("restart rtos", Order::Restart, 1, "rtos: ending\n"),
        ("pause rtos", Order::Pause, 1, "rtos: paused\n"),
        ("inject linux --vcpu 1", Order::Inject(1), 0, "linux: running\n"),
        ("reboot", Order::Reboot, abi::mailbox::rights::MACHINE, ""),
        ("power-off", Order::PowerOff, abi::mailbox::rights::MACHINE, ""),
    ];
    for (line, order, member, text) in cases {
        let mut machine = Machine::new();
        assert_eq!(ctl(&mut machine, line).unwrap(), text, "{line}");
        let done = machine.done.iter().filter(|done| **done == (order, member));
        assert_eq!(done.count(), 1, "{line}");
    }
    let mut machine = Machine::new();
    machine.states[1] = State::Paused;
    assert_eq!(
        values(&mut machine, "resume rtos")[0],
        json!({ "partition": "rtos", "state": "running", "restarts": 4 })
    );
}

#[test]
fn the_log_is_printed_to_its_end() {
    let mut machine = Machine::new();
    let text = ctl(&mut machine, "log").unwrap();
    assert_eq!(text.lines().count(), 5, "{text}");
    assert!(text.starts_with("    1.500000  linux: started\n"), "{text}");
    assert!(text.ends_with("rtos: crashed: crash\n"), "{text}");
    let events = values(&mut machine, "log");
    assert_eq!(events[3]["kind"], "crashed");
    assert_eq!(events[3]["partition"], "linux");
    machine.events[0].kind = U16::new(999);
    let events = values(&mut machine, "log");
    assert_eq!((&events[0]["kind"], &events[0]["kind_number"]), (&Value::Null, &json!(999)));
}

#[test]
fn fault_records_are_told_of_all_or_one() {
    let mut machine = Machine::new();
    let text = ctl(&mut machine, "faults").unwrap();
    assert!(text.starts_with("driver:\n  data abort at 0x40080000\n  pc 0x40100004\n"), "{text}");
    assert!(text.contains("the hypervisor, before the last reset:\n  0000  fe fe"), "{text}");
    let driver = json!({ "partition": "driver", "before_reset": false, "text": RECORD });
    assert_eq!(values(&mut machine, "faults driver"), [driver]);
    assert_eq!(ctl(&mut machine, "faults rtos").unwrap(), "no fault records\n");
    machine.asker = Asker { own: Some(2), rights: Rights::default() };
    assert_eq!(values(&mut machine, "faults").len(), 1);
    assert_eq!(failure(&mut machine, "faults rtos").0, FAILED);
}

#[test]
fn top_prints_one_frame_without_a_terminal() {
    let mut machine = Machine::new();
    let text = ctl(&mut machine, "top --every 1ms").unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2 + NAMES.len(), "{text}");
    assert!(lines[0].starts_with("fake, aarch64, Bulkhead 0.1.0: up "), "{text}");
    assert!(lines[1].starts_with("NAME    STATE    CPU%  EXITS/s  interrupt  memory"), "{text}");
    let frame = &values(&mut machine, "top --once --every 1ms")[0];
    let linux = &frame["partitions"][0];
    assert_eq!(linux["cpu_percent"], 50.0);
    // Two vCPUs, a thousand each between two steps of the fake clock.
    let memory = linux["exits_per_s"]["memory"].as_f64().unwrap();
    assert!((1990.0..=2010.0).contains(&memory), "{memory}");
    assert_eq!(linux["worst_exit_ns"], 12_345);
}

#[test]
fn a_consoles_end_is_shown_and_keys_are_typed_until_they_end() {
    let mut machine = Machine::new();
    machine.console = b"boot ".repeat(200);
    let text = typed(&mut machine, "console linux", b"uname -a; reboot\n\x01\x01", 0).unwrap();
    assert_eq!(machine.typed, b"uname -a; reboot\n\x01");
    assert!(text.starts_with("boot boot ") && text.len() < 500, "{text}");
    assert!(text.ends_with("boot uname -a; reboot\n\x01"), "{text}");
}

#[test]
fn ctrl_a_x_leaves_a_console_at_once() {
    let mut machine = Machine::new();
    let text = typed(&mut machine, "console linux", b"\x01x", 0).unwrap();
    assert_eq!((text.as_str(), machine.typed.len()), ("", 0));
}

#[test]
fn what_is_refused_is_told_with_a_cure() {
    let mut machine = Machine::new();
    let (status, text) = failure(&mut machine, "kill nobody");
    assert_eq!(status, USAGE);
    assert_eq!(text, "there is no partition nobody; there are: linux, rtos, driver");
    let (status, text) = failure(&mut machine, "resume rtos");
    assert_eq!(status, FAILED);
    assert_eq!(text, "rtos is running: no `resume` in that state");
    machine.states[0] = State::Starting;
    let (_, text) = failure(&mut machine, "kill linux");
    assert_eq!(text, "linux is starting, which ends by itself: try again");
    assert_eq!(failure(&mut machine, "inject rtos --vcpu 9").1, "rtos has 2 vCPUs; the first is 0");

    let mut control = Set::default();
    control.add(1);
    machine.asker = Asker { own: Some(0), rights: Rights { control, ..Rights::default() } };
    assert_eq!(ctl(&mut machine, "pause rtos").unwrap(), "rtos: paused\n");
    let (status, text) = failure(&mut machine, "pause driver");
    assert_eq!(status, FAILED);
    assert_eq!(
        text,
        "driver: `pause` needs the right `control`; the manifest gives it to a partition with \
         `mailbox = { control = [\"driver\"] }`"
    );
    let (_, text) = failure(&mut machine, "power-off");
    assert!(text.contains("mailbox = { control = true }"), "{text}");
    assert_eq!(machine.denied, 2);
}

#[test]
fn a_lost_answer_is_asked_for_again_unless_that_could_act_twice() {
    let mut machine = Machine::new();
    assert!(typed(&mut machine, "list", b"", 2).is_ok());
    let error = typed(&mut machine, "list --patience 1.5s", b"", 3).unwrap_err();
    assert_eq!(error.status(), TIMEOUT);
    let text = error.to_string();
    assert!(text.starts_with("no answer to `hello` within 1.5 s, asked 3 times: "), "{text}");
    assert!(text.contains("--patience"), "{text}");

    /// Loses the answers to what changes something.
    struct Deaf<'a>(&'a mut Machine);
    impl Link for Deaf<'_> {
        fn ask(&mut self, request: &Request, _: Duration) -> Result<Answer, Broken> {
            let answer = self.0.answer(request.as_bytes());
            if request.message.get() == 9 { Err(Broken::Silent) } else { Ok(answer) }
        }
    }
    let Line { options, verb } = Line::try_parse_from(["ctl", "kill", "rtos"]).unwrap();
    let mut out = Vec::new();
    let mut person = Person {
        out: &mut out,
        terminal: false,
        screen: false,
        keys: Box::new(|| Box::new(std::io::empty())),
    };
    let mut machine = Machine::new();
    let error = verbs::run(&verb, &options, &mut Deaf(&mut machine), &mut person).unwrap_err();
    assert!(error.to_string().contains("whether it was done is not known"), "{error}");
    let kills = machine.done.iter().filter(|(order, _)| *order == Order::Kill);
    assert_eq!(kills.count(), 1);
}

/// A link to a machine in which something happens with each look, and which is gone after some.
struct Eventful {
    machine: Machine,
    left: u32,
}

impl Link for Eventful {
    fn ask(&mut self, request: &Request, _: Duration) -> Result<Answer, Broken> {
        self.left = self.left.checked_sub(1).ok_or(Broken::Gone("gone".to_owned()))?;
        let number = self.machine.events.len() as u64 + 1;
        self.machine
            .events
            .push(Event { number: U64::new(number), ..Event::new(Kind::Paused, Some(1)) });
        Ok(self.machine.answer(request.as_bytes()))
    }
}

#[test]
fn a_log_is_followed_until_the_machine_is_gone() {
    let mut link = Eventful { machine: Machine::new(), left: 9 };
    let Line { options, verb } = Line::try_parse_from(["ctl", "log", "--follow"]).unwrap();
    let mut out = Vec::new();
    let mut person = Person {
        out: &mut out,
        terminal: false,
        screen: false,
        keys: Box::new(|| Box::new(std::io::empty())),
    };
    let error = verbs::run(&verb, &options, &mut link, &mut person).unwrap_err();
    assert_eq!((error.status(), error.to_string()), (FAILED, "gone".to_owned()));
    let text = String::from_utf8(out).unwrap();
    // Five of before, and one for each of the nine requests: hello, two pages of the list, the log.
    assert_eq!(text.lines().count(), 14, "{text}");
    assert!(text.ends_with("rtos: paused\n"), "{text}");
}

#[test]
fn top_draws_frames_over_one_another_until_q() {
    /// Types q after a while.
    struct Slow;
    impl Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            std::thread::sleep(Duration::from_millis(300));
            buffer[0] = b'q';
            Ok(1)
        }
    }
    let mut machine = Machine::new();
    let Line { options, verb } = Line::try_parse_from(["ctl", "top", "--every", "20ms"]).unwrap();
    let mut out = Vec::new();
    let mut person =
        Person { out: &mut out, terminal: true, screen: true, keys: Box::new(|| Box::new(Slow)) };
    let mut link = Direct { machine: &mut machine, lost: 0, asked: 0 };
    verbs::run(&verb, &options, &mut link, &mut person).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with("\x1b[?1049h") && text.ends_with("\x1b[?1049l"), "{text}");
    let frames: Vec<&str> = text.split("\x1b[H").skip(1).collect();
    assert!(frames.len() >= 2, "{text}");
    assert!(frames.iter().all(|frame| frame.contains("\x1b[K\r\nNAME ")), "{text}");
}
