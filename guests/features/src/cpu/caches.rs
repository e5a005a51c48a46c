// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cache maintenance as an operating system does it.
//! Manual: Arm ARM, "Cache maintenance instructions, and data cache zero instruction".

use super::registers::{CCSIDR, CLIDR, CSSELR, MMFR2};
use core::arch::asm;

/// DC CISW over all sets and ways of all levels that hold data; how many.
pub(crate) fn clean_by_way() -> u64 {
    let clidr = CLIDR.get();
    let mut count = 0;
    for level in 0..7 {
        match clidr >> (3 * level) & 7 {
            0 => break,
            1 => {}
            _ => count += level_by_way(level),
        }
    }
    // SAFETY: a barrier.
    unsafe { asm!("dsb sy", "isb", options(nostack)) };
    count
}

fn level_by_way(level: u64) -> u64 {
    CSSELR.set(level << 1);
    let size = CCSIDR.get();
    let wide = MMFR2.get() >> 20 & 0xf != 0;
    let (last_way, last_set) = if wide {
        (size >> 3 & 0x1f_ffff, size >> 32 & 0xff_ffff)
    } else {
        (size >> 3 & 0x3ff, size >> 13 & 0x7fff)
    };
    let line = (size & 7) + 4;
    let way_shift = if last_way == 0 { 0 } else { (last_way as u32).leading_zeros() };
    let mut count = 0;
    for way in 0..=last_way {
        for set in 0..=last_set {
            let which = way << way_shift | set << line | level << 1;
            // SAFETY: cleans and invalidates: no memory loses what was written to it.
            unsafe { asm!("dc cisw, {}", in(reg) which, options(nostack)) };
            count += 1;
        }
    }
    count
}

/// Turns this CPU's MMU and caches off, the way PSCI's CPU_OFF wants it done.
pub(crate) fn disable_caches() {
    let sctlr = super::registers::SCTLR.get() & !(1 << 12 | 1 << 2 | 1);
    // SAFETY: memory is mapped one to one, so the code goes on with the MMU off; clean_by_way, which
    // the caller does next, brings what the caches held to memory. No other CPU of this guest runs.
    unsafe { asm!("dsb sy", "msr sctlr_el1, {}", "isb", in(reg) sctlr, options(nostack)) };
}

/// Bytes that DC ZVA zeroes; none if it is prohibited.
pub(crate) fn zeroing_size() -> Option<u64> {
    let dczid: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, dczid_el0", out(reg) dczid, options(nomem, nostack)) };
    (dczid & 1 << 4 == 0).then(|| 4 << (dczid & 0xf))
}

/// DC ZVA at the start of the scratch memory.
pub(crate) fn zero_line() {
    // SAFETY: at most 2 KiB of the scratch memory, which nothing else uses.
    unsafe { asm!("dc zva, {}", in(reg) super::scratch(), options(nostack)) };
}

/// Whether an instruction that was stored runs after DC CVAU and IC IVAU.
pub(crate) fn instruction_follows_store() -> bool {
    const MOV_X0: u32 = 0xd280_0000;
    (0..8).all(|value| {
        matches!(super::generated(MOV_X0 | value << 5, 99), super::Outcome::Done(x0) if x0 == u64::from(value))
    })
}
