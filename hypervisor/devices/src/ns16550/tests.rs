// SPDX-License-Identifier: MIT OR Apache-2.0
//! Examples of what drivers do with a 16550.

use super::*;
use proptest::prelude::*;

const DATA: u16 = 0;
const IER: u16 = 1;
const IIR: u16 = 2;
const FCR: u16 = 2;
const LCR: u16 = 3;
const MCR: u16 = 4;
const LSR: u16 = 5;
const MSR: u16 = 6;

/// A sink that has room for so many bytes.
#[derive(Debug, Default)]
struct Out {
    bytes: Vec<u8>,
    room: usize,
    dropped: usize,
}

impl Sink for Out {
    fn has_space(&self) -> bool {
        self.room > 0
    }

    fn push(&mut self, byte: u8) {
        if self.room == 0 {
            self.dropped += 1;
            return;
        }
        self.room -= 1;
        self.bytes.push(byte);
    }
}

fn out(room: usize) -> Out {
    Out { room, ..Out::default() }
}

/// A UART whose FIFOs a driver has enabled.
fn driven(sink: &mut Out) -> Ns16550 {
    let mut uart = Ns16550::new();
    uart.write(FCR, 0xc7, sink);
    uart.write(LCR, 3, sink);
    uart.write(MCR, 0xb, sink);
    uart
}

#[test]
fn linux_recognizes_a_16550a() {
    let mut sink = out(100);
    let mut uart = Ns16550::new();
    // autoconfig(): IER keeps four bits, loopback shows modem control in modem status.
    uart.write(IER, 0xff, &mut sink);
    assert_eq!(uart.read(IER, &mut sink), 0xf);
    uart.write(IER, 0, &mut sink);
    uart.write(MCR, 0x1a, &mut sink);
    assert_eq!(uart.read(MSR, &mut sink) & 0xf0, 0x90);
    uart.write(MCR, 0, &mut sink);
    uart.write(LCR, 0xbf, &mut sink);
    uart.write(LCR, 0, &mut sink);
    uart.write(FCR, 1, &mut sink);
    assert_eq!(uart.read(IIR, &mut sink) >> 6, 3);
    // Neither a 16650, nor a 16750, nor an XScale.
    uart.write(LCR, 0x80, &mut sink);
    assert_ne!(uart.read(IIR, &mut sink), 0);
    uart.write(FCR, 0x21, &mut sink);
    assert_eq!(uart.read(IIR, &mut sink) >> 5, 6);
    uart.write(LCR, 0, &mut sink);
    uart.write(IER, 0x40, &mut sink);
    assert_eq!(uart.read(IER, &mut sink), 0);
}

#[test]
fn enabling_the_transmit_interrupt_interrupts() {
    let mut sink = out(100);
    let mut uart = driven(&mut sink);
    assert!(!uart.line());
    uart.write(IER, TRANSMIT, &mut sink);
    assert!(uart.line());
    assert_eq!(uart.read(IIR, &mut sink) & 0xf, 2);
    assert!(!uart.line(), "reading it takes it away");
    assert_eq!(uart.read(IIR, &mut sink) & 0xf, 1);
    uart.write(DATA, b'a', &mut sink);
    assert!(uart.line(), "the byte has left");
    assert_eq!(uart.read(LSR, &mut sink), 0x60);
    assert_eq!(sink.bytes, b"a");
}

#[test]
fn sixteen_bytes_wait_for_a_sink_without_space() {
    let mut sink = out(4);
    let mut uart = driven(&mut sink);
    uart.write(IER, TRANSMIT, &mut sink);
    // What serial8250_tx_chars() writes after it saw the transmitter empty.
    for byte in b"0123456789abcdef" {
        uart.write(DATA, *byte, &mut sink);
    }
    assert_eq!(sink.bytes, b"0123");
    assert_eq!(uart.read(LSR, &mut sink) & 0x60, 0);
    assert!(!uart.line());
    sink.room = 5;
    uart.drain(&mut sink);
    assert_eq!((uart.read(LSR, &mut sink) & 0x60, uart.line()), (0, false));
    sink.room = 100;
    assert_eq!(uart.read(LSR, &mut sink) & 0x60, 0x60, "looking drains it");
    assert!(uart.line());
    assert_eq!(sink.bytes, b"0123456789abcdef");
}

#[test]
fn received_bytes_interrupt_by_trigger_or_at_once() {
    let mut sink = out(0);
    let mut uart = driven(&mut sink);
    uart.write(IER, RECEIVE, &mut sink);
    assert!(uart.receive(b'x') && uart.line());
    assert_eq!(uart.read(IIR, &mut sink) & 0xf, 0xc, "fewer than fourteen");
    for _ in 0..15 {
        assert!(uart.receive(b'y'));
    }
    assert!(!uart.receive(b'z'), "full");
    assert_eq!(uart.read(IIR, &mut sink) & 0xf, 4);
    assert_eq!(uart.read(DATA, &mut sink), b'x');
    assert!(uart.receive(b'z'));
    for _ in 0..16 {
        assert_eq!(uart.read(LSR, &mut sink) & 1, 1);
        let _ = uart.read(DATA, &mut sink);
    }
    assert_eq!((uart.read(LSR, &mut sink) & 1, uart.line()), (0, false));
}

#[test]
fn without_fifos_one_byte_waits() {
    let mut sink = out(0);
    let mut uart = Ns16550::new();
    uart.write(DATA, b'a', &mut sink);
    uart.write(DATA, b'b', &mut sink);
    sink.room = 9;
    uart.drain(&mut sink);
    assert_eq!(sink.bytes, b"a");
    assert!(uart.receive(1) && !uart.receive(2));
    assert_eq!(uart.read(IIR, &mut sink), 1);
}

#[test]
fn the_divisor_hides_data_and_enables() {
    let mut sink = out(9);
    let mut uart = driven(&mut sink);
    uart.write(LCR, 0x83, &mut sink);
    uart.write(0, 1, &mut sink);
    uart.write(1, 2, &mut sink);
    assert_eq!((uart.read(0, &mut sink), uart.read(1, &mut sink)), (1, 2));
    uart.write(LCR, 3, &mut sink);
    assert_eq!(uart.read(IER, &mut sink), 0);
    assert!(sink.bytes.is_empty());
}

#[test]
fn loopback_receives_what_is_sent_and_tells_what_is_lost() {
    let mut sink = out(9);
    let mut uart = driven(&mut sink);
    uart.write(MCR, 0x10, &mut sink);
    uart.write(IER, LINE, &mut sink);
    for byte in 0..17 {
        uart.write(DATA, byte, &mut sink);
    }
    assert!(!uart.receive(1), "the line is cut");
    assert!(uart.line() && sink.bytes.is_empty());
    assert_eq!(uart.read(IIR, &mut sink) & 0xf, 6);
    assert_eq!(uart.read(LSR, &mut sink) & 3, 3);
    assert!(!uart.line());
    assert_eq!(uart.read(DATA, &mut sink), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_guest_that_waits_loses_nothing(rooms in proptest::collection::vec(0..40_usize, 1..60)) {
        let mut sink = out(0);
        let mut uart = driven(&mut sink);
        let mut sent = Vec::new();
        for room in rooms {
            sink.room += room;
            while uart.read(LSR, &mut sink) & 0x20 != 0 && sent.len() < 4000 {
                for n in 0..16 {
                    sent.push(n);
                    uart.write(DATA, n, &mut sink);
                }
            }
        }
        sink.room = 16;
        uart.drain(&mut sink);
        prop_assert_eq!(sink.dropped, 0);
        prop_assert_eq!(sink.bytes, sent);
    }

    #[test]
    fn no_guest_breaks_it(steps in proptest::collection::vec(any::<(u8, u16, u8, u8)>(), 1..200)) {
        let mut sink = out(0);
        let mut uart = Ns16550::new();
        for (kind, register, byte, room) in steps {
            sink.room = usize::from(room & 3);
            match kind % 4 {
                0 => drop(uart.read(register, &mut sink)),
                1 => drop(uart.receive(byte)),
                _ => uart.write(register, byte, &mut sink),
            }
            let (identification, any) = uart.identification();
            prop_assert_eq!(any, identification & 1 == 0);
            prop_assert_eq!(uart.line(), any);
            prop_assert_eq!(sink.dropped, 0);
        }
    }
}
