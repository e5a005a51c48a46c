// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guests that write anything anywhere: nothing panics, no list register gets
//! an illegal value, no maintenance interrupt storms, every other vCPU is left alone.

use crate::machine::Machine;
use devices::Size;
use devices::vgic::{DISTRIBUTOR_SIZE, REDISTRIBUTOR_STRIDE, SgiRegister};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Write(u64, Size, u64),
    Read(u64, Size),
    Sgi(u8, u64),
    Raise(u32),
    Lower(u32),
    Pulse(u32),
    Physical(u32),
    DeactivateTrap(u32),
    Acknowledge,
    End(u32),
    Deactivate(u32),
    Park,
    Reset,
}

fn offset() -> impl Strategy<Value = u64> {
    let frame = 0..DISTRIBUTOR_SIZE + 9 * REDISTRIBUTOR_STRIDE;
    // Where the registers are that do something.
    let bitmaps = (0..8u64, 0..0x400u64).prop_map(|(v, o)| {
        let sgi_frame = DISTRIBUTOR_SIZE + v * REDISTRIBUTOR_STRIDE + 0x1_0000;
        if o % 3 == 0 { o & !3 } else { sgi_frame + (o & 0x380) }
    });
    prop_oneof![2 => frame.clone(), 4 => frame.prop_map(|o| o & !7), 8 => bitmaps, 1 => any::<u64>()]
}

fn value() -> impl Strategy<Value = u64> {
    prop_oneof![any::<u64>(), Just(0), Just(u64::MAX), (0..64u32).prop_map(|n| 1 << n)]
}

fn size() -> impl Strategy<Value = Size> {
    prop_oneof![3 => Just(2u64), 1 => 0..4u64].prop_map(Size::from_log2)
}

fn intid() -> impl Strategy<Value = u32> {
    prop_oneof![8 => 0..300u32, 1 => any::<u32>()]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (offset(), size(), value()).prop_map(|(o, s, v)| Step::Write(o, s, v)),
        4 => (offset(), size()).prop_map(|(o, s)| Step::Read(o, s)),
        2 => (0..3u8, value()).prop_map(|(r, v)| Step::Sgi(r, v)),
        2 => intid().prop_map(Step::Raise),
        1 => intid().prop_map(Step::Lower),
        1 => intid().prop_map(Step::Pulse),
        2 => intid().prop_map(Step::Physical),
        1 => intid().prop_map(Step::DeactivateTrap),
        4 => Just(Step::Acknowledge),
        3 => intid().prop_map(Step::End),
        2 => intid().prop_map(Step::Deactivate),
        1 => Just(Step::Park),
        1 => prop_oneof![9 => Just(Step::Park), 1 => Just(Step::Reset)],
    ]
}

fn apply(machine: &mut Machine, v: usize, last: &mut u32, step: &Step) {
    match *step {
        Step::Write(offset, size, value) => {
            let _ = machine.write(v, offset, size, value);
        }
        Step::Read(offset, size) => {
            let value = machine.read(v, offset, size);
            assert_eq!(value & !size.mask(), 0, "a read wider than its size");
        }
        Step::Sgi(register, value) => {
            let register =
                [SgiRegister::Sgi0, SgiRegister::Sgi1, SgiRegister::AliasSgi1][register as usize];
            let outcome = machine.vgic.send_sgi(v, register, value);
            machine.settle(outcome);
        }
        Step::Raise(intid) => {
            let outcome = machine.vgic.raise(v, intid);
            machine.settle(outcome);
        }
        Step::Lower(intid) => {
            let outcome = machine.vgic.lower(v, intid);
            machine.settle(outcome);
        }
        Step::Pulse(intid) => {
            let outcome = machine.vgic.pulse(v, intid);
            machine.settle(outcome);
        }
        Step::Physical(intid) => {
            machine.physical_interrupt(v, intid);
        }
        Step::DeactivateTrap(intid) => {
            let outcome = machine.vgic.deactivate(v, intid);
            machine.settle(outcome);
        }
        Step::Acknowledge => *last = machine.cpus[v].acknowledge().unwrap_or(*last),
        Step::End(intid) => machine.cpus[v].end(if intid & 1 == 0 { *last } else { intid }),
        Step::Deactivate(intid) => {
            machine.deactivate(v, if intid & 1 == 0 { *last } else { intid })
        }
        Step::Park => machine.park(v),
        Step::Reset => {
            machine.vgic.reset();
            for cpu in &mut machine.cpus {
                *cpu = crate::machine::Interface::new(
                    devices::vgic::ListRegisters::count(cpu),
                    cpu.split,
                );
            }
            machine.physical.clear();
        }
    }
    machine.settle(Default::default());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn nothing_a_guest_does_harms(
        vcpus in 1..=8usize,
        intids: u32,
        lists in 1..=16usize,
        split: bool,
        steps in prop::collection::vec((0..8usize, step()), 1..200),
    ) {
        let mut machine = Machine::new(vcpus, intids, lists, split);
        let mut last = 0;
        machine.write_word(0, 0, 3);
        for (v, step) in &steps {
            apply(&mut machine, v % vcpus, &mut last, step);
        }
    }
}

#[test]
fn every_offset_of_every_frame_takes_every_size() {
    let mut machine = Machine::new(2, 96, 4, false);
    for offset in 0..DISTRIBUTOR_SIZE + 2 * REDISTRIBUTOR_STRIDE + 16 {
        for log2 in 0..4 {
            let size = Size::from_log2(log2);
            for value in [0, u64::MAX, 0x5a5a_5a5a_a5a5_a5a5] {
                let _ = machine.write(0, offset, size, value);
                let read = machine.read(1, offset, size);
                if !offset.is_multiple_of(size.bytes()) {
                    assert_eq!(read, 0);
                }
            }
        }
    }
}
