// SPDX-License-Identifier: MIT OR Apache-2.0
//! What this CPU has, read once per CPU from its ID registers, and whether it
//! has what Bulkhead needs.
use aarch64_cpu::registers::{
    ID_AA64MMFR0_EL1, ID_AA64MMFR1_EL1, ID_AA64MMFR2_EL1, ID_AA64PFR0_EL1, ID_AA64PFR1_EL1,
    Readable,
};

/// Optional features that change what the kernel does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Features {
    /// `ID_AA64MMFR0_EL1.PARange`.
    pub pa_range: u8,
    /// Limited ordering regions.
    pub lor: bool,
    /// Error records.
    pub ras: bool,
    /// Memory tags.
    pub mte: bool,
    /// Stage 2 can force write-back.
    pub forced_write_back: bool,
}

/// Four bits of an ID register.
fn field(register: u64, shift: u32) -> u64 {
    register >> shift & 0xf
}

/// Reads them.
#[must_use]
pub(super) fn features() -> Features {
    let mmfr0 = ID_AA64MMFR0_EL1.get();
    let mmfr1 = ID_AA64MMFR1_EL1.get();
    let mmfr2 = ID_AA64MMFR2_EL1.get();
    let pfr0 = ID_AA64PFR0_EL1.get();
    let pfr1 = ID_AA64PFR1_EL1.get();
    Features {
        pa_range: field(mmfr0, 0) as u8,
        lor: field(mmfr1, 16) != 0,
        ras: field(pfr0, 28) != 0,
        mte: field(pfr1, 8) != 0,
        forced_write_back: field(mmfr2, 40) != 0,
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
