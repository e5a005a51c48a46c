// SPDX-License-Identifier: MIT OR Apache-2.0
//! The console of a whole machine: guests' lines, and who gets what is typed.

use crate::rig::{Rig, read};
use kernel::arch::{Event, Reply, device};
use kernel::console::PROMPT_NS;
use kernel::exit::Power;

/// What a guest reads from its terminal, until there is nothing more.
fn typed(rig: &Rig, partition: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        for reply in rig.play(partition, 0, &[read(device::TERMINAL); 32]) {
            match reply {
                Reply::Access(u64::MAX) => return bytes,
                Reply::Access(byte) => bytes.push(u8::try_from(byte).expect("a byte")),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn a_guests_line_is_shown_when_it_is_complete() {
    let rig = Rig::pair();
    rig.print(1, b"hello");
    assert_eq!(rig.console(), "");
    rig.print(1, b" world\n");
    assert_eq!(rig.console(), "[other] hello world\r\n");
}

#[test]
fn a_prompt_is_shown_after_50_ms() {
    let rig = Rig::pair();
    rig.print(0, b"~ # ");
    rig.machine.advance(PROMPT_NS - 8);
    rig.settle();
    assert_eq!(rig.console(), "");
    rig.machine.advance(8);
    rig.settle();
    assert_eq!(rig.console(), "[three] ~ # ");
}

#[test]
fn what_is_typed_reaches_the_partition_in_focus_only() {
    let rig = Rig::pair();
    rig.machine.type_in(b"ls\r");
    assert_eq!(typed(&rig, 1), b"");
    assert_eq!(typed(&rig, 0), b"ls\r");
}

#[test]
fn the_escape_key_moves_the_focus() {
    let rig = Rig::pair();
    rig.machine.type_in(b"a\x1d1b\x1dnc\x1dnd\x1d0e");
    rig.settle();
    let console = rig.console();
    let focus = "[bulkhead] focus: ";
    assert_eq!(
        console,
        [focus, "other\r\n", focus, "three\r\n", focus, "other\r\n", focus, "three\r\n"].concat()
    );
    assert_eq!(typed(&rig, 0), b"ace");
    assert_eq!(typed(&rig, 1), b"bd");
}

#[test]
fn an_escape_to_nobody_changes_nothing_and_a_second_one_passes() {
    let rig = Rig::pair();
    rig.machine.type_in(b"\x1d9\x1d\x1dx\x1d");
    rig.settle();
    rig.machine.type_in(b"z");
    assert_eq!(typed(&rig, 0), b"\x1dxz");
    assert_eq!(rig.console(), "");
}

#[test]
fn input_interrupts_the_cpu_of_the_partition_in_focus() {
    let rig = Rig::pair();
    rig.machine.type_in(b"\x1d1");
    rig.settle();
    rig.machine.type_in(b"q");
    assert!(!rig.machine.is_waiting(3), "CPU 3 was not interrupted");
    assert!(rig.machine.is_waiting(0));
    assert_eq!(typed(&rig, 1), b"q");
}

#[test]
fn a_flood_of_input_is_bounded_and_taken_in_pieces() {
    let rig = Rig::pair();
    rig.machine.type_in(&[b'k'; 1000]);
    rig.settle();
    let kicks = rig.events(|event| matches!(event, Event::Kicked { .. }));
    assert!(kicks.len() <= 1000);
    assert_eq!(typed(&rig, 0), vec![b'k'; 256]);
}

#[test]
fn a_restart_forgets_what_was_typed() {
    let rig = Rig::pair();
    rig.machine.type_in(b"old");
    rig.settle();
    rig.power(0, 0, Power::SystemReset);
    assert_eq!(typed(&rig, 0), b"");
    rig.machine.type_in(b"new");
    assert_eq!(typed(&rig, 0), b"new");
}

#[test]
fn a_guests_last_words_are_shown_though_their_line_is_unfinished() {
    let rig = Rig::pair();
    rig.power(1, 0, Power::SystemOff);
    let _ = rig.console();
    rig.print(0, b"panic: no init");
    rig.power(0, 0, Power::SystemOff);
    assert!(rig.machine.is_off());
    let console = rig.console();
    assert!(
        console.starts_with("[three] panic: no init\r\n[bulkhead] three: off\r\n"),
        "{console}"
    );
}

#[test]
fn a_uart_that_takes_nothing_stops_nobody() {
    let rig = Rig::pair();
    rig.machine.set_room(0);
    let lines = if cfg!(miri) { 3_usize } else { 60 };
    for _ in 0..lines {
        rig.print(0, &[b'x'; 170]);
        rig.print(0, b"\n");
    }
    assert_eq!(rig.play(1, 0, &[read(device::SCRATCH)]), [Reply::Access(!0)]);
    assert_eq!(rig.play(0, 0, &[read(device::TERMINAL_SPACE)]).len(), 1);
    rig.machine.set_room(usize::MAX);
    for _ in 0..lines.div_ceil(2) {
        rig.machine.advance(PROMPT_NS);
        rig.settle();
    }
    let console = rig.console();
    assert!(
        console
            .lines()
            .all(|line| line.starts_with("[three] x") || line.starts_with("[bulkhead] three: ")),
        "{console}"
    );
}
