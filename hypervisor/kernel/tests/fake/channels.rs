// SPDX-License-Identifier: MIT OR Apache-2.0
//! Doorbells: a pending bell is free, and a receiver is never interrupted more
//! often than its manifest allows.

use crate::rig::{Rig, SMALL, add, channel, draft, read, write};
use abi::platform::channel::{DOORBELL, MASK, POSITION, SIZE, STATUS};
use abi::platform::{CHANNEL_INTID, CHANNEL_REGISTERS};
use kernel::arch::{Event, Reply};
use kernel::exit::{Exit, Power};

/// Shortest time between two interrupts.
const INTERVAL: u64 = 100_000;

/// Two partitions with two channels; in the second one they change sides.
fn joined() -> Rig {
    let mut draft = draft();
    add(&mut draft, "left", &[0], SMALL);
    add(&mut draft, "right", &[1], SMALL);
    draft.channels = vec![channel("one", [0, 1], 0, INTERVAL), channel("two", [1, 0], 1, 0)];
    Rig::running(draft)
}

/// A register of the partition's channel in this slot.
fn at(slot: u64, register: u64) -> u64 {
    CHANNEL_REGISTERS + slot * 0x1000 + register
}

/// Rings the bell of this side of the channel in this slot.
fn ring(slot: u64, side: u64) -> Exit {
    write(at(slot, DOORBELL), side << 16)
}

fn value(rig: &Rig, partition: usize, address: u64) -> u64 {
    match rig.play(partition, 0, &[read(address)])[..] {
        [Reply::Access(value)] => value,
        ref other => panic!("{other:?}"),
    }
}

/// Interrupts that a partition got since the last look.
fn interrupts(rig: &Rig, partition: usize) -> Vec<u32> {
    let raised = rig.machine.events().into_iter().filter_map(|event| match event {
        Event::Raised { partition: of, interrupt } if of == partition => Some(interrupt),
        _ => None,
    });
    raised.collect()
}

#[test]
fn each_side_knows_its_number_and_the_memorys_size() {
    let rig = joined();
    for (partition, slot, side) in [(0, 0, 0), (1, 0, 1), (1, 1, 0), (0, 1, 1)] {
        assert_eq!(value(&rig, partition, at(slot, POSITION)), side);
        assert_eq!(value(&rig, partition, at(slot, SIZE)), 0x1000);
    }
}

#[test]
fn a_bell_interrupts_the_peer_and_says_so_until_it_is_read() {
    let rig = joined();
    rig.play(0, 0, &[ring(0, 1)]);
    assert_eq!(interrupts(&rig, 1), [CHANNEL_INTID]);
    assert_eq!(value(&rig, 1, at(0, STATUS)), 1);
    assert_eq!(value(&rig, 1, at(0, STATUS)), 0);
    rig.play(1, 0, &[ring(1, 1)]);
    assert_eq!(interrupts(&rig, 0), [CHANNEL_INTID + 1]);
    assert_eq!(value(&rig, 0, at(0, STATUS)), 0, "the other channel was rung");
}

#[test]
fn ringing_a_pending_bell_is_free() {
    let rig = joined();
    let flood: Vec<Exit> = (0..200).map(|_| ring(0, 1)).collect();
    rig.machine.play(0, 0, flood);
    rig.turn(0).expect("the machine is on");
    let kicks = rig.events(|event| *event == Event::Kicked { cpu: 1 });
    assert_eq!(kicks.len(), 1);
    rig.settle();
    assert_eq!(interrupts(&rig, 1), [CHANNEL_INTID]);
}

#[test]
fn a_receiver_is_interrupted_once_in_an_interval() {
    let rig = joined();
    rig.play(0, 0, &[ring(0, 1)]);
    assert_eq!(interrupts(&rig, 1).len(), 1);
    for _ in 0..10 {
        rig.play(0, 0, &[ring(0, 1)]);
    }
    assert_eq!(interrupts(&rig, 1).len(), 0);
    rig.machine.advance(INTERVAL - 8);
    rig.settle();
    assert_eq!(interrupts(&rig, 1).len(), 0, "too early");
    rig.machine.advance(8);
    rig.settle();
    assert_eq!(interrupts(&rig, 1), [CHANNEL_INTID], "the last ring was lost");
    // Nothing was rung meanwhile.
    rig.machine.advance(10 * INTERVAL);
    rig.settle();
    assert_eq!(interrupts(&rig, 1).len(), 0);
}

#[test]
fn a_channel_without_an_interval_interrupts_every_time() {
    let rig = joined();
    for _ in 0..5 {
        rig.play(1, 0, &[ring(1, 1)]);
        assert_eq!(interrupts(&rig, 0), [CHANNEL_INTID + 1]);
    }
}

#[test]
fn a_mask_keeps_the_interrupt_away_but_not_the_status() {
    let rig = joined();
    rig.play(1, 0, &[write(at(0, MASK), 0_u32)]);
    rig.play(0, 0, &[ring(0, 1)]);
    assert_eq!(interrupts(&rig, 1), []);
    assert_eq!(value(&rig, 1, at(0, STATUS)), 1);
    rig.play(1, 0, &[write(at(0, MASK), u64::MAX)]);
    assert_eq!(value(&rig, 1, at(0, MASK)), 1);
    rig.play(0, 0, &[ring(0, 1)]);
    assert_eq!(interrupts(&rig, 1), [CHANNEL_INTID]);
}

#[test]
fn only_the_peers_number_rings_and_other_registers_do_nothing() {
    let rig = joined();
    let mut exits: Vec<Exit> = [0, 2, 0x8001, 0xffff].map(|peer| ring(0, peer)).into();
    exits.extend([0, 1].map(|vector| write(at(0, DOORBELL), vector as u64)));
    let others = (0..0x1000).step_by(4).filter(|offset| *offset != DOORBELL && *offset != MASK);
    exits.extend(others.map(|offset| write(at(0, offset), u64::MAX)));
    rig.play(0, 0, &exits);
    assert_eq!(interrupts(&rig, 1), []);
    assert_eq!(value(&rig, 1, at(0, STATUS)), 0);
    assert_eq!(value(&rig, 0, at(0, 0xffc)), 0);
}

#[test]
fn a_bell_at_a_partition_that_ended_disturbs_nobody() {
    let rig = joined();
    rig.power(1, 0, Power::SystemOff);
    let _ = rig.machine.events();
    let replies = rig.play(0, 0, &[ring(0, 1), read(at(0, POSITION))]);
    assert_eq!(replies, [Reply::Access(0), Reply::Access(0)]);
    assert_eq!(interrupts(&rig, 0), []);
    assert!(!rig.machine.is_off());
}

#[test]
fn a_restart_forgets_bells_and_masks() {
    let rig = joined();
    rig.play(0, 0, &[ring(0, 1)]);
    rig.play(1, 0, &[write(at(0, MASK), 0_u32)]);
    rig.power(1, 0, Power::SystemReset);
    assert_eq!(value(&rig, 1, at(0, STATUS)), 0);
    assert_eq!(value(&rig, 1, at(0, MASK)), 1);
}
