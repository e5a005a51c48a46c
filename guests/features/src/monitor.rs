// SPDX-License-Identifier: MIT OR Apache-2.0
//! The performance monitor. Manual: Arm ARM, "The Performance Monitors Extension".

use crate::cpu::registers::{
    DFR0, PMCCFILTR, PMCCNTR, PMCEID0, PMCNTENCLR, PMCNTENSET, PMCR, PMEVCNTR0, PMEVTYPER0,
    PMINTENCLR, PMINTENSET, PMOVSCLR, PMSWINC,
};
use crate::interrupts::{comes, count, overflows};
use crate::report::{Report, Result, equal, holds};
use abi::platform::PMU_INTID;

/// PMCR_EL0: on; event counters to zero; a 64-bit cycle counter.
const ON: u64 = 1;
const RESET: u64 = 1 << 1;
const LONG: u64 = 1 << 6;
/// The cycle counter's bit.
const CYCLES: u64 = 1 << 31;
/// Events.
const SW_INCR: u64 = 0;
const INST_RETIRED: u64 = 8;
/// PMEVTYPER: count at EL2 too, if EL2 lets it.
const AT_EL2: u64 = 1 << 27;
/// PMUVer from which counting at EL2 can be prohibited.
const PROHIBITS_EL2: u64 = 4;

pub(crate) fn run(report: &mut Report) {
    let version = DFR0.get() >> 8 & 0xf;
    if version == 0 {
        return report.absent("PMU");
    }
    PMCR.set(ON | RESET | LONG);
    report.item("PMU cycle counter", cycles());
    report.item("PMU cycle overflow, interrupt 23", cycle_overflow());
    report.item("PMU software increment", increments());
    report.item("PMU event overflow, interrupt 23", event_overflow());
    if PMCEID0.get() & 1 << INST_RETIRED == 0 {
        report.absent("PMU event INST_RETIRED");
    } else {
        report.item("PMU INST_RETIRED", instructions());
        if version >= PROHIBITS_EL2 {
            report.item("PMU does not count the hypervisor", only_the_guest());
        }
    }
    PMCNTENCLR.set(0xffff_ffff);
    PMINTENCLR.set(0xffff_ffff);
    PMCR.set(LONG);
}

/// Spins for 2 instructions a turn.
fn spin(turns: u64) {
    for turn in 0..turns {
        core::hint::black_box(turn);
    }
}

fn cycles() -> Result {
    PMCCFILTR.set(0);
    PMCCNTR.set(0);
    PMCNTENSET.set(CYCLES);
    spin(10_000);
    let first = PMCCNTR.get();
    PMCNTENCLR.set(CYCLES);
    let stopped = PMCCNTR.get();
    spin(10_000);
    holds("counts nothing", first > 1000, first)?;
    equal("counts when it is off", PMCCNTR.get(), stopped)
}

/// That one overflow of this counter interrupts once, by `overflow`.
fn interrupts(bit: u64, overflow: impl FnOnce()) -> Result {
    let before = count(PMU_INTID);
    PMOVSCLR.set(0xffff_ffff);
    PMINTENSET.set(bit);
    PMCNTENSET.set(bit);
    overflow();
    let came = comes(PMU_INTID, before);
    PMINTENCLR.set(bit);
    PMCNTENCLR.set(bit);
    holds("no interrupt", came, PMOVSCLR.get())?;
    equal("overflow bits", overflows().into(), bit)?;
    equal("interrupts", (count(PMU_INTID) - before).into(), 1)
}

fn cycle_overflow() -> Result {
    interrupts(CYCLES, || PMCCNTR.set(u64::MAX - 100_000))
}

fn increments() -> Result {
    PMEVTYPER0.set(SW_INCR);
    PMEVCNTR0.set(0);
    PMCNTENSET.set(1);
    for _ in 0..1000 {
        PMSWINC.set(1);
    }
    PMCNTENCLR.set(1);
    PMSWINC.set(1);
    equal("count", PMEVCNTR0.get(), 1000)
}

fn event_overflow() -> Result {
    PMEVTYPER0.set(SW_INCR);
    PMEVCNTR0.set(0xffff_fffe);
    interrupts(1, || {
        for _ in 0..3 {
            PMSWINC.set(1);
        }
    })
}

/// Instructions that `work` retires.
fn retired(work: impl FnOnce()) -> u64 {
    PMEVTYPER0.set(INST_RETIRED | AT_EL2);
    PMEVCNTR0.set(0);
    PMCNTENSET.set(1);
    work();
    let count = PMEVCNTR0.get();
    PMCNTENCLR.set(1);
    count
}

fn instructions() -> Result {
    let few = retired(|| spin(1000));
    let many = retired(|| spin(10_000));
    holds("counts nothing", few >= 2000, few)?;
    holds("not in proportion", (9 * few..=11 * few).contains(&many), many)
}

/// PSCI_VERSION costs the hypervisor more than ten instructions and the guest fewer.
fn only_the_guest() -> Result {
    let calls = retired(|| {
        for _ in 0..100 {
            let _ = crate::cpu::hvc(0x8400_0000);
        }
    });
    holds("too many for 100 calls", calls < 2000, calls)
}
