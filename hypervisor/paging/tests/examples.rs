// SPDX-License-Identifier: MIT OR Apache-2.0
//! Examples: the tables of small spaces word by word, each refusal with what it
//! names, and the two steps of a split.
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
use paging::npt::Npt;
use paging::stage1::Stage1;
use paging::stage2::Stage2;
use paging::{Encode, Entry, Error, Format, Found, GuestPhys, HostPhys, HostVirt, Kind, Leaf};
use paging::{Level, Mapping, OutOfTables, Rights, Space, Tables};

const DATA: Rights = Rights::READ.union(Rights::WRITE);

fn mapping<A>(input: A, host: u64, len: u64, rights: Rights, kind: Kind) -> Mapping<A> {
    Mapping { input, host: HostPhys::new(host), len, rights, kind }
}

fn ram(input: u64, host: u64, len: u64) -> Mapping<GuestPhys> {
    mapping(GuestPhys::new(input), host, len, Rights::all(), Kind::Normal)
}

fn stage2() -> (Store, Space<Stage2>) {
    let mut store = Store::new(64);
    let space = Space::new(Stage2::new(4, false), &mut store).unwrap();
    (store, space)
}

#[test]
fn stage_2_of_a_guest_reads_as_the_manual_says() {
    let (mut store, mut space) = stage2();
    space.map(&mut store, ram(0x4000_0000, 0x8000_0000, LARGE + MIDDLE + SMALL)).unwrap();
    let root = space.root();
    assert!(root.is_aligned(2 * SMALL), "two concatenated tables are aligned together");
    assert_eq!(store.read(root, 1), 0x8000_07FD);
    let level2 = HostPhys::new(store.read(root, 2) & !3);
    assert_eq!(store.read(root, 2) & 3, 3);
    assert_eq!(store.read(level2, 0), 0xC000_07FD);
    let level3 = HostPhys::new(store.read(level2, 1) & !3);
    assert_eq!(store.read(level3, 0), 0xC020_07FF);
    assert_eq!(store.read(level3, 1), 0);
    assert_eq!(store.used(), 4);
}

#[test]
fn the_second_concatenated_table_serves_the_upper_half() {
    let (mut store, mut space) = stage2();
    space.map(&mut store, ram(0x80_4000_0000, 0x4000_0000, LARGE)).unwrap();
    let second = space.root().checked_add(SMALL).unwrap();
    assert_eq!(store.read(second, 1), 0x4000_07FD);
    assert_eq!(store.read(space.root(), 1), 0);
}

#[test]
fn the_map_of_the_hypervisor_walks_four_levels() {
    let mut store = Store::new(8);
    let mut space = Space::new(Stage1::new(4), &mut store).unwrap();
    let text = Rights::READ | Rights::EXECUTE;
    let input = HostVirt::new(0x8000_4020_1000);
    space.map(&mut store, mapping(input, 0x4020_1000, SMALL, text, Kind::Normal)).unwrap();
    let mut table = space.root();
    for index in [256, 1, 1] {
        let entry = store.read(table, index);
        assert_eq!(entry & 0xFFF, 3);
        table = HostPhys::new(entry & !0xFFF);
    }
    assert_eq!(store.read(table, 1), 0x4020_17C3);
}

/// Puts each leaf through the format and back.
fn round_trip(format: &dyn Encode) {
    let shape = format.shape();
    let top = 1u64 << shape.output_bits;
    for level in [Level::One, Level::Two, Level::Three] {
        for host in [0, level.size(), top - level.size()] {
            for bits in 0..4 {
                let rights = Rights::READ | Rights::from_bits_truncate(bits << 1);
                for kind in [Kind::Normal, Kind::NonCacheable, Kind::WriteBack, Kind::Device] {
                    let leaf = Leaf { host: HostPhys::new(host), rights, kind };
                    if let Some(entry) = format.leaf(level, leaf) {
                        assert_eq!(format.decode(level, entry), Entry::Leaf(leaf));
                    }
                }
            }
        }
    }
    for level in [Level::Zero, Level::One, Level::Two] {
        let next = HostPhys::new(top - SMALL);
        assert_eq!(format.decode(level, format.table(next)), Entry::Table(next));
        assert_eq!(format.decode(level, 0), Entry::Empty);
    }
    assert_eq!(format.decode(Level::Three, 0), Entry::Empty);
}

#[test]
fn every_entry_decodes_to_what_was_encoded() {
    for pa_range in 0..=6 {
        round_trip(&Stage2::new(pa_range, false));
        round_trip(&Stage2::new(pa_range, true));
        round_trip(&Stage1::new(pa_range));
    }
    for gigabyte in [false, true] {
        round_trip(&Ept::new(46, gigabyte));
        round_trip(&Npt::new(52, gigabyte));
    }
    round_trip(&Fake);
}

#[test]
fn every_stage_2_starts_where_the_architecture_lets_it() {
    for pa_range in 0..=5 {
        for bits in 0..64 {
            let Some(format) = Stage2::new(pa_range, false).with_input_bits(bits) else { continue };
            let shape = format.shape();
            assert!(bits <= shape.output_bits, "input wider than the CPU's addresses");
            assert!(shape.root_pages() <= 16, "at most sixteen tables are concatenated");
            assert_eq!(format.vtcr() & 0x3F, u64::from(64 - bits));
            match format.vtcr() >> 6 & 3 {
                0b01 => assert_eq!(shape.start, Level::One),
                0b10 => {
                    assert_eq!((shape.start, shape.root_pages()), (Level::Zero, 1));
                    assert!(shape.output_bits >= 44, "level 0 needs 44 address bits");
                }
                other => panic!("SL0 {other:#b}"),
            }
        }
    }
}

#[test]
fn blocks_of_1_gib_are_used_only_where_the_cpu_has_them() {
    let input = GuestPhys::new(LARGE);
    let size = |format: &dyn Encode| format.shape().largest.size();
    assert_eq!(size(&Ept::new(46, true)), LARGE);
    assert_eq!(size(&Ept::new(46, false)), MIDDLE);
    assert_eq!(size(&Npt::new(46, true)), LARGE);
    assert_eq!(size(&Npt::new(46, false)), MIDDLE);
    let mut store = Store::new(8);
    let mut space = Space::new(Ept::new(46, false), &mut store).unwrap();
    space.map(&mut store, ram(LARGE, LARGE, LARGE)).unwrap();
    assert_eq!(space.find(&store, input).unwrap().size, MIDDLE);
}

#[test]
fn an_overlap_names_what_is_there() {
    let (mut store, mut space) = stage2();
    space.map(&mut store, ram(0x4020_0000, 0x8020_0000, MIDDLE)).unwrap();
    let before = store.used();
    let refused = space.map(&mut store, ram(0x4000_0000, 0xC000_0000, LARGE)).unwrap_err();
    let host = HostPhys::new(0x8020_0000);
    assert_eq!(refused, Error::Overlap { input: 0x4020_0000, host, size: MIDDLE });
    assert_eq!(refused.to_string(), "0x40200000 is mapped already, to 0x80200000, 0x200000 bytes");
    assert_eq!(space.find(&store, GuestPhys::new(0x4000_0000)), None);
    assert_eq!(store.used(), before);
}

#[test]
fn a_bad_range_is_refused_and_named() {
    let (mut store, mut space) = stage2();
    let last_page = u64::MAX - 0xFFF;
    let out = |last| Error::InputOutOfRange { last, bits: 40 };
    let page = "0xfffffffffffff000";
    let wraps = format!("the range from {page} wraps around");
    let input_bits = "is beyond the 40 bits that are translated";
    let host_out = Error::HostOutOfRange { last: (1 << 44) + 0xFFF, bits: 44 };
    let unaligned = |value: &str| format!("{value} is not a multiple of 4 KiB");
    for (input, host, len, error, message) in [
        (0, 0, 0, Error::Empty, "the range is empty".into()),
        (1, 0, SMALL, Error::Unaligned(1), unaligned("0x1")),
        (0, 0x800, SMALL, Error::Unaligned(0x800), unaligned("0x800")),
        (0, 0, 0x1001, Error::Unaligned(0x1001), unaligned("0x1001")),
        (last_page, 0, 2 * SMALL, Error::Wraps(last_page), wraps.clone()),
        (0, last_page, 2 * SMALL, Error::Wraps(last_page), wraps),
        (last_page, 0, SMALL, out(u64::MAX), format!("{:#x} {input_bits}", u64::MAX)),
        (1 << 40, 0, SMALL, out((1 << 40) + 0xFFF), format!("0x10000000fff {input_bits}")),
        (0, 0, (1 << 40) + SMALL, out((1 << 40) + 0xFFF), format!("0x10000000fff {input_bits}")),
        (
            0,
            (1 << 44) - SMALL,
            2 * SMALL,
            host_out,
            "0x100000000fff is beyond the 44 bits of a physical address".into(),
        ),
    ] {
        let refused = space.map(&mut store, ram(input, host, len)).unwrap_err();
        assert_eq!((refused, refused.to_string()), (error, message));
        if host == 0 {
            let refused = space.unmap(&mut store, GuestPhys::new(input), len).unwrap_err();
            assert_eq!(refused, error);
        }
    }
    assert_eq!(space.find(&store, GuestPhys::new(u64::MAX)), None);
    assert_eq!(store.used(), 2);
}

fn refused<F: Format>(format: F, input: F::Input, rights: Rights, kind: Kind) -> Option<String> {
    let mut store = Store::new(64);
    let mut space = Space::new(format, &mut store).unwrap();
    let result = space.map(&mut store, mapping(input, 0, SMALL, rights, kind));
    result.err().map(|error| error.to_string())
}

#[test]
fn what_cannot_be_expressed_is_refused() {
    let (guest, own) = (GuestPhys::new(0), HostVirt::new(0));
    let no = |text: &str| Some(format!("{text} memory cannot be expressed"));
    let format = Stage2::new(4, false);
    assert_eq!(refused(format, guest, Rights::WRITE, Kind::Normal), no("-w- with Normal"));
    assert_eq!(refused(format, guest, Rights::empty(), Kind::Normal), no("--- with Normal"));
    assert_eq!(refused(format, guest, Rights::all(), Kind::Device), no("rwx with Device"));
    assert_eq!(refused(format, guest, DATA, Kind::WriteBack), no("rw- with WriteBack"));
    assert_eq!(refused(format, guest, DATA, format.shared()), None);
    let format = Stage2::new(4, true);
    assert_eq!(refused(format, guest, DATA, format.shared()), None);
    assert_eq!(refused(Stage1::new(4), own, Rights::all(), Kind::Normal), no("rwx with Normal"));
    assert_eq!(refused(Npt::new(40, true), guest, DATA, Kind::WriteBack), no("rw- with WriteBack"));
    assert_eq!(refused(Ept::new(40, true), guest, DATA, Kind::WriteBack), None);
}

#[test]
fn a_block_is_broken_before_the_table_is_made() {
    let (mut store, mut space) = stage2();
    space.map(&mut store, ram(0x4000_0000, 0x8000_0000, LARGE)).unwrap();
    let hole = GuestPhys::new(0x4020_1000);
    let broken = space.unmap(&mut store, hole, SMALL).unwrap();
    // The whole block is gone until the caller has invalidated it.
    assert!(broken.is_split());
    assert_eq!(broken.range(), (GuestPhys::new(0x4000_0000), LARGE));
    assert_eq!(store.read(space.root(), 1), 0);
    assert_eq!(space.find(&store, GuestPhys::new(0x4000_0000)), None);
    broken.make(&mut store);
    let found = |at: u64, host: u64, size: u64| {
        let host = HostPhys::new(host);
        let all = Found { host, rights: Rights::all(), kind: Kind::Normal, size };
        assert_eq!(space.find(&store, GuestPhys::new(at)), Some(all));
    };
    assert_eq!(space.find(&store, hole), None);
    found(0x4020_0FFF, 0x8020_0FFF, SMALL);
    found(0x4020_2000, 0x8020_2000, SMALL);
    found(0x4000_0008, 0x8000_0008, MIDDLE);
    found(0x7FFF_FFFF, 0xBFFF_FFFF, MIDDLE);
}

#[test]
fn an_unmap_may_split_a_block_at_either_end() {
    let (mut store, mut space) = stage2();
    space.map(&mut store, ram(0, 0, 3 * LARGE)).unwrap();
    let start = LARGE - MIDDLE;
    let broken = space.unmap(&mut store, GuestPhys::new(start), LARGE + 2 * MIDDLE).unwrap();
    assert_eq!(broken.range(), (GuestPhys::new(0), 3 * LARGE));
    broken.make(&mut store);
    let is_mapped = |at: u64| space.find(&store, GuestPhys::new(at)).is_some();
    assert!(is_mapped(start - 1) && !is_mapped(start));
    assert!(!is_mapped(2 * LARGE + MIDDLE - 1) && is_mapped(2 * LARGE + MIDDLE));
}

#[test]
fn a_whole_block_is_unmapped_without_a_split() {
    let (mut store, mut space) = stage2();
    space.map(&mut store, ram(0, 0, LARGE)).unwrap();
    let before = store.used();
    let broken = space.unmap(&mut store, GuestPhys::new(0), LARGE).unwrap();
    assert!(!broken.is_split());
    assert_eq!(broken.range(), (GuestPhys::new(0), LARGE));
    broken.make(&mut store);
    assert_eq!(store.used(), before);
}

#[test]
fn mapping_and_unmapping_a_thousand_times_takes_no_more_tables() {
    let (mut store, mut space) = stage2();
    let mut used = 0;
    for round in 0..if cfg!(miri) { 5 } else { 1000 } {
        space.map(&mut store, ram(0x4000_0000, 0x8000_0000, MIDDLE + 3 * SMALL)).unwrap();
        let all = GuestPhys::new(0x4000_0000);
        space.unmap(&mut store, all, MIDDLE + 3 * SMALL).unwrap().make(&mut store);
        if round == 0 {
            used = store.used();
        }
        assert_eq!(store.used(), used);
    }
}

#[test]
fn a_store_without_pages_is_reported() {
    let mut store = Store::new(1);
    assert_eq!(Space::new(Stage2::new(4, false), &mut store).unwrap_err(), OutOfTables);
    let mut space = Space::new(Stage1::new(4), &mut store).unwrap();
    let new = mapping(HostVirt::new(0), 0, SMALL, DATA, Kind::Normal);
    let refused = space.map(&mut store, new).unwrap_err();
    assert_eq!(refused, Error::OutOfTables);
    assert_eq!(refused.to_string(), "no memory left for translation tables");
}
