// SPDX-License-Identifier: MIT OR Apache-2.0
//! The identification registers: each one can be read, and each field of a
//! feature that Bulkhead hides is zero.
//! Manual: Arm ARM, "AArch64 System Register Descriptions", "General system control registers".

use crate::cpu::{Outcome, generated, mrs};
use crate::report::{Report, Result, Wrong, equal, holds};

/// A field that is zero: its name, CRm and op2 of its register, first bit and bits.
type Field = (&'static str, u32, u32, u32, u32);

const HIDDEN: &[Field] = &[
    ("EL2, EL3", 4, 0, 8, 8),
    ("RAS", 4, 0, 28, 4),
    ("SVE", 4, 0, 32, 4),
    ("MPAM", 4, 0, 40, 4),
    ("AMU", 4, 0, 44, 4),
    ("RME", 4, 0, 52, 4),
    ("MTE", 4, 1, 8, 4),
    ("RAS_frac, MPAM_frac", 4, 1, 12, 8),
    ("SME", 4, 1, 24, 4),
    ("NMI, GCS, THE and others", 4, 1, 36, 28),
    ("ID_AA64PFR2_EL1", 4, 2, 0, 64),
    ("SVE's features", 4, 4, 0, 64),
    ("SME's features", 4, 5, 0, 64),
    ("FP8's features", 4, 7, 0, 64),
    ("trace", 5, 0, 4, 4),
    ("statistical profiling", 5, 0, 32, 4),
    ("trace filter and buffer, BRBE", 5, 0, 40, 16),
    ("ID_AA64DFR1_EL1", 5, 1, 0, 64),
    ("TME", 6, 0, 24, 4),
    ("PAuth: APA, API", 6, 1, 4, 8),
    ("PAuth: GPA, GPI", 6, 1, 24, 8),
    ("LS64", 6, 1, 60, 4),
    ("PAuth: GPA3, APA3", 6, 2, 8, 8),
    ("MOPS", 6, 2, 16, 4),
    ("WFxT", 6, 2, 0, 4),
    ("FGT, ECV", 7, 0, 56, 8),
    ("VH", 7, 1, 8, 4),
    ("LORegions", 7, 1, 16, 4),
    ("HCX", 7, 1, 40, 4),
    ("NV", 7, 2, 24, 4),
    ("ID_AA64MMFR3_EL1: S1PIE, TCRX and others", 7, 3, 0, 64),
    ("ID_AA64MMFR4_EL1", 7, 4, 0, 64),
];

/// Highest `DebugVer` and `PMUVer` whose registers are a guest's.
const DEBUG: u64 = 8;
const MONITOR: u64 = 4;

/// What an identification register reads.
pub(crate) fn read(crm: u32, op2: u32) -> core::result::Result<u64, Wrong> {
    match generated(mrs(3, 0, 0, crm, op2), 0) {
        Outcome::Done(value) => Ok(value),
        Outcome::Caught(caught) => Err(Wrong("exception", caught.class(), 0)),
    }
}

/// Some of its bits.
pub(crate) fn field(crm: u32, op2: u32, shift: u32) -> u64 {
    read(crm, op2).map_or(0, |value| value >> shift & 0xf)
}

pub(crate) fn run(report: &mut Report) {
    report.item("all ID registers can be read", all());
    for &(name, crm, op2, shift, bits) in HIDDEN {
        let value = read(crm, op2).map(|value| value >> shift & (u64::MAX >> (64 - bits)));
        report.item(
            format_args!("{name} not shown"),
            value.and_then(|value| equal("field", value, 0)),
        );
    }
    let debug = field(5, 0, 0);
    report.item("debug of Armv8.0 to 8.2", holds("version", (6..=DEBUG).contains(&debug), debug));
    let monitor = field(5, 0, 8);
    report.item("PMUv3 of Armv8.0 or 8.1", holds("version", monitor <= MONITOR, monitor));
    report.item("EL0 and EL1", holds("ID_AA64PFR0_EL1", field(4, 0, 0) > 0, field(4, 0, 0)));
    report.item("EL1 is AArch64 only", equal("ID_AA64PFR0_EL1.EL1", field(4, 0, 4), 1));
}

/// MIDR, MPIDR, REVIDR, the space of ID registers, and AIDR (op1 = 1).
fn all() -> Result {
    for op2 in [0, 5, 6] {
        read(0, op2)?;
    }
    for crm in 1..8 {
        for op2 in 0..8 {
            read(crm, op2)?;
        }
    }
    match generated(mrs(3, 1, 0, 0, 7), 0) {
        Outcome::Done(_) => Ok(()),
        Outcome::Caught(caught) => Err(Wrong("AIDR_EL1: exception", caught.class(), 0)),
    }
}
