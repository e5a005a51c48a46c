// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whatever three vCPUs do, in whatever order their CPUs take turns: nothing
//! panics, and the other partition does not notice.

use crate::rig::{Rig, SMALL, add, cases, channel, draft, read};
use abi::mailbox::state::State;
use abi::platform::{CHANNEL_REGISTERS, RAM};
use devices::Size;
use kernel::arch::{Event, Reply, device, name_of_vcpu};
use kernel::exit::{
    Call, Destination, Direction, Exit, MemoryAccess, PortAccess, Power, RegisterAccess,
};
use kernel::fault::{GuestFault, Why};
use kernel::interrupt::Interrupt;
use kernel::partition::End;
use paging::GuestPhys;
use proptest::prelude::*;

fn direction() -> impl Strategy<Value = Direction> {
    prop_oneof![Just(Direction::Read), any::<u64>().prop_map(Direction::Write)]
}

fn destination() -> impl Strategy<Value = Destination> {
    (any::<u8>(), any::<bool>(), any::<bool>())
        .prop_map(|(register, sign_extend, wide)| Destination { register, sign_extend, wide })
}

fn address() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        (0..0x2100_u64).prop_map(|offset| CHANNEL_REGISTERS.wrapping_add(offset)),
        Just(device::TERMINAL),
        Just(device::SCRATCH),
    ]
}

fn power() -> impl Strategy<Value = Power> {
    let target = || prop_oneof![4 => (0..4usize).prop_map(name_of_vcpu), 1 => any::<u64>()];
    let entry = prop_oneof![3 => RAM..RAM + SMALL, 1 => any::<u64>()];
    prop_oneof![
        6 => (target(), entry, any::<u64>())
            .prop_map(|(target, entry, argument)| Power::CpuOn { target, entry, argument }),
        3 => (target(), 0..3u64).prop_map(|(target, level)| Power::CpuState { target, level }),
        2 => Just(Power::CpuOff),
        2 => Just(Power::Suspend),
        1 => Just(Power::SystemReset),
    ]
}

/// Every exit that does not end the partition for good.
fn exit() -> impl Strategy<Value = Exit> {
    let size = prop::sample::select(vec![Size::Byte, Size::Half, Size::Word, Size::Double]);
    let memory = (address(), size, direction(), destination()).prop_map(
        |(address, size, direction, destination)| {
            let address = GuestPhys::new(address);
            Exit::Memory(MemoryAccess { address, size, direction, destination })
        },
    );
    let numbers = prop_oneof![any::<u32>(), Just(device::CLEAN), Just(device::REGISTER)];
    let register =
        (numbers, direction(), destination()).prop_map(|(number, direction, destination)| {
            Exit::Register(RegisterAccess { number, direction, destination })
        });
    let port = (prop_oneof![Just(device::PORT), any::<u16>()], direction())
        .prop_map(|(port, direction)| Exit::Port(PortAccess { port, size: Size::Half, direction }));
    let call = (any::<u32>(), any::<u64>())
        .prop_map(|(function, argument)| Exit::Call(Call { function, argument }));
    let faults = vec![GuestFault::Undefined, GuestFault::NoDevice, GuestFault::NoCode];
    prop_oneof![
        4 => memory,
        1 => port,
        2 => register,
        1 => call,
        4 => power().prop_map(Exit::Power),
        1 => Just(Exit::Idle),
        1 => Just(Exit::Done),
        1 => Just(Exit::Interrupt),
        1 => prop::sample::select(faults).prop_map(Exit::Fault),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Play(usize, Exit),
    Turn(usize),
    Interrupt(usize, Interrupt),
    Advance(u64),
    Type(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let interrupt = prop_oneof![
        any::<u32>().prop_map(Interrupt::Guest),
        Just(Interrupt::Kick),
        Just(Interrupt::Refresh),
        Just(Interrupt::Deadline),
        Just(Interrupt::Console),
        Just(Interrupt::None),
    ];
    prop_oneof![
        6 => (0..3usize, exit()).prop_map(|(vcpu, exit)| Step::Play(vcpu, exit)),
        8 => (0..4usize).prop_map(Step::Turn),
        2 => (0..4usize, interrupt).prop_map(|(cpu, interrupt)| Step::Interrupt(cpu, interrupt)),
        1 => (0..1u64 << 40).prop_map(Step::Advance),
        1 => any::<u8>().prop_map(Step::Type),
    ]
}

/// Three vCPUs of one partition, and another one, with two channels between them.
fn rig() -> Rig {
    let mut draft = draft();
    add(&mut draft, "wild", &[0, 1, 2], SMALL);
    add(&mut draft, "calm", &[3], SMALL);
    draft.channels = vec![channel("one", [0, 1], 0, 1000), channel("two", [1, 0], 1, 0)];
    Rig::running(draft)
}

/// Every vCPU that was loaded in this life runs on memory that is no longer filled.
fn assert_loaded_only_while_running(events: &[Event]) {
    let mut filled = true;
    for event in events {
        match event {
            Event::Zeroed { .. } => filled = false,
            Event::Published => filled = true,
            Event::Loaded { partition: 0, .. } => assert!(filled, "{events:?}"),
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn no_sequence_of_exits_panics_or_disturbs_the_other_partition(
        steps in prop::collection::vec(step(), 1..if cfg!(miri) { 20 } else { 120 }),
    ) {
        let rig = rig();
        for step in steps {
            match step {
                Step::Play(vcpu, exit) => rig.machine.play(0, vcpu, [exit]),
                Step::Turn(cpu) => rig.turn(cpu).expect("the calm partition keeps it on"),
                Step::Interrupt(cpu, interrupt) => rig.machine.interrupt(cpu, interrupt),
                Step::Advance(time) => rig.machine.advance(time),
                Step::Type(byte) => rig.machine.type_in(&[byte]),
            }
        }
        rig.settle();
        assert_loaded_only_while_running(&rig.machine.events());
        let state = rig.partition(0).state();
        let by_itself = rig.partition(0).how() == End::Fault(Why::AllCpusOff);
        prop_assert!(state == State::Running || state == State::Failed && by_itself);
        prop_assert_eq!(rig.play(1, 0, &[read(device::SCRATCH)]), [Reply::Access(!0)]);
        prop_assert_eq!(rig.partition(1).state(), State::Running);
        prop_assert_eq!(rig.partition(1).life().restarts(), 0);
        // And it can still end, whatever it did.
        if state == State::Running {
            rig.partition(0).end(End::Off);
            rig.settle();
            prop_assert_eq!(rig.partition(0).state(), State::Off);
        }
        rig.power(1, 0, Power::SystemOff);
        prop_assert!(rig.machine.is_off());
    }
}
