// SPDX-License-Identifier: MIT OR Apache-2.0
//! The host's side of the serial line, which keys and frames share: whatever
//! comes, keys reach the partition in focus, and whole requests are answered.

use crate::asking::{SECOND, about, answers, code, rows};
use crate::rig::{CONSOLE, Rig, cases, read, text};
use abi::crc32c::software;
use abi::mailbox::answer::Answer;
use abi::mailbox::frame::{Carries, ESCAPE, Input, Receiver, encode, encode_request};
use abi::mailbox::request::Request;
use abi::mailbox::state::{State, Step};
use abi::mailbox::{Code, Message, OWN};
use abi::records::{DeviceRecord, name};
use kernel::arch::{Reply, device};
use proptest::prelude::*;
use zerocopy::IntoBytes;

/// The bytes of a request as the host sends it.
fn framed(request: &Request) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_request(request.as_bytes(), software, &mut |byte| bytes.push(byte));
    bytes
}

/// What a guest reads from its terminal, until there is nothing more.
fn typed(rig: &Rig, partition: usize) -> Vec<u8> {
    let keys = rig.play(partition, 0, &[read(device::TERMINAL); 257]);
    let keys = keys.iter().map_while(|reply| match reply {
        Reply::Access(byte) => u8::try_from(*byte).ok(),
        other => panic!("{other:?}"),
    });
    keys.collect()
}

/// What comes of bytes that are typed: keys of the first partition, and answers.
fn come_of(bytes: &[u8]) -> (Vec<u8>, Vec<Answer>) {
    let rig = Rig::pair();
    rig.machine.type_in(bytes);
    rig.settle();
    let answers = answers(&rig.console());
    (typed(&rig, 0), answers)
}

fn hello(number: u32) -> Request {
    Request { number: number.into(), ..Request::hello() }
}

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn a_request_is_answered_between_keys_and_leaves_none_behind() {
    let bytes = [b"ab".to_vec(), framed(&hello(7)), b"cd".to_vec(), framed(&hello(8))].concat();
    let (keys, answers) = come_of(&bytes);
    assert_eq!(keys, b"abcd");
    let numbers: Vec<u32> = answers.iter().map(|answer| answer.number.get()).collect();
    assert_eq!(numbers, [7, 8]);
    assert!(answers.iter().all(|answer| code(answer) == Code::Ok));
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn a_request_is_answered_whatever_came_before_it() {
    let befores: [&[u8]; 7] =
        [b"\x1d", b"\x1d:", b"\x1d:AAAA", b"\x1d:AAAA\x1d", b"\x1d:!", b"\x1d\x1d", &[b'A'; 100]];
    for before in befores {
        let (_, answers) = come_of(&[before, &framed(&hello(9))].concat());
        assert_eq!(answers.len(), 1, "{before:?}");
        assert_eq!(answers[0].number.get(), 9);
    }
}

/// Two partitions, and a UART for the host with registers there.
fn managed(at: u64) -> Rig {
    let mut draft = rows(&["one", "two"]);
    draft.management = DeviceRecord {
        name: name("uart").expect("short"),
        host: at.into(),
        guest: at.into(),
        size: 0x1000.into(),
        interrupts: [7.into(), 0.into(), 0.into(), 0.into()],
        ..DeviceRecord::default()
    };
    Rig::running(draft)
}

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn a_uart_that_the_console_has_is_not_taken_for_the_host_too() {
    let rig = managed(CONSOLE);
    assert!(!rig.machine.has_host_line());
    rig.machine.type_in(&framed(&hello(8)));
    rig.settle();
    assert_eq!(answers(&rig.console()).len(), 1);
    assert!(managed(0x4000).machine.has_host_line());
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn the_host_is_answered_on_a_line_of_its_own_where_nobody_can_type() {
    let rig = managed(0x4000);
    let request = framed(&hello(7));
    rig.machine.send_in(&[b"keys\r\x1d1".to_vec(), request.clone(), b"\x1d:AA!".to_vec()].concat());
    rig.settle();
    let numbers = |console: &str| -> Vec<u32> {
        answers(console).iter().map(|answer| answer.number.get()).collect()
    };
    assert_eq!(numbers(&text(&rig.machine.sent_to_host())), [7]);
    assert_eq!((rig.console(), typed(&rig, 0), typed(&rig, 1)), (String::new(), vec![], vec![]));
    // Who sits at the console may ask too, and is answered there.
    rig.machine.type_in(&framed(&hello(8)));
    rig.settle();
    assert_eq!((numbers(&rig.console()), rig.machine.sent_to_host()), (vec![8], vec![]));
    // More requests than the line has room for: each is answered whole or not at all.
    rig.machine.set_room(0);
    rig.machine.send_in(&request.repeat(100));
    rig.settle();
    rig.machine.set_room(usize::MAX);
    for _ in 0..20 {
        rig.machine.advance(SECOND);
        rig.settle();
    }
    let told = numbers(&text(&rig.machine.sent_to_host()));
    assert!((2..100).contains(&told.len()) && told.iter().all(|number| *number == 7), "{told:?}");
}

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn what_breaks_a_frame_is_a_key_again() {
    let rig = Rig::pair();
    // An escape key in a frame, and its command; then keys.
    rig.machine.type_in(b"\x1d:AAA\x1d1keys");
    rig.settle();
    assert_eq!(rig.console(), "[bulkhead] focus: other\r\n");
    assert_eq!((typed(&rig, 1), typed(&rig, 0)), (b"keys".to_vec(), vec![]));
    rig.machine.type_in(b"\x1d:AAA more\r");
    assert_eq!(typed(&rig, 1), b" more\r");
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there; abi's own tests run the same code under Miri")]
fn a_damaged_request_is_not_answered_and_does_nothing() {
    let kill = framed(&about(Message::Kill, 1));
    let start = kill.iter().rposition(|byte| *byte == ESCAPE).expect("a sync") + 2;
    for at in (start..kill.len() - 1).step_by(if cfg!(miri) { 20 } else { 1 }) {
        let rig = Rig::pair();
        let mut damaged = kill.clone();
        damaged[at] = if damaged[at] == b'B' { b'C' } else { b'B' };
        rig.machine.type_in(&damaged);
        rig.settle();
        assert_eq!(rig.console(), "", "byte {at}");
        assert_eq!(rig.partition(1).state(), State::Running, "byte {at}");
        assert_eq!(typed(&rig, 0), b"");
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn an_answer_or_event_that_comes_in_is_nothing() {
    for carries in [Carries::Answer, Carries::Event] {
        let mut bytes = vec![ESCAPE, b':'];
        encode(carries, hello(3).as_bytes(), software, &mut |byte| bytes.push(byte));
        bytes.push(b'\r');
        assert_eq!(come_of(&bytes), (vec![], vec![]));
    }
}

#[test]
fn the_host_has_no_partition_of_its_own_and_no_ring_for_events() {
    let rig = Rig::pair();
    let own = rig.ask(&Request::new(Message::Kill, OWN));
    assert_eq!(code(&own), Code::NoPartition);
    let subscribe = rig.ask(&Request::new(Message::Subscribe, OWN).first(2));
    assert_eq!(code(&subscribe), Code::Unsupported);
}

#[test]
#[cfg_attr(miri, ignore = "takes about a minute there")]
fn a_flood_of_frames_is_taken_in_pieces() {
    let rig = Rig::pair();
    // While the guest is not entered, a turn is one interrupt.
    rig.order(Message::Pause, 0);
    let flood: Vec<u8> = (0..50).flat_map(|number| framed(&hello(number))).collect();
    rig.machine.type_in(&flood);
    let mut console = String::new();
    while !rig.machine.is_waiting(0) {
        rig.turn(0).expect("the machine is on");
        let more = rig.console();
        assert!(answers(&more).len() <= 1, "{more}");
        console += &more;
    }
    assert_eq!(answers(&console).len(), 50);
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    let letters = "[A-Za-z0-9+/]{0,24}".prop_map(String::into_bytes);
    let messages = prop::sample::select(vec![
        Message::Hello,
        Message::List,
        Message::Statistics,
        Message::ConsoleRead,
        Message::Log,
        Message::Pause,
        Message::Resume,
    ]);
    prop_oneof![
        2 => prop::collection::vec(any::<u8>(), 0..10),
        2 => letters,
        2 => prop::sample::select(vec![&b"\x1d"[..], b"\x1d:", b"\r", b"\x1d:\r", b"\x1dn", b"\x1d1", b"\x1d0"])
            .prop_map(<[u8]>::to_vec),
        3 => (messages, 0..3_usize, any::<u64>()).prop_map(|(message, partition, first)| {
            framed(&about(message, partition).first(first % 10))
        }),
        1 => (any::<[u8; 64]>()).prop_map(|bytes| {
            // Its message stays one that ends nobody.
            let request = Request::read(&bytes).unwrap_or_else(|(request, _)| request);
            framed(&Request { message: (request.message.get() % 7).into(), ..request })
        }),
        1 => (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| {
            let mut frame = framed(&Request::hello());
            *at.get_mut(&mut frame) = byte;
            frame
        }),
    ]
}

proptest! {
    #![proptest_config(cases(150))]

    /// What abi's receiver makes of the same bytes is what happens.
    #[test]
    #[cfg_attr(miri, ignore = "takes minutes there; abi's own tests run the same code under Miri")]
    fn any_bytes_are_keys_commands_or_answered_requests(
        pieces in prop::collection::vec(piece(), 0..12),
    ) {
        let rig = Rig::pair();
        let (mut receiver, mut focus) = (Receiver::new(), 0);
        let (mut keys, mut requests) = ([Vec::new(), Vec::new()], 0);
        for byte in pieces.concat() {
            match receiver.push(byte, software) {
                Input::Key(key) => keys[focus].push(key),
                Input::Command(digit @ (b'0' | b'1')) => focus = usize::from(digit - b'0'),
                Input::Command(b'2'..=b'9') => {}
                Input::Command(b'n') => focus = (focus + 1) % 2,
                Input::Command(key) => keys[focus].push(key),
                Input::Frame(Carries::Request) => requests += 1,
                Input::Frame(_) | Input::Damaged | Input::Nothing => {}
            }
        }
        // In pieces, as a line brings them.
        for piece in pieces.concat().chunks(48) {
            rig.machine.type_in(piece);
            rig.settle();
        }
        let console = rig.console();
        prop_assert_eq!(answers(&console).len(), requests);
        prop_assert!(console.lines().all(|line| line.starts_with("[bulkhead] ")), "{}", console);
        for partition in [0, 1] {
            if rig.partition(partition).state() == State::Paused {
                // Not by the line, on which an escape key may wait.
                let resume = || rig.partition(partition).ask(Step::Resume);
                rig.machine.on(0, resume).expect("no unwinding").expect("it is paused");
            }
            keys[partition].truncate(256);
            prop_assert_eq!(&typed(&rig, partition), &keys[partition]);
            prop_assert_eq!(rig.partition(partition).state(), State::Running);
        }
    }
}
