// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whatever guests write, every line on the screen starts with the tag of its
//! writer: shown on a screen that does what real ones do with CR, BS and TAB.

use crate::rig::text;
use kernel::arch::{Machine, Serial};
use kernel::console;
use kernel::terminal::Terminal;
use proptest::prelude::*;

const TAGS: [&str; 2] = ["alpha", "beta"];
/// What only the guest with this index writes.
const MARKS: [u8; 2] = [b'~', b'{'];

/// The rows of a screen without a right edge.
#[derive(Default)]
struct Screen {
    rows: Vec<Vec<u8>>,
    row: Vec<u8>,
    column: usize,
}

impl Screen {
    fn show(&mut self, byte: u8) {
        match byte {
            b'\n' => {
                let row = std::mem::take(&mut self.row);
                self.rows.push(row);
            }
            b'\r' => self.column = 0,
            0x08 => self.column = self.column.saturating_sub(1),
            b'\t' => self.column = (self.column / 8 + 1) * 8,
            0x20..=0x7e => {
                let len = self.row.len().max(self.column + 1);
                self.row.resize(len, b' ');
                self.row[self.column] = byte;
                self.column += 1;
            }
            _ => panic!("{byte:#x} reached the screen"),
        }
    }

    /// Whether the row under the cursor has a tag, or the beginning of one.
    fn is_tagged(&self) -> bool {
        let row = self.row.as_slice();
        let tags: [&[u8]; 3] = [b"[alpha] ", b"[beta] ", b"[bulkhead] "];
        tags.iter().any(|tag| row.starts_with(tag) || tag.starts_with(row))
    }
}

/// No row shows what its tag's owner did not write.
fn assert_honest(output: &[u8]) {
    let mut screen = Screen::default();
    for byte in output {
        screen.show(*byte);
        assert!(screen.is_tagged(), "{:?}", text(&screen.row));
    }
    let last = std::mem::take(&mut screen.row);
    for row in screen.rows.into_iter().chain([last]) {
        if row.is_empty() {
            continue;
        }
        let foreign: &[u8] = match row.get(1) {
            Some(b'a') => &MARKS[1..],
            _ if row.starts_with(b"[beta] ") => &MARKS[..1],
            _ => &MARKS,
        };
        assert!(!row.iter().any(|byte| foreign.contains(byte)), "{:?}", text(&row));
        if let Some(said) = row.strip_prefix(b"[bulkhead] ") {
            let dropped = said.ends_with(b" console bytes dropped, written to a full FIFO");
            let lost = said.ends_with(b" lines lost");
            assert!(said == b"said" || dropped || lost, "{:?}", text(&row));
        }
    }
}

/// Two guests at one console.
struct Pair {
    machine: &'static Machine,
    terminals: [Terminal; 2],
}

impl Pair {
    fn new() -> Self {
        let machine = Machine::start();
        console::start(Serial::new(kernel::console::Line::Console), kernel::console::Line::Console);
        Self { machine, terminals: [Terminal::new(), Terminal::new()] }
    }

    fn write(&mut self, who: usize, bytes: &[u8]) {
        for byte in bytes {
            self.terminals[who].write(*byte);
            self.terminals[who].written(who, TAGS[who]);
        }
    }

    fn focus(&mut self, who: Option<usize>) {
        for (number, terminal) in self.terminals.iter_mut().enumerate() {
            terminal.set_focus(who == Some(number));
        }
    }

    fn deadline(&mut self) {
        console::pump();
        for (number, terminal) in self.terminals.iter_mut().enumerate() {
            let _ = terminal.deadline(number, TAGS[number]);
        }
    }

    /// Everything that was shown, once the UART takes bytes again.
    fn output(&mut self) -> Vec<u8> {
        self.machine.set_room(usize::MAX);
        for _ in 0..40 {
            self.deadline();
        }
        self.machine.sent()
    }
}

#[test]
fn each_line_has_its_writers_tag() {
    let mut pair = Pair::new();
    pair.write(0, b"one\ntw");
    pair.write(1, b"three\r\n");
    pair.write(0, b"o\n");
    assert_eq!(text(&pair.output()), "[alpha] one\r\n[beta] three\r\n[alpha] two\r\n");
}

#[test]
fn a_line_that_was_interrupted_is_shown_again_from_its_start() {
    let mut pair = Pair::new();
    pair.write(0, b"pass");
    pair.deadline();
    console::say(format_args!("said"));
    pair.write(0, b"word\n");
    let expected = "[alpha] pass\r\n[bulkhead] said\r\n[alpha] password\r\n";
    assert_eq!(text(&pair.output()), expected);
}

#[test]
fn control_characters_become_text() {
    let mut pair = Pair::new();
    pair.write(0, b"\x1b[2J\x00\x07\x7f\x80\xff\x9b\x0b\x0c\n");
    pair.write(0, b"a\tb\x08c\rd\n");
    let expected = "[alpha] ^[[2J^@^G^?\\x80\\xff\\x9b^K^L\r\n[alpha] a^Ib^Hc^Md\r\n";
    assert_eq!(text(&pair.output()), expected);
}

#[test]
fn in_focus_bs_stops_at_the_tag_and_cr_writes_it_again() {
    let mut pair = Pair::new();
    pair.focus(Some(0));
    pair.write(0, b"ab\x08\x08\x08\x08\x08c\td\n");
    assert_eq!(text(&pair.output()), "[alpha] ab\x08\x08c\td\r\n");
    pair.write(0, b"50%");
    pair.deadline();
    pair.write(0, b"\r[bulkhead] end: ok\n");
    assert_eq!(text(&pair.output()), "[alpha] 50%\r[alpha] [bulkhead] end: ok\r\n");
}

#[test]
fn a_forged_tag_is_only_text() {
    let mut pair = Pair::new();
    pair.write(0, b"[bulkhead] end: ok\n\n[beta] {\n");
    pair.write(0, b"x\r\n[bulkhead] said\r\r\r\n");
    assert!(text(&pair.output()).lines().all(|line| line.starts_with("[alpha] ")));
}

#[test]
fn bs_after_a_long_line_was_cut_cannot_reach_the_new_tag() {
    let mut pair = Pair::new();
    pair.focus(Some(0));
    pair.write(0, &[b'a'; 189]);
    console::say(format_args!("said"));
    pair.write(0, &[0x08; 60]);
    pair.write(0, b"[bulkhead] ~");
    assert_honest(&pair.output());
}

#[test]
fn an_unfinished_line_is_kept_for_50_ms() {
    let mut pair = Pair::new();
    pair.write(0, b"login: ");
    pair.machine.advance(console::PROMPT_NS - 8);
    assert!(!pair.machine.on(0, kernel::arch::interrupt_pending).expect("no unwinding"));
    pair.machine.advance(8);
    assert!(pair.machine.on(0, kernel::arch::interrupt_pending).expect("no unwinding"));
    assert_eq!(text(&pair.machine.sent()), "");
    assert_eq!(text(&pair.output()), "[alpha] login: ");
}

#[test]
fn a_guest_that_waits_for_space_loses_nothing_on_a_slow_uart() {
    let lines = if cfg!(miri) { 4 } else { 400 };
    let mut pair = Pair::new();
    let mut shown = Vec::new();
    let mut expected = String::new();
    for number in 0..lines {
        let line = format!("line {number} of a guest that waits for space before every byte");
        expected += &format!("[alpha] {line}\r\n");
        for byte in line.bytes().chain([b'\n']) {
            while !pair.terminals[0].has_space() {
                pair.machine.set_room(16);
                pair.deadline();
                shown.extend(pair.machine.sent());
            }
            pair.write(0, &[byte]);
            pair.machine.set_room(0);
        }
    }
    shown.extend(pair.output());
    assert_eq!(text(&shown), expected);
}

#[test]
#[cfg_attr(miri, ignore = "fills the ring byte by byte")]
fn bytes_written_to_a_full_fifo_are_dropped_and_counted() {
    let mut pair = Pair::new();
    pair.machine.set_room(0);
    let line = [b'x'; 150];
    let lines = 200;
    for _ in 0..lines {
        pair.write(0, &line);
        pair.write(0, b"\n");
    }
    let shown = text(&pair.output());
    let kept: usize =
        shown.lines().filter(|line| line.starts_with("[alpha] ")).map(|line| line.len() - 8).sum();
    let ends = shown.lines().filter(|line| line.starts_with("[alpha] ")).count();
    let told: usize = shown
        .lines()
        .filter_map(|line| line.strip_prefix("[bulkhead] alpha: "))
        .filter_map(|line| line.strip_suffix(" console bytes dropped, written to a full FIFO"))
        .map(|count| count.parse::<usize>().expect("a number"))
        .sum();
    assert!(told > 0);
    assert_eq!(kept + ends + told, lines * (line.len() + 1));
}

#[test]
#[cfg_attr(miri, ignore = "fills the ring byte by byte")]
fn the_hypervisors_lines_are_whole_and_have_room_even_if_guests_flood() {
    let mut pair = Pair::new();
    pair.machine.set_room(0);
    for _ in 0..100 {
        pair.write(0, &[b'x'; 150]);
        pair.write(0, b"\n");
    }
    console::say(format_args!("said"));
    assert!(
        text(&pair.output()).contains("[bulkhead] said\r\n"),
        "a guest silenced the hypervisor"
    );
    pair.machine.set_room(0);
    for _ in 0..2000 {
        console::say(format_args!("said"));
    }
    let output = pair.output();
    assert_honest(&output);
    console::say(format_args!("said"));
    let after = text(&pair.output());
    assert!(after.contains(" lines lost\r\n[bulkhead] said\r\n"), "{after}");
}

#[test]
#[cfg_attr(miri, ignore = "writes 64 KiB byte by byte")]
fn a_guest_over_its_rate_sees_a_full_fifo_until_it_may_go_on() {
    let mut pair = Pair::new();
    let (mut taken, mut seconds) = (0u64, 0);
    while seconds < 10 {
        if pair.terminals[0].has_space() {
            pair.write(0, if taken % 64 == 63 { b"\n" } else { b"x" });
            taken += 1;
        } else {
            pair.machine.advance(1_000_000_000);
            pair.deadline();
            seconds += 1;
        }
    }
    // 64 KiB at once, and 32 KiB in each second.
    assert!(taken <= (64 + 32 * 10) * 1024, "{taken} bytes in ten seconds");
    assert!(taken >= (64 + 31 * 8) * 1024, "{taken} bytes in ten seconds");
    assert_eq!(pair.terminals[0].take_dropped(), 0);
}

#[test]
fn what_is_typed_is_kept_in_order_and_bounded() {
    let mut terminal = Terminal::new();
    let taken = (0..1000u32).filter(|byte| terminal.typed(byte.to_le_bytes()[0])).count();
    assert_eq!(taken, 256);
    for byte in 0..=255 {
        assert_eq!(terminal.next_typed(), Some(byte));
        terminal.take_typed();
    }
    terminal.take_typed();
    assert_eq!(terminal.next_typed(), None);
    assert!(terminal.typed(7));
    terminal.reset();
    assert_eq!(terminal.next_typed(), None);
}

#[derive(Clone, Debug)]
enum Step {
    Write(usize, Vec<u8>),
    Say,
    Focus(Option<usize>),
    Deadline,
    Advance(u64),
    Room(usize),
}

fn bytes(who: usize) -> impl Strategy<Value = Vec<u8>> {
    let foreign = MARKS[1 - who];
    let byte = prop_oneof![
        3 => any::<u8>(),
        3 => Just(MARKS[who]),
        2 => Just(0x08),
        2 => Just(b'\r'),
        1 => Just(b'\n'),
        1 => Just(b'\t'),
        1 => Just(b'['),
    ];
    let byte = byte.prop_map(move |byte| if byte == foreign { b'-' } else { byte });
    let run = (byte.clone(), 1..200usize).prop_map(|(byte, count)| vec![byte; count]);
    prop_oneof![3 => prop::collection::vec(byte, 0..60), 1 => run]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => bytes(0).prop_map(|bytes| Step::Write(0, bytes)),
        4 => bytes(1).prop_map(|bytes| Step::Write(1, bytes)),
        1 => Just(Step::Say),
        2 => prop::option::of(0..2usize).prop_map(Step::Focus),
        2 => Just(Step::Deadline),
        1 => (0..1u64 << 34).prop_map(Step::Advance),
        1 => prop_oneof![Just(usize::MAX), 0..300usize].prop_map(Step::Room),
    ]
}

proptest! {
    #![proptest_config(crate::rig::cases(500))]

    #[test]
    fn no_sequence_of_writes_forges_a_line(
        steps in prop::collection::vec(step(), 1..if cfg!(miri) { 8 } else { 40 }),
    ) {
        let mut pair = Pair::new();
        for step in steps {
            match step {
                Step::Write(who, bytes) => pair.write(who, &bytes),
                Step::Say => console::say(format_args!("said")),
                Step::Focus(who) => pair.focus(who),
                Step::Deadline => pair.deadline(),
                Step::Advance(time) => pair.machine.advance(time),
                Step::Room(bytes) => pair.machine.set_room(bytes),
            }
        }
        assert_honest(&pair.output());
    }
}
