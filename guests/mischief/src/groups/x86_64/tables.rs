// SPDX-License-Identifier: MIT OR Apache-2.0
//! Descriptor tables at bad addresses, selectors that name nothing, and far
//! transfers to where no code is, task gates among them.

use crate::Setting;
use crate::hostile::{Instruction, scratch, store_table, write_bytes};
use crate::tally::Tally;
use guest_rt::machine::descriptors::{TSS_FIRST, TSS_LAST};

/// Bases and limits of tables.
const BASES: [u64; 9] =
    [0, 1, 0xa_0000, 0xd000_0000, 0xfee0_0000, 0x4_0000_0000, 0x8000_0000_0000, 1 << 63, u64::MAX];
const LIMITS: [u16; 4] = [0, 7, 0xfff, 0xffff];
/// POP RBX, RET: what a far transfer to good code comes back with.
const BACK: &[u8] = &[0x5b, 0xc3];

pub(super) fn run(_: &mut Setting, tally: &mut Tally) {
    let [bad, good] = [scratch() + 0x4000, scratch() + 0x4010];
    for (number, table) in Instruction::TABLES.iter().enumerate() {
        write_bytes(good, &store_table(number));
        for base in BASES {
            for limit in LIMITS {
                write_bytes(bad, &limit.to_le_bytes());
                write_bytes(bad + 2, &base.to_le_bytes());
                tally.count(table.run([bad, good, 0, 0]));
            }
        }
        for operand in [3 << 39, 1 << 63] {
            tally.count(table.run([operand, good, 0, 0]));
        }
        tally.part(format_args!("{}", table.text));
    }
    for segment in Instruction::SEGMENTS {
        // QEMU loads an empty task register, and ends with the next exception.
        let task = segment.text.starts_with("ltr");
        for selector in selectors().filter(|&selector| !task || selector > 3) {
            tally.count(segment.run([selector, bad, 0, 0]));
        }
        tally.part(format_args!("{}", segment.text));
    }
    write_bytes(bad, BACK);
    for far in Instruction::FAR {
        for selector in selectors() {
            tally.count(far.run([selector, bad, 0, 0]));
        }
        tally.part(format_args!("{}", far.text));
    }
}

/// All selectors of the runtime's GDT but the other CPUs' task state segments, and some far behind it.
fn selectors() -> impl Iterator<Item = u64> {
    let tasks = u64::from(TSS_FIRST) + 16..u64::from(TSS_LAST) + 16;
    (0..0x200).chain((0x200..0x1_0000).step_by(0xff7)).filter(move |at| !tasks.contains(at))
}
