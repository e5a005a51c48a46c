// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cache maintenance, with caches on and off.

use crate::cpu::registers::CTR;
use crate::cpu::{
    clean_by_way, disable_caches, instruction_follows_store, scratch_holds, write_scratch,
    zero_line, zeroing_size,
};
use crate::report::{Report, Result, holds};
use guest_rt::machine::enable_mmu;

/// By set and way: memory keeps what it holds.
pub(crate) fn run(report: &mut Report, when: &str) {
    report.item(format_args!("set/way, {when}"), by_way(1));
}

fn by_way(seed: u64) -> Result {
    write_scratch(seed);
    let lines = clean_by_way();
    holds("no lines", lines > 0, lines)?;
    holds("memory changed", scratch_holds(seed), lines)
}

/// Caches off, memory cleaned, then on again: what was written is there each time.
pub(crate) fn off_again(report: &mut Report) {
    write_scratch(5);
    disable_caches();
    let lines = clean_by_way();
    let off = scratch_holds(5);
    write_scratch(6);
    let written = scratch_holds(6);
    let _ = clean_by_way();
    enable_mmu();
    let on = scratch_holds(6);
    let kept = off && written && on;
    let state = u64::from(off) | u64::from(written) << 1 | u64::from(on) << 2;
    report.item("set/way, caches off and on again", holds("memory changed", kept, state));
    report.item("set/way, lines", holds("none", lines > 0, lines));
}

/// By address, and the registers that say how.
pub(crate) fn by_address(report: &mut Report) {
    let ctr = CTR.get();
    report.item("CTR_EL0", holds("no line size", ctr >> 16 & 0xf > 0 && ctr & 0xf > 0, ctr));
    match zeroing_size() {
        None => report.absent("DC ZVA"),
        Some(size) => report.item("DC ZVA", zeroes(size)),
    }
    report.item("IC IVAU", holds("old instruction ran", instruction_follows_store(), 0));
}

fn zeroes(size: u64) -> Result {
    write_scratch(7);
    zero_line();
    holds("bytes", crate::cpu::zero_words(7) * 8 == size, size)
}
