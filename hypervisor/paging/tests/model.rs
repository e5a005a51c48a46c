// SPDX-License-Identifier: MIT OR Apache-2.0
//! Property: after any sequence of map and unmap, on every format, `find`
//! agrees with a map of ranges in a BTreeMap, and entries are as large as they
//! can be.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod common;

use common::{LARGE, MIDDLE, SMALL, Store};
use paging::ept::Ept;
use paging::fake::Fake;
use paging::long::Long;
use paging::npt::Npt;
use paging::stage1::Stage1;
use paging::stage2::Stage2;
use paging::{Address, Error, Format, Found, HostPhys, Kind, Leaf, Level, Mapping, Rights, Space};
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::{BTreeMap, BTreeSet};

/// Calls in a sequence, at most. Under Miri, which is slow, all numbers are small.
const CALLS: usize = if cfg!(miri) { 4 } else { 16 };

/// One call, with addresses as numbers.
#[derive(Clone, Debug)]
enum Call {
    Map(Mapping<u64>),
    Unmap(u64, u64),
}

/// A range that one call mapped, or what later calls left of it.
#[derive(Clone, Copy)]
struct Region {
    end: u64,
    host: u64,
    rights: Rights,
    kind: Kind,
}

/// What is mapped, by first address, and which areas were ever cut into
/// smaller entries.
#[derive(Default)]
struct Model {
    regions: BTreeMap<u64, Region>,
    cut: BTreeSet<(u64, u64)>,
    largest: u64,
}

impl Model {
    fn region(&self, at: u64) -> Option<(u64, Region)> {
        let (start, region) = self.regions.range(..=at).next_back()?;
        (at < region.end).then_some((*start, *region))
    }

    fn find(&self, at: u64) -> Option<Found> {
        let (start, region) = self.region(at)?;
        let host = HostPhys::new(region.host + (at - start));
        let fits = |size: &u64| {
            let area = at & !(size - 1);
            *size <= self.largest
                && area >= start
                && area + size <= region.end
                && (start ^ region.host) & (size - 1) == 0
                && !self.cut.contains(&(*size, area))
        };
        let size = [LARGE, MIDDLE].into_iter().find(fits).unwrap_or(SMALL);
        Some(Found { host, rights: region.rights, kind: region.kind, size })
    }

    fn overlap(&self, start: u64, end: u64) -> bool {
        self.regions.range(..end).next_back().is_some_and(|(_, region)| region.end > start)
    }

    fn map(&mut self, new: &Mapping<u64>) {
        let Mapping { input, host, len, rights, kind } = *new;
        let (end, host) = (input + len, host.get());
        self.regions.insert(input, Region { end, host, rights, kind });
        for size in [LARGE, MIDDLE] {
            let mut area = input & !(size - 1);
            while area < end {
                if self.find(area.max(input)).unwrap().size < size {
                    self.cut.insert((size, area));
                }
                area += size;
            }
        }
    }

    fn unmap(&mut self, start: u64, end: u64) {
        let mut cut = Vec::new();
        for edge in [start, end - SMALL] {
            for size in [LARGE, MIDDLE] {
                let area = edge & !(size - 1);
                let partial = area < start || area + size > end;
                if partial && self.find(edge).is_some_and(|found| found.size >= size) {
                    cut.push((size, area));
                }
            }
        }
        self.cut.extend(cut);
        let met: Vec<(u64, Region)> =
            self.regions.range(..end).map(|(at, all)| (*at, *all)).collect();
        for (first, region) in met.into_iter().filter(|(_, region)| region.end > start) {
            self.regions.remove(&first);
            if first < start {
                self.regions.insert(first, Region { end: start, ..region });
            }
            if region.end > end {
                let host = region.host + (end - first);
                self.regions.insert(end, Region { host, ..region });
            }
        }
    }
}

/// A multiple of each size: few values, so that calls meet.
fn place() -> impl Strategy<Value = u64> {
    let step = prop_oneof![Just(0u64), Just(1), Just(2), Just(511)];
    (0..6u64, step.clone(), step, 0..3).prop_map(|(large, middle, small, detail)| {
        let middle = if detail > 0 { middle * MIDDLE } else { 0 };
        let small = if detail > 1 { small * SMALL } else { 0 };
        large * LARGE + middle + small
    })
}

const RIGHTS: [Rights; 5] = [
    Rights::READ,
    Rights::READ.union(Rights::WRITE),
    Rights::READ.union(Rights::EXECUTE),
    Rights::all(),
    Rights::WRITE,
];
const KINDS: [Kind; 5] =
    [Kind::Normal, Kind::Normal, Kind::NonCacheable, Kind::WriteBack, Kind::Device];

/// A call. Lengths are bounded by the size of the entries that will be needed,
/// to keep the number of entries small.
fn call() -> impl Strategy<Value = Call> {
    let sizes = select(&[SMALL, MIDDLE, LARGE][..]);
    let long: u64 = if cfg!(miri) { 2 } else { 700 };
    let count = prop_oneof![4 => 1..4u64, 1 => 1..long];
    let high = select(&[0, (1 << 39) - 4 * LARGE][..]);
    let host = (place(), high, sizes.clone());
    let memory = (select(&RIGHTS[..]), select(&KINDS[..]));
    let map = (place(), host, sizes.clone(), count.clone(), memory);
    let map = map.prop_map(|(input, (host, high, align), unit, count, (rights, kind))| {
        let host = HostPhys::new(high + ((host & !(align - 1)) | (input & (align - 1))));
        let longest = if align == SMALL { 2 * MIDDLE } else { 3 * LARGE };
        let len = (unit * count).min(if cfg!(miri) { longest / 512 } else { longest });
        Call::Map(Mapping { input, host, len, rights, kind })
    });
    let unmap = (place(), sizes, count).prop_map(|(at, unit, n)| Call::Unmap(at, unit * n));
    prop_oneof![3 => map, 2 => unmap]
}

/// Whether the format should take the call; what is asked for is aligned.
fn takes<F: Format>(format: &F, model: &Model, new: &Mapping<u64>) -> bool {
    let shape = format.shape();
    let leaf = Leaf { host: HostPhys::new(0), rights: new.rights, kind: new.kind };
    let executes = new.kind == Kind::Device && new.rights.contains(Rights::EXECUTE);
    new.input + new.len <= 1 << shape.input_bits
        && new.host.get() + new.len <= 1 << shape.output_bits
        && new.rights.contains(Rights::READ)
        && !executes
        && format.leaf(Level::Three, leaf).is_some()
        && !model.overlap(new.input, new.input + new.len)
}

/// A space and its model.
struct Pair<F> {
    store: Store,
    space: Space<F>,
    model: Model,
    /// The store ran out once: that may have left tables, so sizes are unknown.
    ran_out: bool,
}

impl<F: Format + Copy> Pair<F> {
    fn map(&mut self, new: &Mapping<u64>) {
        let Mapping { input, host, len, rights, kind } = *new;
        let typed = Mapping { input: F::Input::new(input), host, len, rights, kind };
        let result = self.space.map(&mut self.store, typed);
        if result == Err(Error::OutOfTables) {
            self.ran_out = true;
            return;
        }
        assert_eq!(result.is_ok(), takes(self.space.format(), &self.model, new), "{result:?}");
        if let Err(Error::Overlap { input, host, size }) = result {
            let found = self.model.find(input).expect("an overlap with nothing");
            assert_eq!(found.host, host);
            assert!(self.ran_out || found.size == size);
        }
        if result.is_ok() {
            self.model.map(new);
        }
    }

    fn unmap(&mut self, input: u64, len: u64) {
        match self.space.unmap(&mut self.store, F::Input::new(input), len) {
            Ok(broken) => {
                let (start, length) = broken.range();
                assert!(start.get() <= input && input + len <= start.get() + length);
                assert_eq!(broken.is_split(), (start.get(), length) != (input, len));
                broken.make(&mut self.store);
                self.model.unmap(input, input + len);
            }
            Err(Error::OutOfTables) => self.ran_out = true,
            Err(Error::InputOutOfRange { last, bits }) => {
                assert_eq!(last, input + len - 1);
                assert!(last >= 1 << bits);
            }
            Err(other) => panic!("{other}"),
        }
    }

    fn compare(&self, probes: &BTreeSet<u64>) {
        for probe in probes {
            let found = self.space.find(&self.store, F::Input::new(*probe));
            let mut wanted = self.model.find(*probe);
            if self.ran_out {
                wanted = wanted.map(|all| Found { size: found.map_or(0, |f| f.size), ..all });
            }
            assert_eq!(found, wanted, "at {probe:#x}");
        }
    }
}

/// Plays the calls, `base` higher, and compares after each.
fn play<F: Format + Copy>(format: F, base: u64, calls: &[Call], limit: usize) {
    let mut store = Store::new(limit);
    let Ok(space) = Space::new(format, &mut store) else { return };
    let model = Model { largest: format.shape().largest.size(), ..Model::default() };
    let mut pair = Pair { store, space, model, ran_out: false };
    let mut probes = BTreeSet::new();
    for call in calls {
        let (input, len) = match call {
            Call::Map(new) => (new.input + base, new.len),
            Call::Unmap(input, len) => (input + base, *len),
        };
        match call {
            Call::Map(new) => pair.map(&Mapping { input, ..*new }),
            Call::Unmap(..) => pair.unmap(input, len),
        }
        assert!(!pair.ran_out || limit < usize::MAX);
        for edge in [input, input + len] {
            for distance in [0, SMALL, MIDDLE, LARGE] {
                probes.insert(edge.saturating_sub(distance));
                probes.insert(edge + distance + 0x123);
            }
        }
        // Miri looks for other mistakes: it compares once.
        if !cfg!(miri) {
            pair.compare(&probes);
        }
    }
    pair.compare(&probes);
}

fn config() -> ProptestConfig {
    let cases = if cfg!(miri) { 1 } else { 96 };
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Declares the properties of one format.
macro_rules! properties {
    ($($name:ident: $format:expr,)*) => {$(
        mod $name {
            use super::*;
            proptest! {
                #![proptest_config(config())]

                #[test]
                fn find_agrees_with_the_model(calls in prop::collection::vec(call(), 1..CALLS)) {
                    play($format, 0, &calls, usize::MAX);
                }

                #[test]
                fn the_end_of_the_input_is_no_exception(
                    calls in prop::collection::vec(call(), 1..CALLS),
                ) {
                    let top = 1u64 << paging::Encode::shape(&$format).input_bits;
                    play($format, top - 4 * LARGE, &calls, usize::MAX);
                }

                #[test]
                fn running_out_of_tables_changes_nothing(
                    calls in prop::collection::vec(call(), 1..CALLS),
                    limit in 0..24usize,
                ) {
                    play($format, 0, &calls, limit);
                }
            }
        }
    )*};
}

properties! {
    stage2_40_bits: Stage2::new(4, false),
    stage2_32_bits: Stage2::new(0, false),
    stage2_48_bits_forced: Stage2::new(6, true).with_input_bits(48).unwrap(),
    stage1: Stage1::new(5),
    ept: Ept::new(46, true),
    ept_without_1_gib: Ept::new(39, false),
    long: Long::new(52, true),
    long_without_1_gib: Long::new(40, false),
    npt: Npt::new(52, true),
    npt_without_1_gib: Npt::new(40, false),
    fake: Fake,
}
