// SPDX-License-Identifier: MIT OR Apache-2.0
//! What guests are known to do, one example each.

use crate::machine::{Machine, bitmap, sgi_frame};
use devices::Size;
use devices::vgic::{
    DISTRIBUTOR_SIZE, INTIDS, ListRegisters, REDISTRIBUTOR_STRIDE, SgiRegister, VCPUS, has_pending,
};

const TIMER: u32 = 27;

/// Two vCPUs whose guest enabled group 1 and what it uses, as Linux does.
fn booted(lists: usize) -> Machine {
    let mut machine = Machine::new(2, INTIDS, lists, false);
    machine.write_word(0, 0, 0x12);
    for v in 0..2 {
        machine.write_word(v, sgi_frame(v, 0x80), u32::MAX);
        machine.write_word(v, sgi_frame(v, 0x100), 0xffff | 1 << TIMER);
    }
    for n in 1..9 {
        machine.write_word(0, 0x80 + n * 4, u32::MAX);
    }
    machine
}

#[test]
fn the_frames_look_like_a_gicv3() {
    let mut machine = Machine::new(2, INTIDS, 4, false);
    assert_eq!(machine.read(0, 0x0, Size::Word), 0x50);
    machine.write_word(0, 0x0, 0x13);
    assert_eq!(machine.read(0, 0x0, Size::Word), 0x53, "as QEMU's");
    assert_eq!(machine.read(0, 0x4, Size::Word) & 0x1f, 8, "288 INTIDs");
    assert_eq!(machine.read(0, 0xffe8, Size::Word), 0x3b);
    for v in 0..2u64 {
        let frame = DISTRIBUTOR_SIZE + v * REDISTRIBUTOR_STRIDE;
        let expected = v << 32 | v << 8 | if v == 1 { 0x10 } else { 0 };
        assert_eq!(machine.read(0, frame + 8, Size::Double), expected);
        assert_eq!(machine.read(0, frame + 12, Size::Word), v);
        assert_eq!(machine.read(0, frame + 0xffe8, Size::Word), 0x3b);
        assert_eq!(machine.read(0, frame + 0x14, Size::Word), 6);
        machine.write_word(0, frame + 0x14, 0);
        assert_eq!(machine.read(0, frame + 0x14, Size::Word), 0);
    }
    assert_eq!(machine.read(0, sgi_frame(0, 0xc00), Size::Word), 0xaaaa_aaaa);
}

#[test]
fn private_interrupts_are_not_in_the_distributor() {
    let mut machine = Machine::new(1, INTIDS, 4, false);
    for offset in [0x80, 0x100, 0x200, 0x300, 0x400, 0x800, 0xc00, 0xc04] {
        machine.write_word(0, offset, u32::MAX);
        assert_eq!(machine.read(0, offset, Size::Word), 0, "{offset:#x}");
    }
}

#[test]
fn priorities_have_five_bits_and_take_bytes_and_words() {
    let mut machine = Machine::new(1, INTIDS, 4, false);
    machine.write_word(0, 0x420, 0xffff_ffff);
    assert_eq!(machine.read(0, 0x420, Size::Word), 0xf8f8_f8f8);
    let _ = machine.write(0, 0x421, Size::Byte, 0xa0);
    assert_eq!(machine.read(0, 0x420, Size::Word), 0xf8f8_a0f8);
    let _ = machine.write(0, 0x422, Size::Half, 0);
    assert_eq!(machine.read(0, 0x420, Size::Word), 0xf8f8_a0f8, "no halfwords");
}

#[test]
fn a_timer_needs_one_list_register_write_each_time() {
    let mut machine = booted(4);
    for tick in 0..5 {
        let writes = machine.cpus[0].writes;
        assert!(machine.physical_interrupt(0, TIMER));
        assert_eq!(machine.cpus[0].writes, writes + 1, "tick {tick}");
        assert!(has_pending(&machine.cpus[0]));
        assert_eq!(machine.cpus[0].acknowledge(), Some(TIMER));
        assert!(!machine.physical_interrupt(0, TIMER), "still active");
        machine.cpus[0].end(TIMER);
        machine.settle(Default::default());
        assert!(machine.physical.is_empty());
    }
}

#[test]
fn a_timer_keeps_its_list_register_beside_other_interrupts() {
    let mut machine = booted(4);
    for _ in 0..3 {
        machine.physical_interrupt(0, TIMER);
        let outcome = machine.vgic.send_sgi(1, SgiRegister::Sgi1, 1 | 2 << 24);
        assert_eq!(outcome.kick, 1);
        machine.settle(outcome);
        let mut got = [machine.cpus[0].acknowledge(), None];
        machine.cpus[0].end(got[0].unwrap_or(0));
        got[1] = machine.cpus[0].acknowledge();
        machine.cpus[0].end(got[1].unwrap_or(0));
        machine.settle(Default::default());
        got.sort_unstable();
        assert_eq!(got, [Some(2), Some(TIMER)]);
    }
}

/// Sends SGI `intid` to vCPU 0 and ends it; the list register it was in.
fn sgi(machine: &mut Machine, intid: u32) -> usize {
    let outcome = machine.vgic.send_sgi(1, SgiRegister::Sgi1, 1 | u64::from(intid) << 24);
    machine.settle(outcome);
    let held = |n: &usize| machine.cpus[0].read(*n) & 0xffff_ffff == intid.into();
    let place = (0..4).find(held).expect("it is in a list register");
    assert_eq!(machine.cpus[0].acknowledge(), Some(intid));
    machine.cpus[0].end(intid);
    place
}

#[test]
fn interrupts_that_take_turns_find_their_list_registers_again() {
    let mut machine = booted(4);
    let places = [sgi(&mut machine, 0), sgi(&mut machine, 1), sgi(&mut machine, 2)];
    for _ in 0..3 {
        machine.physical_interrupt(0, TIMER);
        assert_eq!(machine.cpus[0].acknowledge(), Some(TIMER));
        machine.cpus[0].end(TIMER);
        machine.settle(Default::default());
        assert_eq!([sgi(&mut machine, 0), sgi(&mut machine, 1), sgi(&mut machine, 2)], places);
    }
}

#[test]
fn an_interrupt_that_lingers_gives_way() {
    let mut machine = booted(4);
    for intid in 0..4 {
        sgi(&mut machine, intid);
    }
    machine.write_word(1, bitmap(0, 0x100, 40), 0xf << 8);
    for intid in 40..44 {
        assert!(machine.physical_interrupt(0, intid));
    }
    for _ in 40..44 {
        let intid = machine.cpus[0].acknowledge().expect("all four fit");
        assert!((40..44).contains(&intid));
        machine.cpus[0].end(intid);
    }
    machine.settle(Default::default());
    assert!(machine.physical.is_empty());
    sgi(&mut machine, 3);
}

#[test]
fn enabling_what_does_not_wait_kicks_nobody() {
    let mut machine = booted(4);
    let outcome = machine.write(0, sgi_frame(0, 0x100), Size::Word, u64::from(u32::MAX));
    assert_eq!(outcome.kick, 0);
    let outcome = machine.write(0, 0x104, Size::Word, u64::from(u32::MAX));
    assert_eq!(outcome.kick, 0);
}

#[test]
fn a_disabled_interrupt_waits_and_keeps_the_physical_one_active() {
    let mut machine = booted(4);
    assert!(machine.physical_interrupt(0, 40));
    assert!(!has_pending(&machine.cpus[0]));
    assert_eq!(machine.read(0, bitmap(0, 0x200, 40), Size::Word), 1 << 8);
    machine.write_word(1, bitmap(0, 0x100, 40), 1 << 8);
    assert_eq!(machine.cpus[0].acknowledge(), Some(40));
    machine.cpus[0].end(40);
    machine.settle(Default::default());
    assert!(machine.physical.is_empty());
}

#[test]
fn clearing_a_pending_physical_interrupt_gives_it_back() {
    let mut machine = booted(4);
    assert!(machine.physical_interrupt(0, 40));
    machine.write_word(0, bitmap(0, 0x280, 40), 1 << 8);
    assert!(machine.physical.is_empty());
    assert!(machine.physical_interrupt(1, TIMER));
    machine.write_word(0, sgi_frame(1, 0x280), 1 << TIMER);
    assert!(machine.physical.is_empty(), "another vCPU's, in its list register");
    assert_eq!(machine.cpus[1].acknowledge(), None);
}

#[test]
fn a_level_line_that_stays_high_comes_again() {
    let mut machine = booted(4);
    machine.write_word(0, bitmap(0, 0x100, 33), 2);
    let outcome = machine.vgic.raise(0, 33);
    machine.settle(outcome);
    for _ in 0..3 {
        assert_eq!(machine.cpus[0].acknowledge(), Some(33));
        assert_eq!(machine.cpus[0].acknowledge(), None);
        machine.cpus[0].end(33);
        machine.settle(Default::default());
    }
    let outcome = machine.vgic.lower(0, 33);
    machine.settle(outcome);
    assert_eq!(machine.cpus[0].acknowledge(), None);
}

#[test]
fn another_vcpu_sees_an_interrupt_end() {
    let mut machine = booted(4);
    machine.write_word(0, bitmap(0, 0x100, 40), 1 << 8);
    machine.physical_interrupt(0, 40);
    assert_eq!(machine.cpus[0].acknowledge(), Some(40));
    // Linux's synchronize_irq polls this from any CPU.
    let active = bitmap(1, 0x300, 40);
    assert_eq!(machine.read(1, active, Size::Word), 1 << 8);
    machine.cpus[0].end(40);
    assert_eq!(machine.read(1, active, Size::Word), 0);
}

#[test]
fn a_shared_interrupt_follows_its_route() {
    let mut machine = booted(4);
    machine.write_word(0, bitmap(0, 0x100, 40), 1 << 8);
    machine.physical_interrupt(0, 40);
    let outcome = machine.write(0, 0x6000 + 40 * 8, Size::Double, 1);
    assert_eq!((outcome.rerouted, machine.vgic.route(40)), (40, Some(1)));
    assert_eq!(machine.cpus[0].acknowledge(), None);
    assert_eq!(machine.cpus[1].acknowledge(), Some(40));
    machine.cpus[1].end(40);
    machine.write_word(0, 0x6000 + 40 * 8 + 4, 1);
    assert_eq!(machine.vgic.route(40), None, "Aff3 names nobody");
    assert_eq!(machine.read(0, 0x6000 + 40 * 8, Size::Double), 1 << 32 | 1);
}

#[test]
fn eight_vcpus_send_to_all_others() {
    let mut machine = Machine::new(VCPUS, INTIDS, 4, false);
    machine.write_word(0, 0, 3);
    for v in 0..VCPUS {
        machine.write_word(v, sgi_frame(v, 0x100), 0xffff);
    }
    let outcome = machine.vgic.send_sgi(3, SgiRegister::Sgi0, 1 << 40 | 5 << 24);
    assert_eq!(outcome.kick, 0xf7);
    assert_eq!(machine.vgic.send_sgi(3, SgiRegister::Sgi1, 1 << 40 | 5 << 24).kick, 0, "group 0");
    machine.settle(outcome);
    let got: Vec<_> = machine.cpus.iter_mut().map(|cpu| cpu.acknowledge()).collect();
    assert_eq!(got.iter().filter(|g| **g == Some(5)).count(), 7);
    assert_eq!(
        machine.vgic.send_sgi(0, SgiRegister::Sgi0, 1 | 1 << 16).kick,
        0,
        "Aff1 names nobody"
    );
}

#[test]
fn sixteen_interrupts_pass_through_one_list_register_in_order() {
    let mut machine = booted(1);
    for sgi in 0..16u64 {
        let _ = machine.write(0, sgi_frame(0, 0x400 + sgi), Size::Byte, (15 - sgi) << 3);
        let outcome = machine.vgic.send_sgi(0, SgiRegister::Sgi1, 1 | sgi << 24);
        machine.settle(outcome);
    }
    for sgi in (0..16).rev() {
        assert_eq!(machine.cpus[0].acknowledge(), Some(sgi));
        machine.settle(Default::default());
        machine.cpus[0].end(sgi);
        machine.settle(Default::default());
    }
    assert_eq!(machine.cpus[0].acknowledge(), None);
}
