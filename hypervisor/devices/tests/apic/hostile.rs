// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guests that write anything anywhere: nothing panics, no read is wider than
//! its size, and what waits keeps the rules.

use devices::Size;
use devices::apic::{Effect, LocalApic, Page, Posted};
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Write(u64, Size, u64),
    Read(u64, Size),
    WriteMsr(u32, u64),
    ReadMsr(u32),
    Base(u64),
    Deadline(u64),
    Offset(u64),
    Time(u64),
    Take,
    Init,
}

fn value() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        Just(0),
        Just(u64::MAX),
        (0..64_u32).prop_map(|n| 1 << n),
        0..0x800_u64
    ]
}

fn offset() -> impl Strategy<Value = u64> {
    prop_oneof![6 => (0..0x40_u64).prop_map(|n| n * 16), 2 => 0..0x1000_u64, 1 => any::<u64>()]
}

fn size() -> impl Strategy<Value = Size> {
    prop_oneof![3 => Just(2_u64), 1 => 0..4_u64].prop_map(Size::from_log2)
}

fn base() -> impl Strategy<Value = u64> {
    prop_oneof![4 => (0..16_u64).prop_map(|n| 0xfee0_0000 | n << 8), 1 => any::<u64>()]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (offset(), size(), value()).prop_map(|(o, s, v)| Step::Write(o, s, v)),
        3 => (offset(), size()).prop_map(|(o, s)| Step::Read(o, s)),
        6 => (0x800..0x840_u32, value()).prop_map(|(m, v)| Step::WriteMsr(m, v)),
        2 => any::<u32>().prop_map(Step::ReadMsr),
        2 => base().prop_map(Step::Base),
        1 => value().prop_map(Step::Deadline),
        1 => value().prop_map(Step::Offset),
        3 => value().prop_map(Step::Time),
        4 => Just(Step::Take),
        1 => Just(Step::Init),
    ]
}

/// Delivers what was sent.
fn settle(effect: Effect, apic: &mut LocalApic, apics: &[Posted]) {
    match effect {
        Effect::Send => {
            let one = apic.deliver_to_one(apics).map(|one| 1 << one);
            let reached = one.unwrap_or_else(|| apic.deliver(apics));
            assert_eq!(reached & !0b1111, 0, "only vCPUs that there are");
        }
        Effect::Everything => apics[1].publish(apic.address()),
        Effect::EndOfLevel(vector) => assert!(vector >= 16),
        Effect::None | Effect::Pending | Effect::Timer => {}
    }
    let _ = apic.merge(&apics[1]);
}

fn apply(step: Step, apic: &mut LocalApic, apics: &[Posted], now: &mut u64) {
    let effect = match step {
        Step::Write(offset, size, value) => apic.write(offset, size, value, *now),
        Step::Read(offset, size) => {
            assert_eq!(apic.read(offset, size, *now) & !size.mask(), 0);
            Effect::None
        }
        Step::WriteMsr(msr, value) => apic.write_msr(msr, value, *now).unwrap_or(Effect::None),
        Step::ReadMsr(msr) => {
            let _ = apic.read_msr(msr, *now);
            Effect::None
        }
        Step::Base(value) => apic.set_base(value).unwrap_or(Effect::None),
        Step::Deadline(value) => apic.set_tsc_deadline(value),
        Step::Offset(value) => {
            apic.set_tsc_offset(value);
            Effect::None
        }
        Step::Time(by) => {
            *now = now.saturating_add(by);
            let due = apic.deadline().is_some_and(|deadline| deadline <= *now);
            assert!(due || !apic.expire(*now).0, "earlier than it said");
            let _ = apic.expire(*now);
            assert!(apic.deadline().is_none_or(|deadline| deadline > *now || *now > 1 << 62));
            Effect::None
        }
        Step::Take => {
            assert!(!(1..16).contains(&apic.hand_over().highest));
            if let Some(vector) = apic.pending() {
                assert!(vector >= 16);
                apic.acknowledge(vector);
                assert_eq!(apic.pending().filter(|next| next >> 4 <= vector >> 4), None);
            }
            Effect::None
        }
        Step::Init => {
            apic.init();
            Effect::Everything
        }
    };
    settle(effect, apic, apics);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_guest_breaks_it(steps in proptest::collection::vec(step(), 1..150), virtualized: bool) {
        let apics: Vec<Posted> = (0..4).map(|_| Posted::new()).collect();
        let (mut apic, mut now) = (LocalApic::new(1), 0);
        if virtualized {
            apic.virtualize(Some(Box::leak(Box::new(Page::new()))));
        }
        for step in steps {
            apply(step, &mut apic, &apics, &mut now);
            if !apic.is_extended() && apic.base() & 1 << 11 != 0 {
                prop_assert_eq!(apic.read(0x100, Size::Word, now) & 0xffff, 0);
                prop_assert_eq!(apic.read(0x200, Size::Word, now) & 0xffff, 0);
            }
        }
    }
}
