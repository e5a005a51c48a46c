// SPDX-License-Identifier: MIT OR Apache-2.0
//! What this CPU has, read once per CPU from its ID registers, and whether it
//! has what Bulkhead needs.
use aarch64_cpu::registers::{
    ID_AA64DFR0_EL1, ID_AA64MMFR0_EL1, ID_AA64MMFR1_EL1, ID_AA64MMFR2_EL1, ID_AA64PFR0_EL1,
    ID_AA64PFR1_EL1, Readable,
};

/// Optional features that change what the kernel does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Features {
    /// `ID_AA64MMFR0_EL1.PARange`.
    pub pa_range: u8,
    /// Stage 2 can force write-back.
    pub forced_write_back: bool,
    /// Limited ordering regions.
    pub lor: bool,
    /// Error records.
    pub ras: bool,
    /// Memory tags, with registers (2 and above).
    pub mte: bool,
    /// SVE or SME, which CPACR_EL1 controls too.
    pub vectors_hidden: bool,
    /// SME, which has an identification register of its own.
    pub sme: bool,
    /// PSTATE.ALLINT.
    pub interrupt_mask: bool,
    /// Activity monitors.
    pub activity_monitors: bool,
    /// MPAM.
    pub partitioning: bool,
    /// Statistical profiling.
    pub profiling: bool,
    /// A trace buffer.
    pub trace_buffer: bool,
    /// HCRX_EL2.
    pub extended_traps: bool,
    /// Fine-grained traps: FEAT_FGT is 1, FEAT_FGT2 is 2.
    pub fine_traps: u8,
    /// `ID_AA64DFR0_EL1.PMUVer`; none and a maker's own are 0.
    pub monitor: u8,
}

/// Four bits of an ID register.
fn field(register: u64, shift: u32) -> u8 {
    (register >> shift & 0xf) as u8
}

/// Reads them.
#[must_use]
pub(super) fn features() -> Features {
    let dfr0 = ID_AA64DFR0_EL1.get();
    let mmfr0 = ID_AA64MMFR0_EL1.get();
    let mmfr1 = ID_AA64MMFR1_EL1.get();
    let mmfr2 = ID_AA64MMFR2_EL1.get();
    let pfr0 = ID_AA64PFR0_EL1.get();
    let pfr1 = ID_AA64PFR1_EL1.get();
    let sme = field(pfr1, 24) != 0;
    Features {
        pa_range: field(mmfr0, 0),
        forced_write_back: field(mmfr2, 40) != 0,
        lor: field(mmfr1, 16) != 0,
        ras: field(pfr0, 28) != 0,
        mte: field(pfr1, 8) >= 2,
        vectors_hidden: sme || field(pfr0, 32) != 0,
        sme,
        interrupt_mask: field(pfr1, 36) != 0,
        activity_monitors: field(pfr0, 44) != 0,
        partitioning: field(pfr0, 40) | field(pfr1, 16) != 0,
        profiling: field(dfr0, 32) != 0,
        trace_buffer: field(dfr0, 44) != 0,
        extended_traps: field(mmfr1, 40) != 0,
        fine_traps: field(mmfr0, 56),
        monitor: Some(field(dfr0, 8)).filter(|version| *version != 0xf).unwrap_or(0),
    }
}

/// Why this CPU cannot run Bulkhead, with the cure; none if it can.
#[must_use]
pub(super) fn missing() -> Option<&'static str> {
    let mmfr0 = ID_AA64MMFR0_EL1.get();
    if field(mmfr0, 28) == 0xf {
        return Some("this CPU has no 4 KiB translation granule; use one that has");
    }
    if field(ID_AA64PFR0_EL1.get(), 24) == 0 {
        return Some(
            "no GICv3 system registers; give the machine a GICv3 (QEMU: -M virt,gic-version=3)",
        );
    }
    None
}
