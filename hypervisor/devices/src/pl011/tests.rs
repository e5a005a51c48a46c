// SPDX-License-Identifier: MIT OR Apache-2.0
//! What drivers expect of the UART.

extern crate std;

use super::*;
use proptest::prelude::*;
use std::vec::Vec;

/// A sink with room for some bytes.
#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    room: usize,
    dropped: usize,
}

impl Buffer {
    fn with_room(room: usize) -> Self {
        Self { room, ..Self::default() }
    }
}

impl Sink for Buffer {
    fn has_space(&self) -> bool {
        self.bytes.len() < self.room
    }

    fn push(&mut self, byte: u8) {
        if self.has_space() { self.bytes.push(byte) } else { self.dropped += 1 }
    }
}

const FIFOS: u32 = FIFO_ENABLE | 0x60;

fn uart_with_fifos() -> Pl011 {
    let mut uart = Pl011::new();
    uart.write(offset::LCR_H, Size::Word, FIFOS, &mut Buffer::default());
    uart
}

#[test]
fn it_looks_like_a_pl011_after_reset() {
    let mut uart = Pl011::new();
    let sink = Buffer::with_room(1);
    let mut read = |offset| uart.read(offset, Size::Word, &sink);
    assert_eq!(read(offset::FR), 0x90);
    assert_eq!(read(offset::CR), 0x300);
    assert_eq!(read(offset::IFLS), 0x12);
    assert_eq!(read(offset::RIS), 0);
    let id = core::array::from_fn(|n| read(0xfe0 + 4 * n as u64));
    assert_eq!(id, [0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1]);
    assert!(!uart.line());
}

#[test]
fn a_guest_that_waits_for_space_loses_nothing() {
    let mut uart = Pl011::new();
    let mut sink = Buffer::with_room(3);
    for byte in *b"abc" {
        assert_eq!(uart.read(offset::FR, Size::Word, &sink) & TRANSMIT_FULL, 0);
        uart.write(offset::DR, Size::Word, byte.into(), &mut sink);
    }
    assert_eq!(uart.read(offset::FR, Size::Word, &sink), TRANSMIT_FULL | BUSY | RECEIVE_EMPTY);
    uart.write(offset::DR, Size::Byte, u32::from(b'd'), &mut sink);
    assert_eq!((sink.bytes.as_slice(), sink.dropped), (&b"abc"[..], 1));
}

#[test]
fn the_transmit_interrupt_rises_when_a_byte_has_left() {
    let mut uart = Pl011::new();
    let mut sink = Buffer::with_room(2);
    uart.write(offset::IMSC, Size::Word, TRANSMIT, &mut sink);
    assert!(!uart.line(), "not before anything was written");
    uart.write(offset::DR, Size::Word, 0x31, &mut sink);
    assert!(uart.line());
    uart.write(offset::ICR, Size::Word, TRANSMIT, &mut sink);
    assert!(!uart.line());
    uart.write(offset::DR, Size::Word, 0x32, &mut sink);
    assert!(!uart.line(), "no space is left");
    sink.room = 8;
    uart.space_returned();
    assert!(uart.line());
    assert_eq!(uart.read(offset::MIS, Size::Word, &sink), TRANSMIT);
}

#[test]
fn bytes_are_received_in_order_and_none_beyond_the_fifo() {
    let mut uart = uart_with_fifos();
    let sink = Buffer::default();
    for byte in 0..16 {
        assert!(uart.receive(byte));
    }
    assert!(!uart.receive(16));
    assert_eq!(uart.read(offset::FR, Size::Word, &sink) & RECEIVE_FULL, RECEIVE_FULL);
    for byte in 0..16 {
        assert_eq!(uart.read(offset::DR, Size::Word, &sink), byte);
    }
    assert_eq!(uart.read(offset::FR, Size::Word, &sink) & RECEIVE_EMPTY, RECEIVE_EMPTY);
    assert_eq!(uart.read(offset::RIS, Size::Word, &sink), 0);
}

#[test]
fn receive_interrupts_follow_trigger_and_timeout() {
    let mut uart = uart_with_fifos();
    let mut sink = Buffer::default();
    assert!(uart.receive(1));
    assert_eq!(uart.read(offset::RIS, Size::Word, &sink), RECEIVE_TIMEOUT);
    uart.write(offset::ICR, Size::Word, RECEIVE_TIMEOUT, &mut sink);
    assert_eq!(uart.read(offset::RIS, Size::Word, &sink), 0);
    for byte in 2..=8 {
        assert!(uart.receive(byte));
    }
    assert_eq!(uart.read(offset::RIS, Size::Word, &sink), RECEIVE | RECEIVE_TIMEOUT);
    uart.read(offset::DR, Size::Word, &sink);
    assert_eq!(
        uart.read(offset::RIS, Size::Word, &sink),
        RECEIVE_TIMEOUT,
        "below the trigger, not empty"
    );
}

#[test]
fn without_fifos_there_is_room_for_one_byte() {
    let mut uart = Pl011::new();
    assert!(uart.receive(b'x'));
    assert!(!uart.receive(b'y'));
    assert_eq!(uart.read(offset::RIS, Size::Word, &Buffer::default()), RECEIVE | RECEIVE_TIMEOUT);
    assert_eq!(uart.read(offset::DR, Size::Byte, &Buffer::default()), u32::from(b'x'));
}

#[test]
fn loopback_receives_what_it_sends() {
    let mut uart = uart_with_fifos();
    let mut sink = Buffer::with_room(4);
    uart.write(offset::CR, Size::Word, CONTROL_RESET | LOOPBACK | 1, &mut sink);
    uart.write(offset::DR, Size::Word, 0x55, &mut sink);
    assert_eq!(uart.read(offset::DR, Size::Word, &sink), 0x55);
    assert!(sink.bytes.is_empty());
}

fn size() -> impl Strategy<Value = Size> {
    (0..4u64).prop_map(Size::from_log2)
}

#[derive(Clone, Debug)]
enum Step {
    Read(u64, Size),
    Write(u64, Size, u32),
    Receive(u8),
    Room(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let offset = || prop_oneof![(0..0x20u64).prop_map(|n| n * 4), 0..0x1000u64, any::<u64>()];
    prop_oneof![
        (offset(), size()).prop_map(|(offset, size)| Step::Read(offset, size)),
        (offset(), size(), any::<u32>())
            .prop_map(|(offset, size, value)| Step::Write(offset, size, value)),
        any::<u8>().prop_map(Step::Receive),
        (0..64usize).prop_map(Step::Room),
    ]
}

proptest! {
    #[test]
    fn no_access_harms_it(steps in prop::collection::vec(step(), 0..200)) {
        let mut uart = Pl011::new();
        let mut sink = Buffer::default();
        for step in steps {
            match step {
                Step::Read(offset, size) => { uart.read(offset, size, &sink); }
                Step::Write(offset, size, value) => uart.write(offset, size, value, &mut sink),
                Step::Receive(byte) => { uart.receive(byte); }
                Step::Room(room) => {
                    sink.room = room;
                    if sink.has_space() { uart.space_returned() }
                }
            }
            let flags = uart.read(offset::FR, Size::Word, &sink);
            prop_assert!(uart.received.count <= uart.depth());
            prop_assert_eq!(flags & RECEIVE_EMPTY != 0, uart.received.count == 0);
            prop_assert_eq!(flags & TRANSMIT_FULL != 0, !sink.has_space());
            let masked = uart.read(offset::MIS, Size::Word, &sink);
            prop_assert_eq!(uart.line(), masked != 0);
            if uart.received.count == 0 {
                prop_assert_eq!(uart.raw & (RECEIVE | RECEIVE_TIMEOUT), 0);
            }
        }
    }
}
