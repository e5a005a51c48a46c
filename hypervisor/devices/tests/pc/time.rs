// SPDX-License-Identifier: MIT OR Apache-2.0
//! Clocks: what guests calibrate themselves with, and what tells them the date.

use crate::machine::{HZ, Machine};
use devices::Size;

/// Channel 2 counts down from `count` in mode 0, its gate open.
fn start_third(machine: &mut Machine, count: u16) {
    let gate = machine.inb(0x61) & !2 | 1;
    machine.outb(0x61, gate);
    machine.outb(0x43, 0xb0);
    let [low, high] = count.to_le_bytes();
    machine.outb(0x42, low);
    machine.outb(0x42, high);
}

#[test]
fn linux_calibrates_the_tsc_by_the_third_channel() {
    let mut machine = Machine::new();
    machine.now = 123_456_789;
    // pit_calibrate_tsc(): ten milliseconds.
    start_third(&mut machine, 11_931);
    let start = machine.now;
    while machine.inb(0x61) & 0x20 == 0 {
        machine.now += 500;
    }
    let measured = machine.now - start;
    assert!(measured.abs_diff(HZ / 1_193_182 * 11_931) < 100_000, "{measured}");
    let exact = 11_931 * HZ / 1_193_182;
    assert!(measured.abs_diff(exact) < 2000, "{measured} for {exact}");
}

#[test]
fn linux_calibrates_quickly_by_the_high_byte() {
    let mut machine = Machine::new();
    start_third(&mut machine, 0xffff);
    let start = machine.now;
    let mut last = 0xff;
    // quick_pit_calibrate(): the high byte counts down one by one, each after 214 microseconds.
    while last > 0xc0 {
        let _ = machine.inb(0x42);
        let high = machine.inb(0x42);
        assert!(high == last || high + 1 == last);
        last = high;
        machine.now += 1000;
    }
    let exact = (0xffff - 0xc100) * HZ / 1_193_182;
    assert!((machine.now - start).abs_diff(exact) < 300_000);
}

#[test]
fn acpis_timer_keeps_its_frequency_and_is_read_whole_or_in_bytes() {
    let mut machine = Machine::new();
    let first = machine.input(0x608, Size::Word);
    machine.now += 10 * HZ;
    let second = machine.input(0x608, Size::Word);
    assert_eq!(second - first, 35_795_450);
    let bytes: Vec<u8> = (0..4).map(|n| machine.inb(0x608 + n)).collect();
    assert_eq!(bytes, (second as u32).to_le_bytes());
    machine.now += 10_000 * HZ;
    assert!(machine.input(0x608, Size::Word) < 1 << 32);
}

#[test]
fn a_periodic_timer_interrupts_through_the_io_apic() {
    let mut machine = Machine::new();
    machine.route(2, 0x31);
    machine.outb(0x43, 0x34);
    machine.outb(0x40, 0x4d);
    machine.outb(0x40, 0x12);
    let mut ticks = 0;
    machine.pass(HZ, |machine| {
        assert_eq!(machine.last.kick, 1);
        assert_eq!(machine.take(0), Some(0x31));
        let _ = machine.locals[0].write(0xb0, Size::Word, 0, 0);
        ticks += 1;
    });
    assert_eq!(ticks, 1_193_182 / 0x124d);
}

#[test]
fn gnumach_ticks_through_the_8259() {
    let mut machine = Machine::new();
    machine.set_up_8259();
    machine.outb(0x21, 0xfe);
    machine.outb(0x43, 0x36);
    machine.outb(0x40, 0x9c);
    machine.outb(0x40, 0x2e);
    let mut ticks = 0;
    machine.pass(HZ + HZ / 1000, |machine| {
        assert_eq!(machine.take_external(), Some(0x20));
        machine.outb(0x20, 0x20);
        ticks += 1;
    });
    assert_eq!(ticks, 100);
}

#[test]
fn a_masked_timer_asks_for_no_deadline() {
    let mut machine = Machine::new();
    machine.set_up_8259();
    machine.outb(0x43, 0x34);
    machine.outb(0x40, 0);
    machine.outb(0x40, 1);
    assert_eq!(machine.deadline, None);
    machine.now += HZ;
    machine.outb(0x21, 0xfe);
    assert!(machine.deadline.is_some());
    assert_eq!(machine.take_external(), Some(0x20), "its request was latched");
}

#[test]
fn the_one_shot_modes_end_once() {
    for (mode, counts) in [(0, 1000), (4, 1001)] {
        let mut machine = Machine::new();
        machine.route(2, 0x31);
        machine.outb(0x43, 0x30 | mode << 1);
        machine.outb(0x40, 0xe8);
        machine.outb(0x40, 0x03);
        let mut fired = Vec::new();
        machine.pass(HZ, |machine| fired.push(machine.now));
        assert_eq!(fired.len(), 1, "mode {mode}");
        assert!(fired[0].abs_diff(counts * HZ / 1_193_182) < 10, "mode {mode}");
        assert_eq!(machine.take(0), Some(0x31));
    }
}

#[test]
fn counts_and_status_are_latched_and_read_back() {
    let mut machine = Machine::new();
    machine.outb(0x43, 0x34);
    machine.outb(0x40, 0);
    machine.outb(0x40, 0x10);
    machine.now += 100 * HZ / 1_193_182 + 1000;
    machine.outb(0x43, 0x00);
    machine.now += HZ / 10;
    let latched = u16::from_le_bytes([machine.inb(0x40), machine.inb(0x40)]);
    assert_eq!(latched, 0x1000 - 101);
    machine.outb(0x43, 0xe2);
    assert_eq!(machine.inb(0x40) & 0x7f, 0x34, "status: mode 2, both bytes, loaded");
    // Both at once: the status comes first.
    machine.outb(0x43, 0xc2);
    assert_eq!(machine.inb(0x40) & 0x3f, 0x34);
    let first = u16::from_le_bytes([machine.inb(0x40), machine.inb(0x40)]);
    machine.now += 1_000_000;
    assert_ne!(u16::from_le_bytes([machine.inb(0x40), machine.inb(0x40)]), first);
    // In decimal.
    machine.outb(0x43, 0x31);
    machine.outb(0x40, 0x00);
    machine.outb(0x40, 0x20);
    assert_eq!(u16::from_le_bytes([machine.inb(0x40), machine.inb(0x40)]), 0x2000);
}

#[test]
fn a_closed_gate_stops_the_third_channel() {
    let mut machine = Machine::new();
    start_third(&mut machine, 0x8000);
    machine.now += 1_000_000;
    machine.outb(0x61, 0);
    let read = |machine: &mut Machine| u16::from_le_bytes([machine.inb(0x42), machine.inb(0x42)]);
    let stopped = read(&mut machine);
    machine.now += HZ;
    assert_eq!(read(&mut machine), stopped);
    assert_eq!(machine.inb(0x61) & 0x20, 0);
    machine.outb(0x61, 1);
    machine.now += HZ;
    assert_eq!(machine.inb(0x61) & 0x20, 0x20);
}

fn cmos(machine: &mut Machine, register: u8) -> u8 {
    machine.outb(0x70, register);
    machine.inb(0x71)
}

fn set_cmos(machine: &mut Machine, register: u8, byte: u8) {
    machine.outb(0x70, register);
    machine.outb(0x71, byte);
}

#[test]
fn the_clock_tells_the_date_in_decimal_or_binary() {
    let mut machine = Machine::new();
    let date = |machine: &mut Machine| [0, 2, 4, 6, 7, 8, 9, 0x32].map(|r| cmos(machine, r));
    assert_eq!(date(&mut machine), [0x20, 0x13, 0x22, 3, 0x14, 0x11, 0x23, 0x20]);
    set_cmos(&mut machine, 0xb, 4);
    assert_eq!(date(&mut machine), [20, 13, 0x8a, 3, 14, 11, 23, 20], "ten in the evening");
    assert_eq!(cmos(&mut machine, 0xd), 0x80);
    machine.now += 3 * HZ;
    assert_eq!(cmos(&mut machine, 0), 23);
}

#[test]
fn an_update_is_announced_and_the_time_stands_while_it_is_set() {
    let mut machine = Machine::new();
    assert_eq!(cmos(&mut machine, 0xa), 0x26);
    machine.now += HZ - 1_000_000;
    assert_eq!(cmos(&mut machine, 0xa), 0xa6);
    machine.now += 2_000_000;
    assert_eq!(cmos(&mut machine, 0xa), 0x26);
    set_cmos(&mut machine, 0xb, 0x82);
    for (register, byte) in [(0, 0x59), (2, 0x59), (4, 0x23), (7, 0x31), (8, 0x12), (9, 0x99)] {
        set_cmos(&mut machine, register, byte);
    }
    machine.now += 5 * HZ;
    assert_eq!(cmos(&mut machine, 0), 0x59);
    set_cmos(&mut machine, 0xb, 0x02);
    machine.now += HZ;
    assert_eq!([0, 4, 7, 8, 9, 0x32].map(|r| cmos(&mut machine, r)), [0, 0, 1, 1, 0, 0x21]);
    // A restart of the partition does not turn the clock back.
    machine.pc.reset();
    assert_eq!(cmos(&mut machine, 0x32), 0x21);
}

#[test]
fn the_clock_interrupts_periodically_until_it_is_read() {
    let mut machine = Machine::new();
    machine.route(8, 0x38);
    set_cmos(&mut machine, 0xa, 0x26);
    set_cmos(&mut machine, 0xb, 0x42);
    let mut fired = 0;
    machine.pass(HZ, |machine| {
        fired += 1;
        assert_eq!(machine.take(0), Some(0x38));
        let _ = machine.locals[0].write(0xb0, Size::Word, 0, 0);
        assert_eq!(cmos(machine, 0xc) & 0xc0, 0xc0);
        assert_eq!(cmos(machine, 0xc), 0);
        let now = machine.now;
        machine.with(|pc, bus| pc.expire(bus));
        assert!(machine.deadline.is_some_and(|deadline| deadline - now < HZ / 1000));
    });
    assert!((1023..=1024).contains(&fired), "{fired}");
    // Nobody reads register C any more: one more interrupt, and silence.
    let mut fired = 0;
    machine.pass(HZ, |_| fired += 1);
    assert_eq!(fired, 1);
}

#[test]
fn an_alarm_comes_at_its_second() {
    let mut machine = Machine::new();
    machine.route(8, 0x38);
    for (register, byte) in [(1, 0x25), (3, 0xff), (5, 0xff), (0xb, 0x22)] {
        set_cmos(&mut machine, register, byte);
    }
    let mut fired = Vec::new();
    machine.pass(10 * HZ, |machine| fired.push(machine.now));
    assert_eq!(fired.len(), 1);
    assert!(fired[0].abs_diff(5 * HZ) < 100_000);
    assert_eq!(cmos(&mut machine, 0xc) & 0xa0, 0xa0);
}
