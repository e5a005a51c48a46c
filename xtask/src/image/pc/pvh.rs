// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a PVH guest finds at EBX (Xen, `xen/include/public/arch-x86/hvm/start_info.h`).

use abi::platform::pc;
use abi::range::Range;

use super::memory;

/// `XEN_HVM_START_MAGIC_VALUE`.
const MAGIC: u32 = 0x336e_c578;
/// The version with a memory map.
const VERSION: u32 = 1;
/// Bytes of the structure.
const LEN: u64 = 56;

/// The start info at a guest address, with its memory map behind it.
pub(super) fn start_info(at: u64, cmdline: u64, memory: Range) -> Vec<u8> {
    let map = memory::map(memory);
    let mut info = Vec::new();
    let words = |info: &mut Vec<u8>, words: &[u32]| {
        info.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    };
    let longs = |info: &mut Vec<u8>, longs: &[u64]| {
        info.extend(longs.iter().flat_map(|long| long.to_le_bytes()));
    };
    words(&mut info, &[MAGIC, VERSION, 0, 0]); // … flags, modules
    longs(&mut info, &[0, cmdline, pc::ACPI, at + LEN]); // module list, command line, RSDP, map
    words(&mut info, &[u32::try_from(map.len()).unwrap_or(0), 0]);
    for (range, kind) in map {
        longs(&mut info, &[range.start, range.size]);
        words(&mut info, &[kind, 0]);
    }
    info
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_lie_where_xen_says() {
        let info = start_info(0xf_0000, 0xf_1000, Range::new(0, 0x80_0000));
        let long = |at: usize| u64::from_le_bytes(info[at..at + 8].try_into().unwrap());
        assert_eq!(info[..4], MAGIC.to_le_bytes());
        assert_eq!([long(24), long(32), long(40)], [0xf_1000, 0xe_0000, 0xf_0000 + LEN]);
        assert_eq!(info[48], 3);
        assert_eq!([long(LEN as usize + 48), long(LEN as usize + 56)], [0x10_0000, 0x70_0000]);
        assert_eq!(info.len(), LEN as usize + 3 * 24);
    }
}
