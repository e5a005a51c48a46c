// SPDX-License-Identifier: MIT OR Apache-2.0
//! A virtualized local APIC under a CPU that does what the manual says, beside
//! one in software: the guest sees the same.

use super::super::{Effect, PAGE, Posted};
use super::*;
use crate::Size;
use proptest::prelude::*;
use std::boxed::Box;
use std::prelude::rust_2024::*;
use std::vec::Vec;

/// What a CPU does with a page: "Evaluation and Delivery of Virtual Interrupts", "EOI
/// Virtualization", "TPR Virtualization", "Self-IPI Virtualization".
struct Cpu {
    page: &'static Page,
    requested: u32,
    serviced: u32,
}

fn highest(page: &Page, first: u32) -> u32 {
    let found = (0..256).rev().find(|v| page.get(first | v >> 5) >> (v & 31) & 1 != 0);
    found.unwrap_or(0)
}

impl Cpu {
    fn change(&self, first: u32, vector: u32, set: bool) {
        let (register, bit) = (first | vector >> 5, 1 << (vector & 31));
        let old = self.page.get(register);
        self.page.set(register, if set { old | bit } else { old & !bit });
    }

    fn set_priority(&self) {
        let task = self.page.get(number::TASK_PRIORITY);
        let of_task = task >> 4 >= self.serviced >> 4;
        self.page.set(number::PRIORITY, if of_task { task } else { self.serviced & 0xf0 });
    }

    /// VM entry.
    fn enter(&mut self, apic: &mut LocalApic) {
        let Handed { highest: new, changed } = apic.hand_over();
        self.requested = self.requested.max(new);
        assert_eq!(self.requested, highest(self.page, number::REQUEST));
        assert!(changed || new == 0 || new >= 16);
        self.set_priority();
    }

    fn take(&mut self) -> Option<u8> {
        let vector = self.requested;
        if vector >> 4 <= self.page.get(number::PRIORITY) >> 4 {
            return None;
        }
        self.change(number::REQUEST, vector, false);
        self.change(number::IN_SERVICE, vector, true);
        self.serviced = vector;
        self.page.set(number::PRIORITY, vector & 0xf0);
        self.requested = highest(self.page, number::REQUEST);
        u8::try_from(vector).ok()
    }

    /// The end of an interrupt: whether it exits, and of which.
    fn end(&mut self) -> Option<u8> {
        let vector = self.serviced;
        self.change(number::IN_SERVICE, vector, false);
        self.serviced = highest(self.page, number::IN_SERVICE);
        self.set_priority();
        let exits = self.page.levels(vector >> 6) >> (vector & 63) & 1 != 0;
        if exits { u8::try_from(vector).ok() } else { None }
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Post(u8, bool),
    Merge,
    Timer,
    Take,
    End,
    Task(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<u8>().prop_map(|vector| Step::Post(vector, vector % 3 == 0)),
        2 => (0x40..0x60_u8, any::<bool>()).prop_map(|(vector, level)| Step::Post(vector, level)),
        4 => Just(Step::Merge),
        1 => Just(Step::Timer),
        4 => Just(Step::Take),
        3 => Just(Step::End),
        1 => any::<u8>().prop_map(Step::Task),
    ]
}

fn new() -> (LocalApic, &'static Page) {
    let page: &'static Page = Box::leak(Box::new(Page::new()));
    let mut apic = LocalApic::new(0);
    apic.virtualize(Some(page));
    (apic, page)
}

fn end(apic: &mut LocalApic) -> Effect {
    apic.write(0xb0, Size::Word, 0, 0)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_cpu_delivers_what_software_does(steps in proptest::collection::vec(step(), 1..120)) {
        let (mut apic, page) = new();
        let mut cpu = Cpu { page, requested: 0, serviced: 0 };
        let mut plain = LocalApic::new(0);
        let posted = [Posted::new(), Posted::new()];
        for apic in [&mut apic, &mut plain] {
            let _ = apic.write(0x320, Size::Word, 2 << 17 | 0x71, 0);
        }
        let mut ends = Vec::new();
        for step in steps {
            match step {
                Step::Post(vector, level) => posted.iter().for_each(|to| to.post(vector, level)),
                Step::Merge => {
                    prop_assert_eq!(apic.merge(&posted[0]), plain.merge(&posted[1]));
                }
                Step::Timer => for apic in [&mut apic, &mut plain] {
                    let _ = apic.set_tsc_deadline(1);
                    prop_assert!(apic.expire(1).0);
                },
                Step::Take => {
                    cpu.enter(&mut apic);
                    let taken = plain.pending();
                    if let Some(vector) = taken {
                        plain.acknowledge(vector);
                    }
                    prop_assert_eq!(cpu.take(), taken);
                }
                Step::End => {
                    cpu.enter(&mut apic);
                    let exits = cpu.end();
                    if let Some(vector) = exits {
                        apic.ended(vector);
                        prop_assert_eq!(end(&mut apic), Effect::EndOfLevel(vector));
                    }
                    let told = matches!(end(&mut plain), Effect::EndOfLevel(_));
                    prop_assert_eq!(exits.is_some(), told);
                    ends.extend(exits);
                }
                Step::Task(value) => {
                    cpu.enter(&mut apic);
                    page.set(number::TASK_PRIORITY, value.into());
                    cpu.set_priority();
                    let _ = plain.write(0x80, Size::Word, value.into(), 0);
                }
            }
        }
        cpu.enter(&mut apic);
        for register in 0..0x39_u64 {
            let read = |apic: &mut LocalApic| apic.read(register << 4, Size::Word, 0);
            prop_assert_eq!(read(&mut apic), read(&mut plain), "{:#x}", register);
        }
    }

    #[test]
    fn the_page_shows_what_software_would_read(
        writes in proptest::collection::vec((0x02..0x40_u64, any::<u32>(), any::<bool>()), 1..60),
        extended: bool,
    ) {
        let (mut apic, page) = new();
        if extended {
            let _ = apic.set_base(PAGE | 0xd00);
        }
        for (register, value, sane) in writes {
            let value = u64::from(if sane { value & 0x1_00ff } else { value });
            let msr = 0x800 | u32::try_from(register).unwrap();
            match extended {
                true => drop(apic.write_msr(msr, value, 0)),
                false => drop(apic.write(register << 4, Size::Word, value, 0)),
            }
            for msr in (0x800..0x900).filter(|msr| extended && needs_no_exit(*msr, false)) {
                prop_assert_eq!(apic.read_msr(msr, 0), Ok(page.get(msr).into()), "{:#x}", msr);
            }
            // The current count, which exits, and what the CPU keeps apart.
            for at in (0x02..0x3f_u32).filter(|at| !extended && *at != 0x39 && *at != 0x31) {
                let shown = u64::from(page.get(at));
                let read = apic.read(u64::from(at) << 4, Size::Word, 0);
                prop_assert!(at == number::ARBITRATION || read == shown, "{at:#x}: {read:#x}");
            }
        }
    }
}

#[test]
fn what_passes_exists_and_is_no_more_than_a_mode_allows() {
    let (mut apic, _) = new();
    for msr in (0x800..0x900).chain([0x10, 0x1b, 0x7ff, 0x900, 0x1008, 0xc000_0808]) {
        if needs_no_exit(msr, false) {
            assert_eq!(apic.read_msr(msr, 0), Err(super::super::GeneralProtection));
        }
        assert!(!needs_no_exit(msr, true) || matches!(msr, 0x808 | 0x80b | 0x83f), "{msr:#x}");
        assert!((0x800..0x900).contains(&msr) || !needs_no_exit(msr, false), "{msr:#x}");
    }
    let _ = apic.set_base(PAGE | 0xd00);
    for msr in (0x800..0x900).filter(|msr| needs_no_exit(*msr, false)) {
        assert!(apic.read_msr(msr, 0).is_ok(), "{msr:#x}");
    }
}

#[test]
fn init_and_reset_leave_nothing_in_the_page() {
    for reset in [LocalApic::init, LocalApic::reset] {
        let (mut apic, page) = new();
        let posted = Posted::new();
        posted.post(0x45, true);
        let _ = apic.merge(&posted);
        page.set(number::IN_SERVICE | 3, 1);
        page.set(number::TASK_PRIORITY, 0x50);
        assert_eq!((page.get(number::REQUEST | 2), page.levels(1)), (1 << 5, 1 << 5));
        reset(&mut apic);
        assert_eq!(apic.hand_over(), Handed::NOTHING);
        assert!((0x08..0x28).filter(|at| is_kept(*at)).all(|at| page.get(at) == 0));
        assert_eq!(page.levels(1), 0);
        assert_eq!(page.get(number::VERSION), 0x5_0014);
    }
}

#[test]
fn the_upper_half_of_a_command_is_in_the_page() {
    let (mut apic, page) = new();
    let _ = apic.write(0xf0, Size::Word, 0x1ff, 0);
    page.set(number::COMMAND_HIGH, 0x0200_0000);
    assert_eq!(apic.write(0x300, Size::Word, 0x1040, 0), Effect::Send);
    assert_eq!(apic.message().unwrap().destination, super::super::Destination::Physical(2));
    assert_eq!(page.get(number::COMMAND), 0x40, "it is delivered");
}
