// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guests that do anything anywhere: nothing panics, no deadline lies in the
//! past, only vCPUs that there are are kicked.

use crate::machine::Machine;
use devices::Size;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Out(u16, Size, u64),
    In(u16, Size),
    Store(u64, Size, u64),
    Load(u64, Size),
    Line(u8, bool),
    Pulse(u8),
    End(u8),
    External,
    Time(u64),
    Typed(u8),
    Space,
    Button,
    Reset,
}

fn port() -> impl Strategy<Value = u16> {
    let known = [
        0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x40, 0x41, 0x42, 0x43, 0x61, 0x70, 0x71, 0x60, 0x64,
        0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd, 0x3fe, 0x3ff, 0x600, 0x602, 0x604, 0x608, 0xcf9,
    ];
    prop_oneof![12 => proptest::sample::select(known.to_vec()), 1 => any::<u16>()]
}

fn size() -> impl Strategy<Value = Size> {
    prop_oneof![4 => Just(0_u64), 1 => 0..4_u64].prop_map(Size::from_log2)
}

fn value() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..0x100_u64, 1 => any::<u64>()]
}

fn offset() -> impl Strategy<Value = u64> {
    prop_oneof![8 => (0..5_u64).prop_map(|n| n * 0x10), 1 => any::<u64>()]
}

fn ticks() -> impl Strategy<Value = u64> {
    (0..44_u32, any::<u64>()).prop_map(|(bits, value)| value & ((1 << bits) - 1))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (port(), size(), value()).prop_map(|(p, s, v)| Step::Out(p, s, v)),
        5 => (port(), size()).prop_map(|(p, s)| Step::In(p, s)),
        5 => (offset(), size(), value()).prop_map(|(o, s, v)| Step::Store(o, s, v)),
        1 => (offset(), size()).prop_map(|(o, s)| Step::Load(o, s)),
        2 => (0..30_u8, any::<bool>()).prop_map(|(gsi, level)| Step::Line(gsi, level)),
        1 => any::<u8>().prop_map(Step::Pulse),
        2 => any::<u8>().prop_map(Step::End),
        2 => Just(Step::External),
        4 => ticks().prop_map(Step::Time),
        1 => any::<u8>().prop_map(Step::Typed),
        1 => Just(Step::Space),
        1 => prop_oneof![5 => Just(Step::Button), 1 => Just(Step::Reset)],
    ]
}

fn apply(machine: &mut Machine, step: Step) {
    match step {
        Step::Out(port, size, value) => machine.output(port, size, value),
        Step::In(port, size) => {
            let _ = machine.input(port, size);
        }
        Step::Store(offset, size, value) => {
            machine.with(|pc, bus| pc.io_apic_write(offset, size, value, bus));
        }
        Step::Load(offset, size) => {
            assert_eq!(machine.pc.io_apic_read(offset, size) & !size.mask(), 0);
        }
        Step::Line(gsi, level) => machine.with(|pc, bus| pc.set_line(gsi, level, bus)),
        Step::Pulse(gsi) => machine.with(|pc, bus| pc.pulse(gsi, bus)),
        Step::End(vector) => machine.with(|pc, bus| pc.end_of_interrupt(vector, bus)),
        Step::External => {
            let _ = machine.take_external();
        }
        Step::Time(ticks) => {
            machine.now += ticks;
            machine.with(|pc, bus| pc.expire(bus));
        }
        Step::Typed(byte) => machine.with(|pc, bus| pc.receive(byte, bus).unwrap_or_default()),
        Step::Space => {
            machine.out.0.clear();
            let bus = devices::pc::Bus { now: machine.now, apics: &machine.apics };
            let outcome = machine.pc.space_returned(&bus, &mut machine.out);
            machine.noted(outcome);
        }
        Step::Button => machine.with(|pc, bus| pc.power_button(bus)),
        Step::Reset => machine.pc.reset(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_guest_breaks_it(steps in proptest::collection::vec(step(), 1..200)) {
        let mut machine = Machine::new();
        for step in steps {
            apply(&mut machine, step);
        }
        for vcpu in 0..4 {
            while let Some(vector) = machine.take(vcpu) {
                prop_assert!(vector >= 16);
                let _ = machine.locals[vcpu].end_of_interrupt();
            }
        }
    }

    #[test]
    fn deadlines_that_are_kept_do_not_storm(steps in proptest::collection::vec(step(), 1..60)) {
        let mut machine = Machine::new();
        for step in steps {
            apply(&mut machine, step);
        }
        machine.with(|pc, bus| pc.expire(bus));
        let mut deadlines = 0_u64;
        machine.pass(1_000_000, |_| deadlines += 1);
        // A millisecond holds 1,193 counts of the timer, two at least in a period, and 9 of the clock.
        prop_assert!(deadlines <= 610, "{}", deadlines);
    }
}
