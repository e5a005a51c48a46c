// SPDX-License-Identifier: MIT OR Apache-2.0
//! Examples of what guests do with a local APIC.

use super::*;
use crate::Size;

const EOI: u64 = 0xb0;
const TPR: u64 = 0x80;
const SVR: u64 = 0xf0;
const ICR: u64 = 0x300;
const ICR_HIGH: u64 = 0x310;
const LVT_TIMER: u64 = 0x320;
const LVT_ERROR: u64 = 0x370;
const INITIAL: u64 = 0x380;
const CURRENT: u64 = 0x390;
const DIVIDE: u64 = 0x3e0;

fn write(apic: &mut LocalApic, offset: u64, value: u64, now: u64) -> Effect {
    apic.write(offset, Size::Word, value, now)
}

fn read(apic: &mut LocalApic, offset: u64, now: u64) -> u64 {
    apic.read(offset, Size::Word, now)
}

/// A local APIC that software has enabled, in xAPIC mode.
fn enabled(vcpu: u8) -> LocalApic {
    let mut apic = LocalApic::new(vcpu);
    let _ = write(&mut apic, SVR, 0x1ff, 0);
    apic
}

/// Letter boxes of so many local APICs in x2APIC mode, or with flat logical ids.
fn boxes(count: u8, extended: bool) -> Vec<Posted> {
    (0..count)
        .map(|vcpu| {
            let mut apic = enabled(vcpu);
            let _ = write(&mut apic, 0xd0, 1 << (24 + vcpu), 0);
            if extended {
                let _ = apic.set_base(PAGE | 0xc00).unwrap();
            }
            let posted = Posted::new();
            posted.publish(apic.address());
            posted
        })
        .collect()
}

#[test]
fn a_higher_interrupt_nests_and_an_equal_class_waits() {
    let (mut apic, posted) = (enabled(0), Posted::new());
    posted.post(0x41, false);
    assert!(apic.merge(&posted).interrupts);
    assert_eq!(apic.pending(), Some(0x41));
    apic.acknowledge(0x41);
    posted.post(0x4f, false);
    let _ = apic.merge(&posted);
    assert_eq!(apic.pending(), None, "the same class");
    posted.post(0x50, false);
    let _ = apic.merge(&posted);
    assert_eq!(apic.pending(), Some(0x50));
    apic.acknowledge(0x50);
    assert_eq!(write(&mut apic, EOI, 0, 0), Effect::Pending);
    assert_eq!(apic.pending(), None);
    assert_eq!(write(&mut apic, EOI, 0, 0), Effect::Pending);
    assert_eq!(apic.pending(), Some(0x4f));
}

#[test]
fn the_task_priority_holds_interrupts_back() {
    let (mut apic, posted) = (enabled(0), Posted::new());
    posted.post(0x61, false);
    let _ = apic.merge(&posted);
    assert_eq!(apic.set_cr8(6), Ok(Effect::Pending));
    assert_eq!((apic.pending(), apic.requested()), (None, 0x61));
    assert_eq!(read(&mut apic, TPR, 0), 0x60);
    assert_eq!(write(&mut apic, TPR, 0x5f, 0), Effect::Pending);
    assert_eq!((apic.pending(), apic.cr8()), (Some(0x61), 5));
    assert_eq!(apic.set_cr8(16), Err(GeneralProtection));
}

#[test]
fn the_end_of_a_level_is_broadcast_and_of_an_edge_is_not() {
    let (mut apic, posted) = (enabled(0), Posted::new());
    posted.post(0x30, true);
    let _ = apic.merge(&posted);
    apic.acknowledge(0x30);
    assert_eq!(write(&mut apic, EOI, 0, 0), Effect::EndOfLevel(0x30));
    posted.post(0x30, false);
    let _ = apic.merge(&posted);
    apic.acknowledge(0x30);
    assert_eq!(write(&mut apic, EOI, 0, 0), Effect::None, "an edge, and nothing waits");
    assert_eq!(write(&mut apic, EOI, 0, 0), Effect::None, "nothing is in service");
}

#[test]
fn linux_starts_another_processor() {
    let (mut apic, apics) = (enabled(0), boxes(2, false));
    let _ = write(&mut apic, ICR_HIGH, 1 << 24, 0);
    let mut send = |command| {
        let effect = write(&mut apic, ICR, command, 0);
        if effect == Effect::Send { apic.deliver(&apics) } else { 0 }
    };
    assert_eq!(send(0xc500), 2, "INIT, level, assert");
    assert_eq!(send(0x8500), 0, "INIT, level, de-assert");
    assert_eq!(send(0x0699), 2, "start-up");
    let mut other = LocalApic::new(1);
    let events = other.merge(&apics[1]);
    assert_eq!((events.init, events.startup, events.nmi), (true, Some(0x99), false));
    assert_eq!(other.merge(&apics[1]), Events::default());
    apics[1].post_startup(1);
    apics[1].post_init();
    assert_eq!(other.merge(&apics[1]).startup, None, "INIT forgets what came before");
}

#[test]
fn destinations_are_found_in_every_mode() {
    let flat = boxes(4, false);
    let to = |command: u64, extended, apics: &[Posted]| {
        Message::from_command(command, extended).unwrap().targets(1, apics)
    };
    assert_eq!(to(0x0000_0000_0000_0040, false, &flat), 0b0001);
    assert_eq!(to(0x0300_0000_0000_0040, false, &flat), 0b1000);
    assert_eq!(to(0x0400_0000_0000_0040, false, &flat), 0, "nobody's id");
    assert_eq!(to(0xff00_0000_0000_0040, false, &flat), 0b1111);
    assert_eq!(to(0x0500_0000_0000_0840, false, &flat), 0b0101, "flat");
    assert_eq!(to(0x0c00_0000_0000_0940, false, &flat), 0b0100, "lowest priority");
    assert_eq!(to(0x0004_0040, false, &flat), 0b0010, "self");
    assert_eq!(to(0x0008_0040, false, &flat), 0b1111, "all");
    assert_eq!(to(0x000c_0040, false, &flat), 0b1101, "all others");
    let extended = boxes(4, true);
    assert_eq!(to(0x0000_0002_0000_0040, true, &extended), 0b0100);
    assert_eq!(to(0xffff_ffff_0000_0040, true, &extended), 0b1111);
    assert_eq!(to(0x0000_000a_0000_0840, true, &extended), 0b1010);
    assert_eq!(to(0x0001_000a_0000_0840, true, &extended), 0, "another cluster");
    assert_eq!(to(0x0000_0020_0000_0040, true, &extended), 0);
    assert_eq!(to(0x0008_0040, false, &[]), 0, "a partition without vCPUs");
    let everyone = boxes(32, true);
    assert_eq!(to(0x0008_0040, true, &everyone), u32::MAX);
}

#[test]
fn the_cluster_model_names_some_of_a_cluster() {
    let mut apic = enabled(0);
    let _ = write(&mut apic, 0xe0, 0, 0);
    let _ = write(&mut apic, 0xd0, 0x2100_0000, 0);
    let posted = Posted::new();
    posted.publish(apic.address());
    for (destination, named) in
        [(0x21, true), (0x23, true), (0x22, false), (0x11, false), (0xff, true)]
    {
        assert_eq!(posted.is_named(destination), named, "{destination:#x}");
    }
}

#[test]
fn a_one_shot_timer_fires_once() {
    let mut apic = enabled(0);
    let _ = write(&mut apic, LVT_TIMER, 0xec, 0);
    let _ = write(&mut apic, DIVIDE, 3, 0);
    assert_eq!(write(&mut apic, INITIAL, 1000, 500), Effect::Timer);
    assert_eq!(apic.deadline(), Some(16_500));
    assert_eq!(read(&mut apic, CURRENT, 8500), 500);
    assert!(!apic.expire(16_499).0);
    assert!(apic.expire(16_500).0);
    assert_eq!((apic.pending(), apic.deadline()), (Some(0xec), None));
    assert_eq!(read(&mut apic, CURRENT, 20_000), 0);
    assert!(!apic.expire(u64::MAX).0);
}

#[test]
fn a_periodic_timer_goes_on_however_late_it_is_looked_at() {
    let mut apic = enabled(0);
    let _ = write(&mut apic, LVT_TIMER, 1 << 17 | 0xec, 0);
    let _ = write(&mut apic, DIVIDE, 0xb, 0);
    let _ = write(&mut apic, INITIAL, 10_000, 0);
    assert!(apic.expire(10_000).0);
    assert_eq!(apic.deadline(), Some(20_000));
    assert!(apic.expire(75_000).0);
    assert_eq!(apic.deadline(), Some(80_000));
    assert_eq!(read(&mut apic, CURRENT, 75_000), 5000);
    assert_eq!(read(&mut apic, CURRENT, 85_000), 5000);
    // Nobody can ask for nothing but interrupts.
    let _ = write(&mut apic, INITIAL, 1, 80_000);
    assert!(apic.deadline() > Some(84_000));
}

#[test]
fn a_deadline_is_in_the_guests_tsc() {
    let mut apic = enabled(0);
    assert_eq!(apic.set_tsc_deadline(5000), Effect::Timer);
    assert_eq!((apic.tsc_deadline(), apic.deadline()), (0, None), "not in this mode");
    let _ = write(&mut apic, LVT_TIMER, 2 << 17 | 0xec, 0);
    let _ = apic.set_tsc_deadline(5000);
    assert_eq!(apic.deadline(), Some(5000));
    apic.set_tsc_offset(1000);
    assert_eq!(apic.deadline(), Some(4000));
    apic.set_tsc_offset(1000_u64.wrapping_neg());
    assert_eq!(apic.deadline(), Some(6000));
    assert!(!apic.expire(5999).0 && apic.expire(6000).0);
    assert_eq!(apic.tsc_deadline(), 0);
    let _ = apic.set_tsc_deadline(u64::MAX);
    assert_eq!(apic.deadline(), Some(u64::MAX));
    let _ = write(&mut apic, LVT_TIMER, 0xec, 0);
    assert_eq!(apic.deadline(), None, "another mode disarms it");
}

#[test]
fn a_masked_timer_asks_for_no_deadline_and_forgets_what_passed() {
    let mut apic = enabled(0);
    let _ = write(&mut apic, LVT_TIMER, 0x1_00ec, 0);
    let _ = write(&mut apic, INITIAL, 1000, 0);
    assert_eq!(apic.deadline(), None);
    let _ = write(&mut apic, LVT_TIMER, 0xec, 5000);
    assert_eq!((apic.deadline(), apic.pending()), (None, None));
}

#[test]
fn modes_change_as_the_manual_draws_them() {
    let mut apic = LocalApic::new(3);
    assert_eq!(apic.base(), 0xfee0_0800);
    assert_eq!(apic.read_msr(0x802, 0), Err(GeneralProtection));
    assert_eq!(apic.set_base(0xfee0_0400), Err(GeneralProtection), "not enabled");
    assert_eq!(apic.set_base(0xfee0_0c00), Ok(Effect::Everything));
    assert_eq!((apic.read_msr(0x802, 0), apic.read_msr(0x80d, 0)), (Ok(3), Ok(8)));
    assert_eq!(read(&mut apic, 0x20, 0), 0xffff_ffff, "the page is gone");
    assert_eq!(apic.set_base(0xfee0_0800), Err(GeneralProtection));
    assert_eq!(apic.set_base(0xfed0_0c00), Err(GeneralProtection), "a moved page");
    assert_eq!(apic.set_base(0x1_fee0_0c00), Err(GeneralProtection));
    assert_eq!(apic.set_base(0xfee0_0000), Ok(Effect::Everything));
    assert_eq!(apic.set_base(0xfee0_0c00), Err(GeneralProtection), "not from disabled");
    assert!(apic.passes_external());
    assert_eq!(apic.set_base(0xfee0_0800), Ok(Effect::Everything));
    assert_eq!(read(&mut apic, 0x20, 0), 3 << 24);
    assert_eq!(LocalApic::new(0).base(), 0xfee0_0900);
}

#[test]
fn init_leaves_the_mode_and_nothing_else() {
    let (mut apic, posted) = (enabled(0), Posted::new());
    let _ = apic.set_base(PAGE | 0xc00);
    posted.post(0x40, false);
    let _ = apic.merge(&posted);
    assert!(apic.passes_external());
    apic.init();
    assert!(apic.is_extended() && !apic.passes_external());
    assert_eq!((apic.pending(), apic.read_msr(0x80f, 0)), (None, Ok(0xff)));
    assert_eq!(apic.read_msr(0x80d, 0), Ok(1));
}

#[test]
fn x2apic_refuses_reserved_bits() {
    let mut apic = enabled(0);
    let _ = apic.set_base(PAGE | 0xc00);
    for (msr, value) in [(0x80b, 1), (0x80f, 0x400), (0x808, 0x100), (0x828, 1), (0x83e, 4)] {
        assert_eq!(apic.write_msr(msr, value, 0), Err(GeneralProtection), "{msr:#x}");
    }
    for msr in [0x802, 0x803, 0x80d, 0x810, 0x839, 0x831, 0x80e, 0x800, 0x8ff] {
        assert_eq!(apic.write_msr(msr, 0, 0), Err(GeneralProtection), "{msr:#x}");
    }
    for msr in [0x80b, 0x83f, 0x831, 0x80e, 0x82f, 0x8ff] {
        assert_eq!(apic.read_msr(msr, 0), Err(GeneralProtection), "{msr:#x}");
    }
    assert_eq!(apic.write_msr(0x830, 1 << 12, 0), Err(GeneralProtection));
    assert_eq!(apic.write_msr(0x83f, 0x77, 0), Ok(Effect::Send));
    let message = apic.message().unwrap();
    assert_eq!((message.vector, message.destination), (0x77, Destination::Own));
}

#[test]
fn an_interrupt_for_one_takes_the_short_path_and_no_other_message() {
    let apics = boxes(3, false);
    let mut apic = enabled(0);
    let mut send = |high: u64, low: u64| {
        let _ = write(&mut apic, ICR_HIGH, high << 24, 0);
        assert_eq!(write(&mut apic, ICR, low, 0), Effect::Send);
        apic.deliver_to_one(&apics)
    };
    assert_eq!(send(2, 0x4040), Some(2));
    assert_eq!(send(0, 0x4041), Some(0), "itself, by its number");
    for (high, low, why) in [
        (0xff, 0x4042, "everyone"),
        (3, 0x4042, "nobody"),
        (2, 0x4842, "by a logical name"),
        (2, 0xc4042, "everyone else"),
        (2, 0x4142, "lowest priority"),
        (2, 0x4400, "NMI"),
    ] {
        assert_eq!(send(high, low), None, "{why}");
    }
    let mut other = enabled(2);
    assert!(other.merge(&apics[2]).interrupts);
    assert_eq!(other.pending(), Some(0x40));
}

#[test]
fn errors_interrupt_and_are_read_after_a_write() {
    let mut apic = enabled(0);
    let _ = write(&mut apic, LVT_ERROR, 0xfe, 0);
    assert_eq!(write(&mut apic, ICR, 5, 0), Effect::Pending, "vector 5");
    assert_eq!(apic.pending(), Some(0xfe));
    assert_eq!(read(&mut apic, 0x280, 0), 0);
    let _ = write(&mut apic, 0x280, 0, 0);
    assert_eq!(read(&mut apic, 0x280, 0), 0x20);
    let _ = write(&mut apic, 0x280, 0, 0);
    assert_eq!(read(&mut apic, 0x280, 0), 0);
}

#[test]
fn software_disables_it() {
    let (mut apic, posted) = (enabled(0), Posted::new());
    let _ = write(&mut apic, LVT_TIMER, 0xec, 0);
    let _ = write(&mut apic, SVR, 0xff, 0);
    assert_eq!(read(&mut apic, LVT_TIMER, 0), 0x1_00ec);
    posted.post(0x40, false);
    assert!(!apic.merge(&posted).interrupts);
    posted.post_nmi();
    assert!(apic.merge(&posted).nmi);
    let _ = write(&mut apic, SVR, 0x1ff, 0);
    assert_eq!(apic.pending(), None, "it was not accepted");
    assert_eq!(read(&mut apic, LVT_TIMER, 0), 0x1_00ec, "the mask stays");
}

#[test]
fn the_8259s_output_is_a_level() {
    let posted = Posted::new();
    assert!(posted.set_external(true), "it rose");
    assert!(!posted.set_external(true));
    assert!(posted.external() && !posted.waits());
    assert!(!posted.set_external(false));
    assert!(!posted.external());
    assert!(posted.set_external(true));
    posted.reset();
    assert!(!posted.external());
}
