// SPDX-License-Identifier: MIT OR Apache-2.0
//! What Bulkhead hides: one register or instruction of each feature ends as
//! undefined, whether this CPU has the feature or not. Where EL2 has no trap
//! for it, it may work, and says so.
//! Manual: Arm ARM, "System register encoding"; ARCHITECTURE.md, "Hidden features".

use crate::cpu::registers::SCTLR;
use crate::cpu::{Outcome, generated, mrs, msr, scratch};
use crate::identity::field;
use crate::report::{Report, Wrong};
use Trap::{Always, Fine, None};

/// Whether EL2 can make it undefined.
#[derive(Clone, Copy)]
enum Trap {
    /// On every CPU that has it.
    Always,
    /// With fine-grained traps (FEAT_FGT), which a CPU that has it may lack.
    Fine,
    /// On none.
    None,
}

const ITEMS: &[(&str, Trap, u32)] = &[
    ("SVE: ZCR_EL1", Always, mrs(3, 0, 1, 2, 0)),
    ("SVE: RDVL", Always, 0x04bf_5020),
    ("SVE: PTRUE", Always, 0x2518_e3e0),
    ("SME: SMCR_EL1", Always, mrs(3, 0, 1, 2, 6)),
    ("SME: SVCR", Always, mrs(3, 3, 4, 2, 2)),
    ("SME: SMSTART", Always, 0xd503_477f),
    ("SME: RDSVL", Always, 0x04bf_5820),
    ("SME: SMPRI_EL1", Always, mrs(3, 0, 1, 2, 4)),
    ("SME: TPIDR2_EL0", Always, mrs(3, 3, 13, 0, 5)),
    ("SME: TPIDR2_EL0, write", Always, msr(3, 3, 13, 0, 5)),
    ("SME: SMIDR_EL1", Always, mrs(3, 1, 0, 0, 6)),
    ("FP8: FPMR", Always, mrs(3, 3, 4, 4, 2)),
    ("PAuth: APIAKeyLo_EL1", Always, mrs(3, 0, 2, 1, 0)),
    ("PAuth: APIBKeyHi_EL1, write", Always, msr(3, 0, 2, 1, 3)),
    ("PAuth: APGAKeyLo_EL1", Always, mrs(3, 0, 2, 3, 0)),
    ("PAuth: PACIA", Always, 0xdac1_0020),
    ("PAuth: AUTDB", Always, 0xdac1_1c20),
    ("PAuth: PACGA", Always, 0x9ac2_3020),
    ("MTE: GCR_EL1", Always, mrs(3, 0, 1, 0, 6)),
    ("MTE: RGSR_EL1", Always, mrs(3, 0, 1, 0, 5)),
    ("MTE: TFSR_EL1", Always, mrs(3, 0, 5, 6, 0)),
    ("MTE: TFSRE0_EL1", Always, mrs(3, 0, 5, 6, 1)),
    ("MTE: GMID_EL1", Always, mrs(3, 1, 0, 0, 4)),
    ("MTE: PSTATE.TCO", None, mrs(3, 3, 4, 2, 7)),
    ("MTE: IRG", None, 0x9adf_1000),
    ("MTE: LDG", None, 0xd960_0001),
    ("RAS: ERRIDR_EL1", Always, mrs(3, 0, 5, 3, 0)),
    ("RAS: ERRSELR_EL1", Always, mrs(3, 0, 5, 3, 1)),
    ("RAS: ERXFR_EL1", Always, mrs(3, 0, 5, 4, 0)),
    ("RAS: ERXSTATUS_EL1, write", Always, msr(3, 0, 5, 4, 2)),
    ("RAS: ERXPFGF_EL1", Always, mrs(3, 0, 5, 4, 4)),
    ("RAS: DISR_EL1", None, mrs(3, 0, 12, 1, 1)),
    ("SPE: PMSCR_EL1", Always, mrs(3, 0, 9, 9, 0)),
    ("SPE: PMSIDR_EL1", Always, mrs(3, 0, 9, 9, 7)),
    ("SPE: PMBLIMITR_EL1", Always, mrs(3, 0, 9, 10, 0)),
    ("SPE: PMBIDR_EL1", Fine, mrs(3, 0, 9, 10, 7)),
    ("trace: TRCIDR0", Always, mrs(2, 1, 0, 8, 7)),
    ("trace: TRFCR_EL1", Always, mrs(3, 0, 1, 2, 1)),
    ("trace: TRBLIMITR_EL1", Always, mrs(3, 0, 9, 11, 0)),
    ("trace: TRBIDR_EL1", Always, mrs(3, 0, 9, 11, 7)),
    ("BRBE: BRBCR_EL1", Always, mrs(2, 1, 9, 0, 0)),
    ("BRBE: BRBIDR0_EL1", Always, mrs(2, 1, 9, 2, 0)),
    ("BRBE: BRB IALL", Always, 0xd509_729f),
    ("AMU: AMCR_EL0", Always, mrs(3, 3, 13, 2, 0)),
    ("AMU: AMEVCNTR00_EL0", Always, mrs(3, 3, 13, 4, 0)),
    ("MPAM: MPAM0_EL1", Always, mrs(3, 0, 10, 5, 1)),
    ("MPAM: MPAM1_EL1", Always, mrs(3, 0, 10, 5, 0)),
    ("MPAM: MPAMIDR_EL1", Always, mrs(3, 0, 10, 4, 4)),
    ("LORegions: LORC_EL1", Always, mrs(3, 0, 10, 4, 3)),
    ("LORegions: LORSA_EL1, write", Always, msr(3, 0, 10, 4, 0)),
    ("LORegions: LORID_EL1", Always, mrs(3, 0, 10, 4, 7)),
    ("LORegions: LDLAR", None, 0x88df_7c01),
    ("TCR2_EL1", Always, mrs(3, 0, 2, 0, 3)),
    ("SCTLR2_EL1", Always, mrs(3, 0, 1, 0, 3)),
    ("S1PIE: PIR_EL1", Always, mrs(3, 0, 10, 2, 3)),
    ("S1PIE: PIRE0_EL1", Always, mrs(3, 0, 10, 2, 2)),
    ("S1POE: POR_EL1", Always, mrs(3, 0, 10, 2, 4)),
    ("S1POE: POR_EL0", Always, mrs(3, 3, 10, 2, 4)),
    ("AIE: MAIR2_EL1", Always, mrs(3, 0, 10, 2, 1)),
    ("GCS: GCSCR_EL1", Always, mrs(3, 0, 2, 5, 0)),
    ("GCS: GCSPR_EL0", Always, mrs(3, 3, 2, 5, 1)),
    ("THE: RCWMASK_EL1", Always, mrs(3, 0, 13, 0, 6)),
    ("PFAR_EL1", Always, mrs(3, 0, 6, 0, 5)),
    ("SCXTNUM_EL1", Always, mrs(3, 0, 13, 0, 7)),
    ("SCXTNUM_EL0", Always, mrs(3, 3, 13, 0, 7)),
    ("LS64: ACCDATA_EL1", Always, mrs(3, 0, 13, 0, 5)),
    ("LS64: LD64B", Always, 0xf83f_d008), // x8 to x15 from [x0]
    ("MOPS: CPYFP", Always, 0x1901_0440),
    ("MOPS: SETP", Always, 0x19c2_0420),
    ("TME: TSTART", Always, 0xd523_3060),
    ("NMI: MSR ALLINT, #1", Always, 0xd501_411f),
    ("NMI: ALLINT", None, mrs(3, 0, 4, 3, 0)),
    ("PMUv3p4: PMMIR_EL1", Fine, mrs(3, 0, 9, 14, 6)),
    ("PMUv3p9: PMUACR_EL1", Always, mrs(3, 0, 9, 14, 4)),
    ("PMUv3p9: PMICNTR_EL0", Always, mrs(3, 3, 9, 4, 0)),
    ("SPMU: SPMCR_EL0", Always, mrs(2, 3, 9, 12, 0)),
    ("ECV: CNTPCTSS_EL0", None, mrs(3, 3, 14, 0, 5)),
    ("ECV: CNTVCTSS_EL0", None, mrs(3, 3, 14, 0, 6)),
    ("EL2: HCR_EL2", Always, mrs(3, 4, 1, 1, 0)),
    ("EL2: CNTVOFF_EL2, write", Always, msr(3, 4, 14, 0, 3)),
    ("EL2: SCTLR_EL12", Always, mrs(3, 5, 1, 0, 0)),
    ("EL3: SCR_EL3", Always, mrs(3, 6, 1, 1, 0)),
    ("implementation defined: S3_0_C15_C0_0", Always, mrs(3, 0, 15, 0, 0)),
    ("implementation defined: S3_1_C15_C2_0", Always, mrs(3, 1, 15, 2, 0)),
    ("implementation defined: S3_1_C11_C0_2", Always, mrs(3, 1, 11, 0, 2)),
    ("implementation defined: SYS C15", Always, 0xd508_f000),
];

/// SCTLR_EL1: EnIA, EnIB, EnDA, EnDB. Without them PAuth's instructions do nothing.
const ENABLE_KEYS: u64 = 1 << 31 | 1 << 30 | 1 << 27 | 1 << 13;

pub(crate) fn run(report: &mut Report) {
    let sctlr = SCTLR.get();
    for &(name, trap, instruction) in ITEMS {
        SCTLR.set(sctlr | ENABLE_KEYS);
        let outcome = generated(instruction, scratch());
        SCTLR.set(sctlr);
        match (outcome, trap) {
            _ if outcome.is_undefined() || is_own(instruction, outcome) => {
                report.item(name, Ok(()))
            }
            (Outcome::Done(_), Fine | None) => report.hidden(name),
            (Outcome::Done(value), Always) => report.item(name, Err(Wrong("worked", value, 0))),
            (Outcome::Caught(caught), _) => {
                report.item(name, Err(Wrong("class", caught.class(), 0)));
            }
        }
    }
}

/// Whether an ID register is undefined in the way of FEAT_IDST: class 0x18.
fn is_own(instruction: u32, outcome: Outcome) -> bool {
    let read = instruction & 0xfff8_f800 == 0xd538_0000;
    let op1 = instruction >> 16 & 7;
    let Outcome::Caught(caught) = outcome else { return false };
    read && matches!(op1, 0 | 1 | 3) && field(7, 2, 36) > 0 && caught.class() == 0x18
}
