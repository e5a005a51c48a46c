// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a multiboot guest finds at EBX (Multiboot Specification 0.6.96, "Boot
//! information format").

use abi::platform::pc;
use abi::range::Range;

use super::memory;

/// Fields that are valid: memory sizes, command line, memory map, loader's name.
const FLAGS: u32 = 1 | 1 << 2 | 1 << 6 | 1 << 9;
/// Bytes of the structure up to its last valid field.
const LEN: u64 = 88;
/// Bytes of an entry of the memory map behind its own size field.
const ENTRY: u32 = 20;
/// The loader's name, behind the map.
const NAME: &[u8] = b"Bulkhead\0";

/// The information at a guest address, with its memory map and the loader's name behind it.
pub(super) fn information(at: u64, cmdline: u64, memory: Range) -> Vec<u8> {
    let map = memory::map(memory);
    let map_len = (u64::from(ENTRY) + 4) * map.len() as u64;
    let mut info = vec![0; LEN as usize];
    // All of it lies in the first MiB.
    let mut put = |offset: usize, value: u64| {
        let word = u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes();
        info[offset..offset + 4].copy_from_slice(&word);
    };
    put(0, FLAGS.into());
    put(4, pc::LOW_END >> 10);
    put(8, memory.end().saturating_sub(pc::HIGH) >> 10);
    put(16, cmdline);
    put(44, map_len);
    put(48, at + LEN);
    put(64, at + LEN + map_len);
    for (range, kind) in map {
        info.extend_from_slice(&ENTRY.to_le_bytes());
        info.extend_from_slice(&range.start.to_le_bytes());
        info.extend_from_slice(&range.size.to_le_bytes());
        info.extend_from_slice(&kind.to_le_bytes());
    }
    info.extend_from_slice(NAME);
    info
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_lie_where_the_specification_says() {
        let info = information(0xf_0000, 0xf_1000, Range::new(0, 0x80_0000));
        let word = |at: usize| u32::from_le_bytes(info[at..at + 4].try_into().unwrap());
        assert_eq!([word(0), word(4), word(8)], [0x245, 639, 7 << 10]);
        assert_eq!([word(16), word(44), word(48)], [0xf_1000, 72, 0xf_0058]);
        assert_eq!([word(88), word(92), word(100), word(108)], [20, 0, 0x9_fc00, 1]);
        let name = word(64) as usize - 0xf_0000;
        assert_eq!(&info[name..], NAME);
    }
}
