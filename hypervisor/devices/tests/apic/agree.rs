// SPDX-License-Identifier: MIT OR Apache-2.0
//! What waits and what is in service, against sets of numbers and the sentences
//! of the manual.

use devices::Size;
use devices::apic::{Effect, LocalApic, Posted};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// The manual's sentences.
#[derive(Default)]
struct Model {
    posted: Vec<(u8, bool)>,
    requested: BTreeSet<u8>,
    serviced: BTreeSet<u8>,
    level: BTreeSet<u8>,
    task: u8,
}

impl Model {
    fn priority(&self) -> u8 {
        let serviced = self.serviced.last().copied().unwrap_or(0);
        if self.task >> 4 >= serviced >> 4 { self.task } else { serviced & 0xf0 }
    }

    fn pending(&self) -> Option<u8> {
        let top = self.requested.last().copied()?;
        (top >> 4 > self.priority() >> 4).then_some(top)
    }

    /// What a change of the priority asks for.
    fn waiting(&self) -> Effect {
        if self.requested.is_empty() { Effect::None } else { Effect::Pending }
    }

    fn merge(&mut self) {
        for (vector, level) in self.posted.drain(..) {
            self.requested.insert(vector);
            if level {
                self.level.insert(vector);
            } else {
                self.level.remove(&vector);
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Post(u8, bool),
    Merge,
    Take,
    End,
    Task(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        // One mode for each vector between two merges, as wiring has it.
        4 => any::<u8>().prop_map(|vector| Step::Post(vector, vector % 3 == 0)),
        2 => (0x40..0x60_u8).prop_map(|vector| Step::Post(vector, false)),
        4 => Just(Step::Merge),
        4 => Just(Step::Take),
        3 => Just(Step::End),
        1 => any::<u8>().prop_map(Step::Task),
    ]
}

/// The vectors that a row of eight registers shows.
fn shown(apic: &mut LocalApic, first: u64) -> BTreeSet<u8> {
    let word = |apic: &mut LocalApic, n: u64| apic.read(first + n * 16, Size::Word, 0);
    (0..=255).filter(|v| word(apic, u64::from(v / 32)) >> (v % 32) & 1 != 0).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn requests_and_services_are_the_manuals(steps in proptest::collection::vec(step(), 1..120)) {
        let (mut apic, posted, mut model) = (LocalApic::new(0), Posted::new(), Model::default());
        for step in steps {
            match step {
                Step::Post(vector, level) => {
                    posted.post(vector, level);
                    if vector >= 16 {
                        model.posted.push((vector, level));
                    }
                }
                Step::Merge => {
                    let came = apic.merge(&posted).interrupts;
                    prop_assert_eq!(came, !model.posted.is_empty());
                    model.merge();
                }
                Step::Take => {
                    prop_assert_eq!(apic.pending(), model.pending());
                    if let Some(vector) = model.pending() {
                        apic.acknowledge(vector);
                        model.requested.remove(&vector);
                        model.serviced.insert(vector);
                    }
                }
                Step::End => {
                    let ended = model.serviced.pop_last();
                    let expected = match ended {
                        None => Effect::None,
                        Some(vector) if model.level.contains(&vector) => Effect::EndOfLevel(vector),
                        Some(_) => model.waiting(),
                    };
                    prop_assert_eq!(apic.write(0xb0, Size::Word, 0, 0), expected);
                }
                Step::Task(value) => {
                    let effect = apic.write(0x80, Size::Word, value.into(), 0);
                    prop_assert_eq!(effect, model.waiting());
                    model.task = value;
                }
            }
            prop_assert_eq!(apic.pending(), model.pending());
            prop_assert_eq!(apic.read(0xa0, Size::Word, 0), u64::from(model.priority()));
        }
        prop_assert_eq!(shown(&mut apic, 0x100), model.serviced);
        prop_assert_eq!(shown(&mut apic, 0x180), model.level);
        prop_assert_eq!(shown(&mut apic, 0x200), model.requested);
    }
}

#[test]
fn nothing_posted_by_several_threads_is_lost() {
    let posted = Posted::new();
    let mut apic = LocalApic::new(0);
    let mut seen = BTreeSet::new();
    std::thread::scope(|scope| {
        for first in 0..3_u8 {
            let posted = &posted;
            scope.spawn(move || (16 + first..=253).step_by(3).for_each(|v| posted.post(v, false)));
        }
        while seen.len() < 238 {
            let _ = apic.merge(&posted);
            while let Some(vector) = apic.pending() {
                apic.acknowledge(vector);
                assert!(seen.insert(vector), "{vector} twice");
                let _ = apic.end_of_interrupt();
            }
            std::thread::yield_now();
        }
    });
    assert_eq!(seen, (16..=253).collect());
}
