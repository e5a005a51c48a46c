// SPDX-License-Identifier: MIT OR Apache-2.0
//! Floating-point and vector registers: zero at the start, and a guest's own
//! over exits of every kind.

use crate::cpu::registers::{CNTV_CTL, CNTV_CVAL, CNTVCT, DFR0, FPCR, FPSR};
use crate::cpu::{self, VECTORS, Vectors, fill, generated, hvc, number, smc, vectors};
use crate::interrupts::{SGI, comes, count};
use crate::report::{Report, Result, equal, holds};
use abi::platform::{UART, VIRTUAL_TIMER_INTID};
use guest_rt::machine::gic;
use guest_rt::machine::{cpu_index, mask_interrupts, unmask_interrupts, wait_for_interrupt};
use guest_rt::{machine, power};

/// PSCI_VERSION, and a function that nobody has.
const PSCI_VERSION: u64 = 0x8400_0000;
const NO_FUNCTION: u64 = 0xc600_1234;
/// MRS x0, HCR_EL2.
const HCR_EL2: u32 = 0xd53c_1100;
/// FPCR: AHP, DN, FZ, RMode. FPSR: QC, IDC, IXC to IOC.
const CONTROL: u64 = 0x7c0_0000;
const STATUS: u64 = 0x0800_009f;

/// Before anything else used them.
pub(crate) fn at_start(report: &mut Report) {
    report.item("v0 to v31 are zero at start", all_zero(&vectors()));
    report
        .item("FPCR and FPSR are zero at start", equal("FPCR or FPSR", FPCR.get() | FPSR.get(), 0));
}

/// That all are zero.
pub(crate) fn all_zero(values: &Vectors) -> Result {
    let dirty = values.iter().position(|value| *value != 0);
    equal("word", dirty.map_or(u64::MAX, |word| word as u64), u64::MAX)
}

/// Numbers for all vector registers.
pub(crate) fn numbers(seed: u64) -> Vectors {
    let mut values = [0; VECTORS];
    for (index, value) in values.iter_mut().enumerate() {
        *value = number(seed, index);
    }
    values
}

/// Something that makes the vCPU exit.
type Cause = (&'static str, fn());

const CAUSES: [Cause; 9] = [
    ("HVC", || {
        let _ = hvc(PSCI_VERSION);
        let _ = hvc(NO_FUNCTION);
    }),
    ("SMC", || {
        let _ = smc(PSCI_VERSION);
    }),
    ("an emulated device", || {
        let _ = machine::UART.read32(0x18);
        let _ = generated(0xb840_4401, UART); // LDR w1, [x0], #4: decoded from memory
    }),
    ("an emulated register", || {
        let _ = DFR0.get();
    }),
    ("an undefined register", || {
        let _ = generated(HCR_EL2, 0);
    }),
    ("memory that is not there", || {
        let _ = generated(0xf940_0000, 0x0b00_0000); // LDR x0, [x0]
    }),
    ("an SGI", || {
        let before = count(SGI);
        gic::send_sgi(SGI, cpu_index());
        let _ = comes(SGI, before);
    }),
    ("a timer and WFI", || {
        let before = count(VIRTUAL_TIMER_INTID);
        CNTV_CVAL.set(CNTVCT.get() + 1000);
        mask_interrupts();
        CNTV_CTL.set(1);
        wait_for_interrupt();
        unmask_interrupts();
        let _ = comes(VIRTUAL_TIMER_INTID, before);
    }),
    ("cleaning by set and way, and a call about power", || {
        let _ = cpu::clean_by_way();
        let _ = power::affinity_info(0);
    }),
];

/// What is in the registers stays there.
pub(crate) fn over_exits(report: &mut Report) {
    for (seed, (name, cause)) in (1..).zip(CAUSES) {
        report.item(format_args!("floating point over {name}"), keeps(seed, cause));
    }
    FPCR.set(0);
    FPSR.set(0);
}

fn keeps(seed: u64, cause: fn()) -> Result {
    let values = numbers(seed);
    fill(&values);
    FPCR.set(CONTROL);
    FPSR.set(STATUS);
    cause();
    let after = vectors();
    equal("FPCR", FPCR.get(), CONTROL)?;
    equal("FPSR", FPSR.get(), STATUS)?;
    holds("a vector register changed", after == values, seed)
}
