// SPDX-License-Identifier: MIT OR Apache-2.0
//! The memory map of a PC guest, as every boot protocol tells it: RAM below the
//! tables, the tables, RAM behind them (ACPI Specification, "Address Range Types").

use abi::platform::pc;
use abi::range::Range;

/// Usable memory.
const RAM: u32 = 1;
/// Not to be used.
const RESERVED: u32 = 2;

/// The map of a partition with this memory: ranges with their types.
pub(super) fn map(memory: Range) -> Vec<(Range, u32)> {
    let end = memory.end();
    let between = |start: u64, limit: u64| Range::new(start, end.min(limit).saturating_sub(start));
    let map = [
        (between(pc::RAM, pc::LOW_END), RAM),
        (between(pc::LOW_END, pc::HIGH), RESERVED),
        (between(pc::HIGH, u64::MAX), RAM),
    ];
    map.into_iter().filter(|(range, _)| range.size != 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_covers_the_memory_once() {
        let memory = Range::new(0, 0x200_0000);
        let map = map(memory);
        assert_eq!(map.iter().map(|(range, _)| range.size).sum::<u64>(), memory.size);
        assert_eq!(map[1], (Range::new(0x9_fc00, 0x6_0400), RESERVED));
        assert_eq!(super::map(Range::new(0, 0x10_0000)).len(), 2);
    }
}
