// SPDX-License-Identifier: MIT OR Apache-2.0
//! Features of this CPU that a guest does not see: EL2 makes their registers
//! and instructions undefined. The whole list, with what no trap reaches, is in
//! ARCHITECTURE.md, "Hidden features"; guests/features tests it line by line.
//!
//! Each trap register is written whole, so that nothing of the firmware's is
//! left in it. HCR_EL2's own bits are in state.rs. (Arm ARM, "AArch64 System
//! Register Descriptions", the register of each name.)

use super::features::Features;
use super::sysreg::{mrs, msr};
use aarch64_cpu::registers::{CPACR_EL1, CPTR_EL2, MDCR_EL2, Readable, Writeable};

/// CPTR_EL2: RES1 bits, SVE (TZ) and SME (TSM).
const CPTR: u64 = 0x33ff;
/// CPTR_EL2: trace registers, activity monitors, CPACR_EL1.
const CPTR_TTA: u64 = 1 << 20;
const CPTR_TAM: u64 = 1 << 30;
const CPTR_TCPAC: u64 = 1 << 31;

/// MDCR_EL2: statistical profiling, trace filter. Profiling and trace buffers
/// are EL2's (E2PB and E2TB are 0), so their registers trap.
const MDCR: u64 = 1 << 14 | 1 << 19;
/// MDCR_EL2: the guest's event counters and its cycle counter stop at EL2.
const MDCR_HPMD: u64 = 1 << 17;
const MDCR_HCCD: u64 = 1 << 23;
/// `ID_AA64DFR0_EL1.PMUVer` from which HPMD and HCCD exist.
const PMU_HPMD: u8 = 4;
const PMU_HCCD: u8 = 6;

/// HCRX_EL2: writes to PSTATE.ALLINT trap. Zero bits keep LS64, MOPS, TCR2_EL1,
/// SCTLR2_EL1, GCS, FPMR and others from the guest.
const HCRX_TALLINT: u64 = 1 << 6;

/// Fine-grained traps of reads: PMMIR_EL1, PMBIDR_EL1, TRBIDR_EL1. Bits whose
/// name begins with n trap while they are zero, and all of them are.
const HDFGRTR_PMMIR: u64 = 1 << 22;
const HDFGRTR_TRBIDR: u64 = 1 << 51;
const HDFGRTR_PMBIDR: u64 = 1 << 63;
/// `ID_AA64DFR0_EL1.PMUVer` from which PMMIR_EL1 exists.
const PMU_PMMIR: u8 = 5;

/// MPAM2_EL2: MPAM0_EL1 and MPAM1_EL1 trap. MPAMHCR_EL2: MPAMIDR_EL1 traps.
const MPAM2_TRAPS: u64 = 1 << 48 | 1 << 49;
const MPAMHCR_TRAP: u64 = 1 << 31;
/// MPAMIDR_EL1: MPAMHCR_EL2 exists.
const MPAMIDR_HAS_HCR: u64 = 1 << 17;

/// CPACR_EL1: what a guest has of it, and SVE and SME, which it has not.
const CPACR_FPEN: u64 = 0b11 << 20;
const CPACR_ZEN_SMEN: u64 = 0b11 << 16 | 0b11 << 24;

/// Hides all that is hidden, on a CPU with these features.
pub(super) fn hide(features: &Features) {
    let mut cptr = CPTR | CPTR_TTA;
    if features.activity_monitors {
        cptr |= CPTR_TAM;
    }
    if features.vectors_hidden {
        cptr |= CPTR_TCPAC;
    }
    CPTR_EL2.set(cptr);
    CPACR_EL1.set(if features.vectors_hidden { CPACR_ZEN_SMEN } else { 0 });
    msr!("hstr_el2", 0);
    debug(features);
    if features.extended_traps {
        msr!("s3_4_c1_c2_2", if features.interrupt_mask { HCRX_TALLINT } else { 0 });
    }
    fine_grained(features);
    if features.partitioning {
        partitioning();
    }
    if features.ras {
        // VDISR_EL2 and VSESR_EL2: what a guest reads as DISR_EL1 is its own, and empty.
        msr!("s3_4_c12_c1_1", 0);
        msr!("s3_4_c5_c2_3", 0);
    }
}

/// MDCR_EL2. HPMN gives the guest all event counters.
fn debug(features: &Features) {
    let mut mdcr = MDCR | super::debug::event_counters();
    if features.monitor >= PMU_HPMD {
        mdcr |= MDCR_HPMD;
    }
    if features.monitor >= PMU_HCCD {
        mdcr |= MDCR_HCCD;
    }
    MDCR_EL2.set(mdcr);
}

/// The registers of FEAT_FGT and FEAT_FGT2.
fn fine_grained(features: &Features) {
    if features.fine_traps >= 1 {
        let mut reads = 0;
        if features.monitor >= PMU_PMMIR {
            reads |= HDFGRTR_PMMIR;
        }
        if features.profiling {
            reads |= HDFGRTR_PMBIDR;
        }
        if features.trace_buffer {
            reads |= HDFGRTR_TRBIDR;
        }
        // HFGRTR, HFGWTR, HFGITR; HDFGRTR, HDFGWTR.
        msr!("s3_4_c1_c1_4", 0);
        msr!("s3_4_c1_c1_5", 0);
        msr!("s3_4_c1_c1_6", 0);
        msr!("s3_4_c3_c1_4", reads);
        msr!("s3_4_c3_c1_5", 0);
    }
    if features.fine_traps >= 2 {
        // HFGRTR2, HFGWTR2, HFGITR2; HDFGRTR2, HDFGWTR2.
        msr!("s3_4_c3_c1_2", 0);
        msr!("s3_4_c3_c1_3", 0);
        msr!("s3_4_c3_c1_7", 0);
        msr!("s3_4_c3_c1_0", 0);
        msr!("s3_4_c3_c1_1", 0);
    }
}

/// MPAM: the guest's accesses are in partition 0, and its registers trap.
fn partitioning() {
    // MPAM1_EL1, MPAM0_EL1, MPAM2_EL2; then MPAMHCR_EL2.
    msr!("s3_0_c10_c5_0", 0);
    msr!("s3_0_c10_c5_1", 0);
    msr!("s3_4_c10_c5_0", MPAM2_TRAPS);
    if mrs!("s3_0_c10_c4_4") & MPAMIDR_HAS_HCR != 0 {
        msr!("s3_4_c10_c4_0", MPAMHCR_TRAP);
    }
}

/// CPACR_EL1 as the guest set it, where it traps.
pub(super) fn coprocessors() -> u64 {
    CPACR_EL1.get() & CPACR_FPEN
}

/// Sets CPACR_EL1. Were SVE and SME off in it, they would trap to EL1 with a
/// syndrome of their own; so they reach EL2, where they are undefined.
pub(super) fn set_coprocessors(value: u64) {
    CPACR_EL1.set(value & CPACR_FPEN | CPACR_ZEN_SMEN);
}
