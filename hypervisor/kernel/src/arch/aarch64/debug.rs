// SPDX-License-Identifier: MIT OR Apache-2.0
//! Self-hosted debug and the performance monitor after reset. Both belong to
//! the vCPU that owns the CPU and do not trap (Arm ARM, "AArch64 Self-hosted
//! Debug", "The Performance Monitors Extension").

use super::sysreg::{mrs, msr};
use aarch64_cpu::registers::{ID_AA64DFR0_EL1, MDSCR_EL1, OSLAR_EL1, Readable, Writeable};

/// Clears breakpoint, watchpoint or event counter `$n` and those below it, `$count` in all.
macro_rules! clear {
    ($count:expr, $($n:literal: $($name:literal),+;)+) => {{
        let count = $count;
        $(if count > $n {
            $(msr!($name, 0);)+
        })+
    }};
}

/// No breakpoint, no watchpoint, no counter runs; nothing of an earlier guest is left in them.
pub(super) fn reset() {
    MDSCR_EL1.set(0);
    OSLAR_EL1.set(0);
    msr!("osdlr_el1", 0);
    msr!("mdccint_el1", 0);
    msr!("dbgclaimclr_el1", 0xff);
    let dfr0 = ID_AA64DFR0_EL1.get();
    breakpoints(dfr0 >> 12 & 0xf);
    watchpoints(dfr0 >> 20 & 0xf);
    if has_monitor(dfr0) {
        monitor();
    }
}

/// Whether ID_AA64DFR0_EL1 tells of a PMU; 0xf is one of the maker's own.
fn has_monitor(dfr0: u64) -> bool {
    !matches!(dfr0 >> 8 & 0xf, 0 | 0xf)
}

/// Event counters of this CPU's PMU (PMCR_EL0.N), zero without one.
pub(super) fn event_counters() -> u64 {
    if has_monitor(ID_AA64DFR0_EL1.get()) { mrs!("pmcr_el0") >> 11 & 0x1f } else { 0 }
}

/// Clears breakpoints 0 to `last`.
fn breakpoints(last: u64) {
    clear!(last + 1,
        0: "dbgbcr0_el1", "dbgbvr0_el1"; 1: "dbgbcr1_el1", "dbgbvr1_el1";
        2: "dbgbcr2_el1", "dbgbvr2_el1"; 3: "dbgbcr3_el1", "dbgbvr3_el1";
        4: "dbgbcr4_el1", "dbgbvr4_el1"; 5: "dbgbcr5_el1", "dbgbvr5_el1";
        6: "dbgbcr6_el1", "dbgbvr6_el1"; 7: "dbgbcr7_el1", "dbgbvr7_el1";
        8: "dbgbcr8_el1", "dbgbvr8_el1"; 9: "dbgbcr9_el1", "dbgbvr9_el1";
        10: "dbgbcr10_el1", "dbgbvr10_el1"; 11: "dbgbcr11_el1", "dbgbvr11_el1";
        12: "dbgbcr12_el1", "dbgbvr12_el1"; 13: "dbgbcr13_el1", "dbgbvr13_el1";
        14: "dbgbcr14_el1", "dbgbvr14_el1"; 15: "dbgbcr15_el1", "dbgbvr15_el1";);
}

/// Clears watchpoints 0 to `last`.
fn watchpoints(last: u64) {
    clear!(last + 1,
        0: "dbgwcr0_el1", "dbgwvr0_el1"; 1: "dbgwcr1_el1", "dbgwvr1_el1";
        2: "dbgwcr2_el1", "dbgwvr2_el1"; 3: "dbgwcr3_el1", "dbgwvr3_el1";
        4: "dbgwcr4_el1", "dbgwvr4_el1"; 5: "dbgwcr5_el1", "dbgwvr5_el1";
        6: "dbgwcr6_el1", "dbgwvr6_el1"; 7: "dbgwcr7_el1", "dbgwvr7_el1";
        8: "dbgwcr8_el1", "dbgwvr8_el1"; 9: "dbgwcr9_el1", "dbgwvr9_el1";
        10: "dbgwcr10_el1", "dbgwvr10_el1"; 11: "dbgwcr11_el1", "dbgwvr11_el1";
        12: "dbgwcr12_el1", "dbgwvr12_el1"; 13: "dbgwcr13_el1", "dbgwvr13_el1";
        14: "dbgwcr14_el1", "dbgwvr14_el1"; 15: "dbgwcr15_el1", "dbgwvr15_el1";);
}

/// Stops and clears the performance monitor.
fn monitor() {
    msr!("pmcntenclr_el0", 0xffff_ffff);
    msr!("pmintenclr_el1", 0xffff_ffff);
    msr!("pmovsclr_el0", 0xffff_ffff);
    msr!("pmuserenr_el0", 0);
    msr!("pmselr_el0", 0);
    msr!("pmccfiltr_el0", 0);
    // P and C, written at EL2, reset all counters; LC stays as the architecture wants it.
    msr!("pmcr_el0", 0x46);
    for counter in 0..event_counters() {
        msr!("pmselr_el0", counter);
        super::sysreg::isb();
        msr!("pmxevtyper_el0", 0);
    }
    msr!("pmselr_el0", 0);
}
