// SPDX-License-Identifier: MIT OR Apache-2.0
//! A vCPU that is switched on has nothing of an earlier life: the second vCPU
//! writes every register it can, switches itself off, and is switched on again.
//!
//! Both vCPUs run with their MMU off, so they speak by plain loads and stores
//! and only the first one prints. Manual: PSCI (DEN 0022), "Initial core configuration".

use crate::cpu::registers::*;
use crate::cpu::{Register, fill, vectors};
use crate::float::numbers;
use crate::report::{Report, equal};
use core::sync::atomic::{AtomicU64, Ordering};
use guest_rt::machine::start_cpu;
use guest_rt::power::{self, AffinityState};
use guest_rt::timer;

/// What the second vCPU writes and then finds.
const REGISTERS: [Register; 37] = [
    TPIDR_EL0,
    TPIDRRO_EL0,
    TPIDR_EL1,
    CONTEXTIDR,
    SP_EL0,
    ELR,
    ESR,
    FAR,
    AFSR0,
    AFSR1,
    PAR,
    CSSELR,
    MAIR,
    AMAIR,
    TCR,
    TTBR0,
    TTBR1,
    CNTKCTL,
    CNTV_CVAL,
    CNTP_CVAL,
    FPCR,
    FPSR,
    MDSCR,
    MDCCINT,
    DBGBCR0,
    DBGBVR0,
    DBGWCR0,
    DBGWVR0,
    PMCCFILTR,
    PMCCNTR,
    PMSELR,
    PMUSERENR,
    PMEVCNTR0,
    PMEVTYPER0,
    PMINTENSET,
    PMCNTENSET,
    PMOVSSET,
];
const COUNT: usize = REGISTERS.len();
/// What a register holds that nobody wrote.
const UNKNOWN: u64 = u64::MAX;

static FOUND: [AtomicU64; COUNT] = [const { AtomicU64::new(UNKNOWN) }; COUNT];
static VECTORS: AtomicU64 = AtomicU64::new(UNKNOWN);

fn all() -> impl Iterator<Item = Register> {
    let monitor = DFR0.get() >> 8 & 0xf != 0;
    REGISTERS.into_iter().filter(move |register| monitor || !register.name.starts_with("pm"))
}

/// Writes everything: the monitor stays off, so that it cannot interrupt.
fn dirty(_: usize) -> ! {
    for register in all() {
        register.set(0x0000_0055_5555_5555);
    }
    fill(&numbers(9));
    power::cpu_off()
}

/// Notes everything.
fn look(_: usize) -> ! {
    let dirty = vectors().iter().filter(|word| **word != 0).count();
    for (register, found) in all().zip(&FOUND) {
        found.store(register.get(), Ordering::Relaxed);
    }
    VECTORS.store(dirty as u64, Ordering::Relaxed);
    power::cpu_off()
}

/// Runs the second vCPU in `main` until it is off; whether it was.
fn life(main: fn(usize) -> !) -> bool {
    if start_cpu(1, main).is_err() {
        return false;
    }
    let end = timer::now() + timer::frequency();
    while power::affinity_info(1) != Ok(AffinityState::Off) {
        if timer::now() > end {
            return false;
        }
        core::hint::spin_loop();
    }
    true
}

pub(crate) fn run(report: &mut Report) {
    let lived = life(dirty) && life(look);
    report.item("second vCPU lives twice", equal("lived", lived.into(), 1));
    for (register, found) in all().zip(&FOUND) {
        let found = found.load(Ordering::Relaxed);
        report
            .item(format_args!("{} is zero after CPU_ON", register.name), equal("value", found, 0));
    }
    let dirty = VECTORS.load(Ordering::Relaxed);
    report.item("v0 to v31 are zero after CPU_ON", equal("words", dirty, 0));
}
