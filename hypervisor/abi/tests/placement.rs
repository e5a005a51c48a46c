// SPDX-License-Identifier: MIT OR Apache-2.0
//! Placement: disjoint, in RAM, congruent, largest first, and refused by name.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

use abi::placement::{Purpose, Request, Reserved, place};
use abi::range::{BLOCK_1G, BLOCK_2M, Range};
use abi::records::{PLACE_AT_BOOT, name};
use proptest::prelude::*;

const MIB: u64 = 1 << 20;
const RAM: [Range; 1] = [Range::new(0x4000_0000, 1024 * MIB)];

fn want(owner: &str, guest: u64, size: u64) -> Request {
    let owner = name(owner).unwrap();
    Request { owner, purpose: Purpose::Memory, row: 0, guest, size, host: PLACE_AT_BOOT }
}

fn home() -> [Reserved; 2] {
    [
        Reserved::new("the device tree", 0x4000_0000, 2 * MIB),
        Reserved::new("Bulkhead", 0x4020_0000, 2 * MIB),
    ]
}

#[test]
fn the_largest_comes_first_behind_what_is_reserved() {
    let mut requests = [want("small", 0x4000_0000, 8 * MIB), want("large", 0x4000_0000, 512 * MIB)];
    place(&RAM, &home(), &mut requests).unwrap();
    assert_eq!(requests.map(|request| request.host), [0x6040_0000, 0x4040_0000]);
}

#[test]
fn a_gibibyte_gets_a_level_1_block_if_there_is_one() {
    let wide = [Range::new(0x4000_0000, 4096 * MIB)];
    let mut requests = [want("large", 0x4000_0000, 1024 * MIB)];
    place(&wide, &home(), &mut requests).unwrap();
    assert_eq!(requests[0].host, 0x8000_0000);
    let narrow = [Range::new(0x4000_0000, 1536 * MIB)];
    let mut requests = [want("large", 0x4000_0000, 1024 * MIB)];
    place(&narrow, &home(), &mut requests).unwrap();
    assert_eq!(requests[0].host, 0x4040_0000);
}

#[test]
fn what_does_not_fit_is_refused_with_name_and_size() {
    let mut requests = [want("small", 0, 8 * MIB), want("large", 0, 1024 * MIB)];
    let refusal = place(&RAM, &home(), &mut requests).unwrap_err();
    assert_eq!(refusal.to_string(), "no room for memory of large: 1 GiB");
    let channel = Request { purpose: Purpose::Channel, ..want("bell", 0, 2048 * MIB) };
    let flash = Request { purpose: Purpose::Flash, ..want("boot", 0, 2048 * MIB) };
    assert_eq!(
        place(&RAM, &[], &mut [channel]).unwrap_err().to_string(),
        "no room for channel bell: 2 GiB"
    );
    assert_eq!(
        place(&RAM, &[], &mut [flash]).unwrap_err().to_string(),
        "no room for flash of boot: 2 GiB"
    );
}

#[test]
fn pinned_memory_is_kept_or_refused() {
    let pin =
        |host: u64| [Request { host, ..want("p", 0x4000_0000, 2 * MIB) }, want("q", 0, 512 * MIB)];
    let mut requests = pin(0x4040_0000);
    place(&RAM, &home(), &mut requests).unwrap();
    assert_eq!(requests.map(|request| request.host), [0x4040_0000, 0x4060_0000]);
    let refused = |host: u64| place(&RAM, &home(), &mut pin(host)).unwrap_err().to_string();
    assert_eq!(refused(0x4030_0000), "memory of partition p (2 MiB at 0x40300000) covers Bulkhead");
    assert_eq!(
        refused(0x7ff0_0000),
        "memory of partition p (2 MiB at 0x7ff00000) lies outside the machine's RAM"
    );
}

proptest! {
    #[test]
    fn what_is_placed_is_disjoint_inside_and_congruent(
        sizes in proptest::collection::vec((1_u64..600, 0_u64..8), 1..20),
        holes in proptest::collection::vec((0_u64..8192, 1_u64..64), 0..6),
    ) {
        let ram = [Range::new(0x4000_0000, 3072 * MIB), Range::new(0x2_0000_0000, 4096 * MIB)];
        let hole = |(at, pages): (u64, u64)| Reserved::new("hole", 0x4000_0000 + at * MIB / 2, pages * 0x1000);
        let reserved: Vec<_> = holes.into_iter().map(hole).collect();
        let mut requests: Vec<_> = sizes
            .into_iter()
            .map(|(size, guest)| want("p", 0x4000_0000 + guest * 0x8_0000, size * size * 0x1000))
            .collect();
        if place(&ram, &reserved, &mut requests).is_err() {
            return Ok(());
        }
        for (row, request) in requests.iter().enumerate() {
            let range = request.range().unwrap();
            prop_assert!(ram.iter().any(|ram| ram.contains(range)));
            prop_assert!(!reserved.iter().any(|reserved| reserved.range.overlaps(range)));
            prop_assert!(!requests[..row].iter().any(|other| other.range().unwrap().overlaps(range)));
            let block = if request.size >= BLOCK_2M { BLOCK_2M } else { 0x1000 };
            prop_assert_eq!(range.start % block, request.guest % block);
            prop_assert!(request.size < BLOCK_1G || range.start % BLOCK_2M == request.guest % BLOCK_2M);
        }
    }
}
