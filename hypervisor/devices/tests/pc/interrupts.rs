// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupt controllers, power, COM1 and the small ports.

use crate::machine::Machine;
use devices::Size;
use devices::pc::Power;

#[test]
fn the_second_8259_interrupts_through_the_first() {
    let mut machine = Machine::new();
    machine.set_up_8259();
    machine.outb(0x21, 0xfb);
    machine.outb(0xa1, 0xfd);
    machine.with(|pc, bus| pc.set_line(9, true, bus));
    assert_eq!(machine.last.kick, 1);
    assert_eq!(machine.take_external(), Some(0x29));
    machine.outb(0x20, 0x0b);
    machine.outb(0xa0, 0x0b);
    assert_eq!((machine.inb(0x20), machine.inb(0xa0)), (4, 2), "in service");
    assert_eq!(machine.take_external(), None);
    machine.outb(0xa0, 0x20);
    machine.outb(0x20, 0x20);
    assert_eq!((machine.inb(0x20), machine.inb(0xa0)), (0, 0));
}

#[test]
fn a_more_urgent_line_nests_and_a_less_urgent_one_waits() {
    let mut machine = Machine::new();
    machine.set_up_8259();
    machine.outb(0x21, 0);
    machine.with(|pc, bus| pc.set_line(5, true, bus));
    assert_eq!(machine.take_external(), Some(0x25));
    machine.with(|pc, bus| pc.set_line(7, true, bus));
    assert_eq!(machine.take_external(), None);
    machine.with(|pc, bus| pc.set_line(3, true, bus));
    assert_eq!(machine.take_external(), Some(0x23));
    machine.outb(0x20, 0x63);
    assert_eq!(machine.take_external(), None, "5 is in service");
    machine.outb(0x20, 0x65);
    assert_eq!(machine.take_external(), Some(0x27));
}

#[test]
fn a_request_that_went_away_is_spurious() {
    let mut machine = Machine::new();
    machine.set_up_8259();
    machine.outb(0x21, 0xef);
    machine.with(|pc, bus| pc.set_line(4, true, bus));
    let bus = devices::pc::Bus { now: 0, apics: &machine.apics };
    let _ = machine.pc.port_write(0x21, Size::Byte, 0xff, &bus, &mut machine.out);
    let (vector, _) = machine.pc.acknowledge_external(&bus);
    assert_eq!(vector, 0x27);
}

#[test]
fn polling_rotation_and_automatic_ends_work() {
    let mut machine = Machine::new();
    machine.set_up_8259();
    machine.outb(0x21, 0);
    machine.with(|pc, bus| pc.set_line(6, true, bus));
    machine.outb(0x20, 0x0c);
    assert_eq!(machine.inb(0x20), 0x86, "polled");
    assert!(!machine.apics[0].external());
    machine.outb(0x20, 0xa0);
    // After the rotation 6 is the least urgent.
    for line in [6, 5] {
        machine.with(|pc, bus| pc.set_line(line, false, bus));
        machine.with(|pc, bus| pc.set_line(line, true, bus));
    }
    assert_eq!(machine.take_external(), Some(0x25));
    // Automatic end of interrupt.
    machine.outb(0x20, 0x11);
    for word in [0x40, 4, 3, 0] {
        machine.outb(0x21, word);
    }
    machine.with(|pc, bus| pc.pulse(1, bus));
    assert_eq!(machine.take_external(), Some(0x41));
    machine.outb(0x20, 0x0b);
    assert_eq!(machine.inb(0x20), 0);
}

#[test]
fn special_mask_mode_lets_less_urgent_lines_through() {
    let mut machine = Machine::new();
    machine.set_up_8259();
    machine.outb(0x21, 0);
    machine.with(|pc, bus| pc.set_line(3, true, bus));
    assert_eq!(machine.take_external(), Some(0x23));
    machine.outb(0x21, 0x08);
    machine.outb(0x20, 0x68);
    machine.with(|pc, bus| pc.set_line(5, true, bus));
    assert_eq!(machine.take_external(), Some(0x25));
}

#[test]
fn a_line_by_level_asks_again_until_it_falls() {
    let mut machine = Machine::new();
    machine.set_up_8259();
    machine.outb(0x4d0, 0xff);
    assert_eq!(machine.inb(0x4d0), 0xf8, "timer, keyboard and cascade are edges");
    machine.outb(0x21, 0xdf);
    machine.with(|pc, bus| pc.set_line(5, true, bus));
    for _ in 0..3 {
        assert_eq!(machine.take_external(), Some(0x25));
        machine.outb(0x20, 0x20);
    }
    machine.with(|pc, bus| pc.set_line(5, false, bus));
    assert_eq!(machine.take_external(), None);
}

#[test]
fn the_power_button_interrupts_by_level_until_it_is_cleared() {
    const LEVEL: u64 = 1 << 15;
    let mut machine = Machine::new();
    machine.route(9, LEVEL | 0x39);
    machine.output(0x602, Size::Half, 0x100);
    machine.with(|pc, bus| pc.power_button(bus));
    assert_eq!((machine.last.kick, machine.take(0)), (1, Some(0x39)));
    assert_eq!(machine.routed(9) & 1 << 14, 1 << 14, "remote IRR");
    machine.with(|pc, bus| pc.end_of_interrupt(0x39, bus));
    assert_eq!(machine.last.kick, 1, "still high: once more");
    assert_eq!(machine.input(0x600, Size::Half), 0x100);
    machine.output(0x600, Size::Half, 0x100);
    machine.with(|pc, bus| pc.end_of_interrupt(0x39, bus));
    assert_eq!(machine.last.kick, 0);
    assert_eq!(machine.routed(9) & 1 << 14, 0);
}

#[test]
fn the_io_apics_own_register_ends_a_level_and_becoming_an_edge_forgets_it() {
    const LEVEL: u64 = 1 << 15;
    let mut machine = Machine::new();
    machine.route(16, LEVEL | 0x39);
    machine.with(|pc, bus| pc.set_line(16, true, bus));
    machine.with(|pc, bus| pc.set_line(16, false, bus));
    machine.with(|pc, bus| pc.io_apic_write(0x40, Size::Word, 0x39, bus));
    assert_eq!(machine.routed(16), LEVEL | 0x39);
    machine.with(|pc, bus| pc.set_line(16, true, bus));
    assert_eq!(machine.routed(16), LEVEL | 1 << 14 | 0x39);
    machine.route(16, 1 << 16 | 0x39);
    machine.with(|pc, bus| pc.set_line(16, false, bus));
    machine.route(16, LEVEL | 0x39);
    assert_eq!(machine.routed(16), LEVEL | 0x39);
}

#[test]
fn a_bell_is_an_edge_and_lost_while_masked() {
    let mut machine = Machine::new();
    machine.route(17, 1 << 16 | 0x41);
    machine.with(|pc, bus| pc.pulse(17, bus));
    machine.route(17, 0x0400_0000_0000_0841);
    assert_eq!(machine.take(2), None);
    for _ in 0..2 {
        machine.with(|pc, bus| pc.pulse(17, bus));
        assert_eq!((machine.last.kick, machine.take(2)), (0b100, Some(0x41)));
        let _ = machine.locals[2].write(0xb0, Size::Word, 0, 0);
    }
    machine.with(|pc, bus| pc.pulse(24, bus));
    machine.with(|pc, bus| pc.set_line(255, true, bus));
    assert_eq!(machine.last.kick, 0, "no such pin");
}

#[test]
fn the_io_apic_tells_what_it_is() {
    let mut machine = Machine::new();
    let mut register = |n| {
        machine.with(|pc, bus| pc.io_apic_write(0, Size::Byte, n, bus));
        machine.pc.io_apic_read(0x10, Size::Word)
    };
    assert_eq!((register(0), register(1)), (0, 0x0017_0020));
    assert_eq!((register(0x10), register(0x11)), (1 << 16, 0));
    assert_eq!((register(0x40), register(0xff)), (0, 0), "there are 24 pins");
    assert_eq!(machine.pc.io_apic_read(0x14, Size::Double), 0);
}

#[test]
fn every_way_to_end_is_understood() {
    let mut machine = Machine::new();
    for (port, size, value, power) in [
        (0x604, Size::Half, 0x3401, Power::Off),
        (0x604, Size::Half, 0x2401, Power::On),
        (0x604, Size::Half, 0x1401, Power::On),
        (0x605, Size::Byte, 0x34, Power::Off),
        (0xcf9, Size::Byte, 0x02, Power::On),
        (0xcf9, Size::Byte, 0x06, Power::Reset),
        (0xcf9, Size::Byte, 0x06, Power::On),
        (0x64, Size::Byte, 0xfe, Power::Reset),
        (0x64, Size::Byte, 0xff, Power::On),
        (0x64, Size::Byte, 0xd1, Power::On),
        (0x60, Size::Byte, 0x02, Power::Reset),
    ] {
        machine.output(port, size, value);
        assert_eq!(machine.power(), power, "{port:#x} {value:#x}");
    }
    assert_eq!(machine.input(0x604, Size::Half) & 1, 1, "always in ACPI mode");
}

#[test]
fn gnumach_finds_a_keyboard_controller_without_a_keyboard() {
    let mut machine = Machine::new();
    assert_eq!(machine.inb(0x64) & 3, 0);
    machine.outb(0x64, 0x20);
    assert_eq!(machine.inb(0x64) & 1, 1);
    assert_eq!(machine.inb(0x60), 0x30);
    machine.outb(0x64, 0x60);
    machine.outb(0x60, 0x45);
    machine.outb(0x64, 0x20);
    assert_eq!(machine.inb(0x60), 0x45);
    machine.outb(0x64, 0xaa);
    assert_eq!(machine.inb(0x60), 0x55);
    machine.outb(0x60, 0xff);
    assert_eq!((machine.inb(0x60), machine.inb(0x64) & 1), (0xfe, 0));
}

#[test]
fn com1_interrupts_and_prints() {
    let mut machine = Machine::new();
    machine.route(4, 0x34);
    for byte in b"hello" {
        machine.outb(0x3f8, *byte);
    }
    assert_eq!(machine.out.0, b"hello");
    machine.outb(0x3f9, 1);
    let bus = devices::pc::Bus { now: 0, apics: &machine.apics };
    let outcome = machine.pc.receive(b'!', &bus).expect("there is room");
    assert_eq!(outcome.kick, 1);
    assert_eq!(machine.take(0), Some(0x34));
    assert_eq!(machine.inb(0x3fa) & 0xf, 4);
    assert_eq!((machine.inb(0x3fd), machine.inb(0x3f8)), (0x61, b'!'));
    // LSR and MSR as a word.
    assert_eq!(machine.input(0x3fd, Size::Half), 0xb060);
}

#[test]
fn what_is_not_there_reads_all_ones() {
    let mut machine = Machine::new();
    for port in [0x80, 0xed, 0x92, 0x1f0, 0x2f8, 0x606, 0x60c, 0xcf8, 0xcfc, 0xffff] {
        for size in [Size::Byte, Size::Half] {
            machine.output(port, size, 0);
            assert_eq!(machine.input(port, size), size.mask(), "{port:#x}");
        }
    }
    // Linux looks for configuration mechanism 1.
    machine.output(0xcf8, Size::Word, 0x8000_0000);
    assert_ne!(machine.input(0xcf8, Size::Word), 0x8000_0000);
    assert_eq!(machine.input(0xcfc, Size::Word), 0xffff_ffff);
    // An address of a device that looks like a reset's value.
    machine.output(0xcf8, Size::Word, 0x8000_0600);
    assert_eq!(machine.power(), Power::On);
}
