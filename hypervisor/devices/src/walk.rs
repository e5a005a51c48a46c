// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest's own translation tables (VMSAv8-64 stage 1), as far as it takes to
//! say on which level a walk met something that is not the partition's memory.
//!
//! Manual: Arm ARM, "Translation table walk", "TCR_EL1", "VMSAv8-64 translation
//! table format descriptors". Guests see no 52-bit addresses.

/// What translates for EL1 and EL0.
#[derive(Clone, Copy, Debug)]
pub struct Regime {
    /// `TCR_EL1`.
    pub tcr: u64,
    /// `TTBR0_EL1` and `TTBR1_EL1`.
    pub tables: [u64; 2],
}

/// Bits of an address in a base register or descriptor; what lies below a table's size is not part of it.
const ADDRESS: u64 = 0x0000_ffff_ffff_ffff;
/// The last level.
const LAST: u8 = 3;

/// The level, 0 to 3, at which the walk for `address` reads its entry in the 4 KiB page of
/// `refused`, or meets an entry that `read` cannot give. Both addresses are IPAs. Whatever the
/// tables hold, at most three entries are read.
#[must_use]
pub fn level(address: u64, regime: Regime, refused: u64, read: impl Fn(u64) -> Option<u64>) -> u8 {
    let half = Half::of(address, regime);
    let (mut table, mut top) = (half.table, half.bits);
    for level in (0..LAST).filter(|level| half.below(*level) < half.bits) {
        let below = half.below(level);
        let base = table & ADDRESS & !low(top.saturating_sub(below).saturating_add(3));
        let entry = base | (address & low(top)).unbounded_shr(below).unbounded_shl(3);
        if entry >> 12 == refused >> 12 {
            return level;
        }
        match read(entry) {
            Some(descriptor) if descriptor & 3 == TABLE => table = descriptor,
            _ => return level,
        }
        top = below;
    }
    LAST
}

/// Type of a descriptor that names a further table.
const TABLE: u64 = 3;

/// The lower or upper half of the address space.
struct Half {
    /// The first table, with what else its register holds.
    table: u64,
    /// Bits of an address that are translated.
    bits: u32,
    /// Bits of an address within a page.
    granule: u32,
}

impl Half {
    fn of(address: u64, regime: Regime) -> Self {
        let [lower, upper] = regime.tables;
        let is_upper = address >> 55 & 1 != 0;
        let (table, unused) =
            if is_upper { (upper, regime.tcr >> 16) } else { (lower, regime.tcr) };
        // TG1 and TG0 number the granules differently.
        let granule = match (is_upper, regime.tcr >> 30 & 3, regime.tcr >> 14 & 3) {
            (true, 1, _) | (false, _, 2) => 14,
            (true, 3, _) | (false, _, 1) => 16,
            _ => 12,
        };
        let bits = 64u32.saturating_sub((unused & 0x3f) as u32).clamp(16, 48);
        Self { table, bits, granule }
    }

    /// Bits of an address below those that index the table of this level.
    fn below(&self, level: u8) -> u32 {
        let stride = self.granule.saturating_sub(3);
        self.granule.saturating_add(stride.saturating_mul(LAST.saturating_sub(level).into()))
    }
}

/// So many ones.
fn low(bits: u32) -> u64 {
    !u64::MAX.unbounded_shl(bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cell::Cell;
    use std::collections::BTreeMap;

    /// Both halves with 4 KiB pages and so many unused bits.
    fn four_kib(unused: u64) -> u64 {
        unused | unused << 16 | 2 << 30
    }

    /// Tables of one address with 48 bits, each level's at a page of its own.
    fn chain(address: u64, first: u64) -> BTreeMap<u64, u64> {
        let entry = |level: u64| {
            let index = address >> (12 + 9 * (3 - level)) & 511;
            (first + 0x1000 * level + 8 * index, (first + 0x1000 * (level + 1)) | 3)
        };
        (0..3).map(entry).collect()
    }

    #[test]
    fn the_level_is_that_of_the_page_that_refused() {
        let address = 0x0000_1234_5678_9abc;
        let tables = chain(address, 0x4000_0000);
        let regime = Regime { tcr: four_kib(16), tables: [0x4000_0000, 0] };
        for expected in 0..4 {
            let page = 0x4000_0000 + 0x1000 * expected;
            let found = level(address, regime, page, |at| tables.get(&at).copied());
            assert_eq!(u64::from(found), expected);
        }
    }

    #[test]
    fn the_level_is_that_of_the_entry_that_is_not_memory() {
        let address = 0xffff_8000_1234_5678;
        let tables = chain(address, 0x8000_0000);
        for missing in 0..3 {
            let regime = Regime { tcr: four_kib(16), tables: [0, 0x8000_0000] };
            let known = |at: u64| (at >> 12 & 0xf != missing).then(|| tables.get(&at).copied());
            assert_eq!(u64::from(level(address, regime, 0, |at| known(at)?)), missing);
        }
    }

    #[test]
    fn a_smaller_half_starts_at_a_later_level() {
        let nothing = |_| None;
        for (unused, expected) in [(16, 0), (24, 0), (25, 1), (33, 1), (34, 2), (42, 2), (43, 3)] {
            let regime = Regime { tcr: four_kib(unused), tables: [0x1000, 0x1000] };
            assert_eq!(level(0, regime, 0, nothing), expected, "T0SZ {unused}");
            assert_eq!(level(u64::MAX, regime, 0, nothing), expected, "T1SZ {unused}");
        }
    }

    #[test]
    fn both_halves_name_their_granules_differently() {
        let start =
            |tcr, address| level(address, Regime { tcr, tables: [0x10000, 0x10000] }, 0, |_| None);
        let unused = 25 | 25 << 16;
        assert_eq!(start(unused | 1 << 14, 0), 2, "64 KiB");
        assert_eq!(start(unused | 2 << 14, 0), 1, "16 KiB");
        assert_eq!(start(unused | 3 << 30, u64::MAX), 2, "64 KiB");
        assert_eq!(start(unused | 1 << 30, u64::MAX), 1, "16 KiB");
    }

    proptest! {
        #[test]
        fn any_tables_end_within_three_reads(
            address: u64, tcr: u64, tables: [u64; 2], refused: u64, descriptors: [u64; 3],
        ) {
            let reads = Cell::new(0);
            let found = level(address, Regime { tcr, tables }, refused, |_| {
                let descriptor = descriptors.get(reads.get()).copied();
                reads.set(reads.get() + 1);
                descriptor
            });
            prop_assert!(found <= 3);
            prop_assert!(reads.get() <= 3);
        }
    }
}
