// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table: each field of each identification register, what becomes of it,
//! and why. A row that hides is there for its reason; the effect is the same
//! without it. Arm ARM (DDI 0487), "AArch64 System Register Descriptions",
//! "General system control registers", the register of each heading.

use Rule::{Cap, CapNotOwn, CapSigned, Hide, Pass};

/// What becomes of a field.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    /// As the CPU has it.
    Pass,
    /// Zero.
    Hide,
    /// At most this.
    Cap(u8),
    /// A signed field: at most this; 0xf, "not implemented", stays.
    CapSigned(u8),
    /// At most this; 0xf, "an implementation's own form", becomes zero.
    CapNotOwn(u8),
}

/// A field of a register.
#[expect(dead_code, reason = "name and reason are for the reader")]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) shift: u8,
    pub(super) width: u8,
    pub(super) rule: Rule,
    pub(super) reason: &'static str,
}

/// A register `S3_0_C0_C<crm>_<op2>`.
#[expect(dead_code, reason = "the name is for the reader")]
pub(super) struct Description {
    pub(super) name: &'static str,
    pub(super) crm: u8,
    pub(super) op2: u8,
    pub(super) fields: &'static [Field],
}

const fn row(name: &'static str, shift: u8, rule: Rule, reason: &'static str) -> Field {
    Field { name, shift, width: 4, rule, reason }
}

/// Neighbouring fields with the same fate.
const fn rows(name: &'static str, shift: u8, width: u8, rule: Rule, reason: &'static str) -> Field {
    Field { name, shift, width, rule, reason }
}

const fn register(name: &'static str, crm: u8, op2: u8, fields: &'static [Field]) -> Description {
    Description { name, crm, op2, fields }
}

// Reasons that many rows share.
const INSTRUCTIONS: &str = "instructions only";
const PSTATE: &str = "PSTATE bits, saved in SPSR";
const SCTLR: &str = "bits of SCTLR_EL1, which is saved";
const TCR: &str = "bits of TCR_EL1, which is saved";
const FPCR: &str = "FPCR, FPSR and V registers are saved";
const BEHAVIOUR: &str = "behaviour of the CPU, no state";
const EL2_ONLY: &str = "of use to a hypervisor only";
const NOT_SAVED: &str = "its registers are not saved";
const SVE: &str = "Z, P and FFR are not saved";
const KEYS: &str = "pointer authentication keys are not saved";
const RAS: &str = "error records belong to the machine";
const AARCH32: &str = "AArch32 at EL0";

/// `DebugVer` of Armv8.2.
const DEBUG_VERSION: u8 = 8;

/// All registers that a guest sees anything of. AArch32's come first.
pub(super) const REGISTERS: &[Description] = &[
    register(
        "ID_PFR0_EL1",
        1,
        0,
        &[
            rows("State0-3", 0, 16, Pass, AARCH32),
            row("CSV2", 16, Cap(1), "2 has SCXTNUM, not saved"),
            row("AMU", 20, Hide, NOT_SAVED),
            row("DIT", 24, Pass, PSTATE),
            row("RAS", 28, Hide, RAS),
        ],
    ),
    register(
        "ID_PFR1_EL1",
        1,
        1,
        &[
            row("ProgMod", 0, Pass, AARCH32),
            row("Security", 4, Hide, "no EL3 for guests"),
            row("Virtualization", 12, Hide, EL2_ONLY),
            row("GenTimer", 16, Pass, "the timers are saved"),
            row("GIC", 28, Cap(1), "the interface has its registers"),
        ],
    ),
    register(
        "ID_DFR0_EL1",
        1,
        2,
        &[
            row("CopDbg", 0, Cap(DEBUG_VERSION), "as ID_AA64DFR0_EL1.DebugVer"),
            row("PerfMon", 24, CapNotOwn(4), "as ID_AA64DFR0_EL1.PMUVer"),
            row("TraceFilt", 28, Hide, NOT_SAVED),
        ],
    ),
    register("ID_MMFR0_EL1", 1, 4, &[rows("all", 0, 32, Pass, AARCH32)]),
    register("ID_MMFR1_EL1", 1, 5, &[rows("all", 0, 32, Pass, AARCH32)]),
    register("ID_MMFR2_EL1", 1, 6, &[rows("all", 0, 32, Pass, AARCH32)]),
    register("ID_MMFR3_EL1", 1, 7, &[rows("all", 0, 32, Pass, AARCH32)]),
    register("ID_ISAR0_EL1", 2, 0, &[rows("all", 0, 32, Pass, INSTRUCTIONS)]),
    register("ID_ISAR1_EL1", 2, 1, &[rows("all", 0, 32, Pass, INSTRUCTIONS)]),
    register("ID_ISAR2_EL1", 2, 2, &[rows("all", 0, 32, Pass, INSTRUCTIONS)]),
    register("ID_ISAR3_EL1", 2, 3, &[rows("all", 0, 32, Pass, INSTRUCTIONS)]),
    register("ID_ISAR4_EL1", 2, 4, &[rows("all", 0, 32, Pass, INSTRUCTIONS)]),
    register("ID_ISAR5_EL1", 2, 5, &[rows("all", 0, 32, Pass, INSTRUCTIONS)]),
    register(
        "ID_MMFR4_EL1",
        2,
        6,
        &[
            row("SpecSEI", 0, Hide, RAS),
            row("AC2", 4, Hide, "ACTLR2 is not saved"),
            row("XNX", 8, Hide, EL2_ONLY),
            row("CnP", 12, Pass, BEHAVIOUR),
            row("HPDS", 16, Pass, TCR),
            row("LSM", 20, Pass, SCTLR),
            row("CCIDX", 24, Pass, BEHAVIOUR),
            row("EVT", 28, Hide, EL2_ONLY),
        ],
    ),
    register("ID_ISAR6_EL1", 2, 7, &[rows("all", 0, 32, Pass, INSTRUCTIONS)]),
    register("MVFR0_EL1", 3, 0, &[rows("all", 0, 32, Pass, FPCR)]),
    register("MVFR1_EL1", 3, 1, &[rows("all", 0, 32, Pass, FPCR)]),
    register("MVFR2_EL1", 3, 2, &[rows("all", 0, 32, Pass, FPCR)]),
    register(
        "ID_PFR2_EL1",
        3,
        4,
        &[
            row("CSV3", 0, Pass, BEHAVIOUR),
            row("SSBS", 4, Pass, PSTATE),
            row("RAS_frac", 8, Hide, RAS),
        ],
    ),
    register(
        "ID_MMFR5_EL1",
        3,
        6,
        &[row("ETS", 0, Pass, BEHAVIOUR), row("nTLBPA", 4, Pass, BEHAVIOUR)],
    ),
    register(
        "ID_AA64PFR0_EL1",
        4,
        0,
        &[
            row("EL0", 0, Pass, "32-bit programs run if the CPU can"),
            row("EL1", 4, Cap(1), "HCR_EL2.RW: guests' EL1 is 64-bit"),
            row("EL2", 8, Hide, "no EL2 for guests"),
            row("EL3", 12, Hide, "no EL3 for guests"),
            row("FP", 16, Pass, FPCR),
            row("AdvSIMD", 20, Pass, FPCR),
            row("GIC", 24, Cap(1), "the interface has its registers, no GICv4.1"),
            row("RAS", 28, Hide, RAS),
            row("SVE", 32, Hide, SVE),
            row("SEL2", 36, Hide, EL2_ONLY),
            row("MPAM", 40, Hide, NOT_SAVED),
            row("AMU", 44, Hide, NOT_SAVED),
            row("DIT", 48, Pass, PSTATE),
            row("RME", 52, Hide, "no EL3 for guests"),
            row("CSV2", 56, Cap(1), "2 has SCXTNUM, not saved"),
            row("CSV3", 60, Pass, BEHAVIOUR),
        ],
    ),
    register(
        "ID_AA64PFR1_EL1",
        4,
        1,
        &[
            row("BT", 0, Pass, PSTATE),
            row("SSBS", 4, Pass, PSTATE),
            row("MTE", 8, Hide, "tags and their registers are not saved"),
            row("RAS_frac", 12, Hide, RAS),
            row("MPAM_frac", 16, Hide, NOT_SAVED),
            row("SME", 24, Hide, "ZA and streaming state are not saved"),
            row("RNDR_trap", 28, Hide, "no EL3 for guests"),
            row("CSV2_frac", 32, Cap(1), "2 has SCXTNUM, not saved"),
            row("NMI", 36, Hide, "the virtual GIC has no non-maskable interrupts"),
            row("MTE_frac", 40, Hide, "tags and their registers are not saved"),
            row("GCS", 44, Hide, NOT_SAVED),
            row("THE", 48, Hide, NOT_SAVED),
            row("MTEX", 52, Hide, "tags and their registers are not saved"),
            row("DF2", 56, Hide, RAS),
            row("PFAR", 60, Hide, NOT_SAVED),
        ],
    ),
    register("ID_AA64ZFR0_EL1", 4, 4, &[rows("all", 0, 64, Hide, SVE)]),
    register(
        "ID_AA64SMFR0_EL1",
        4,
        5,
        &[rows("all", 0, 64, Hide, "ZA and streaming state are not saved")],
    ),
    register(
        "ID_AA64DFR0_EL1",
        5,
        0,
        &[
            row(
                "DebugVer",
                0,
                Cap(DEBUG_VERSION),
                "breakpoints, watchpoints and step of Armv8.2; 8.4 and later unasked",
            ),
            row("TraceVer", 4, Hide, NOT_SAVED),
            row(
                "PMUVer",
                8,
                CapNotOwn(4),
                "PMUv3 of Armv8.1; PMMIR and 64-bit counters are not saved",
            ),
            row("BRPs", 12, Pass, "breakpoints are saved"),
            row("PMSS", 16, Hide, NOT_SAVED),
            row("WRPs", 20, Pass, "watchpoints are saved"),
            row("SEBEP", 24, Hide, NOT_SAVED),
            row("CTX_CMPs", 28, Pass, "breakpoints are saved"),
            row("PMSVer", 32, Hide, NOT_SAVED),
            row("DoubleLock", 36, Pass, BEHAVIOUR),
            row("TraceFilt", 40, Hide, NOT_SAVED),
            row("TraceBuffer", 44, Hide, NOT_SAVED),
            row("MTPMU", 48, Hide, EL2_ONLY),
            row("BRBE", 52, Hide, NOT_SAVED),
            row("ExtTrcBuff", 56, Hide, NOT_SAVED),
            row("HPMN0", 60, Hide, EL2_ONLY),
        ],
    ),
    register(
        "ID_AA64ISAR0_EL1",
        6,
        0,
        &[
            row("AES", 4, Pass, INSTRUCTIONS),
            row("SHA1", 8, Pass, INSTRUCTIONS),
            row("SHA2", 12, Pass, INSTRUCTIONS),
            row("CRC32", 16, Pass, INSTRUCTIONS),
            row("Atomic", 20, Pass, INSTRUCTIONS),
            row("TME", 24, Hide, "a transaction does not survive an exit"),
            row("RDM", 28, Pass, INSTRUCTIONS),
            row("SHA3", 32, Pass, INSTRUCTIONS),
            row("SM3", 36, Pass, INSTRUCTIONS),
            row("SM4", 40, Pass, INSTRUCTIONS),
            row("DP", 44, Pass, INSTRUCTIONS),
            row("FHM", 48, Pass, INSTRUCTIONS),
            row("TS", 52, Pass, INSTRUCTIONS),
            row("TLB", 56, Pass, INSTRUCTIONS),
            row("RNDR", 60, Pass, INSTRUCTIONS),
        ],
    ),
    register(
        "ID_AA64ISAR1_EL1",
        6,
        1,
        &[
            row("DPB", 0, Pass, INSTRUCTIONS),
            row("APA", 4, Hide, KEYS),
            row("API", 8, Hide, KEYS),
            row("JSCVT", 12, Pass, INSTRUCTIONS),
            row("FCMA", 16, Pass, INSTRUCTIONS),
            row("LRCPC", 20, Pass, INSTRUCTIONS),
            row("GPA", 24, Hide, KEYS),
            row("GPI", 28, Hide, KEYS),
            row("FRINTTS", 32, Pass, INSTRUCTIONS),
            row("SB", 36, Pass, INSTRUCTIONS),
            row("SPECRES", 40, Pass, INSTRUCTIONS),
            row("BF16", 44, Pass, INSTRUCTIONS),
            row("DGH", 48, Pass, INSTRUCTIONS),
            row("I8MM", 52, Pass, INSTRUCTIONS),
            row("XS", 56, Pass, INSTRUCTIONS),
            row("LS64", 60, Hide, "needs HCRX_EL2, and ACCDATA is not saved"),
        ],
    ),
    register(
        "ID_AA64ISAR2_EL1",
        6,
        2,
        &[
            row("WFxT", 0, Hide, "a WFI that traps has no deadline"),
            row("RPRES", 4, Pass, FPCR),
            row("GPA3", 8, Hide, KEYS),
            row("APA3", 12, Hide, KEYS),
            row("MOPS", 16, Hide, "needs HCRX_EL2"),
            row("BC", 20, Pass, INSTRUCTIONS),
            row("PAC_frac", 24, Hide, KEYS),
            row("CLRBHB", 28, Pass, INSTRUCTIONS),
            row("SYSREG_128", 32, Hide, NOT_SAVED),
            row("SYSINSTR_128", 36, Hide, NOT_SAVED),
            row("PRFMSLC", 40, Pass, INSTRUCTIONS),
            row("RPRFM", 48, Pass, INSTRUCTIONS),
            row("CSSC", 52, Pass, INSTRUCTIONS),
            row("LUT", 56, Pass, INSTRUCTIONS),
        ],
    ),
    register(
        "ID_AA64ISAR3_EL1",
        6,
        3,
        &[
            row("CPA", 0, Hide, "SCTLR2_EL1 is not saved"),
            row("FAMINMAX", 4, Pass, INSTRUCTIONS),
            row("LSFE", 16, Pass, INSTRUCTIONS),
        ],
    ),
    register(
        "ID_AA64MMFR0_EL1",
        7,
        0,
        &[
            row("PARange", 0, Cap(5), "48 bits; more needs LPA, hidden below"),
            row("ASIDBits", 4, Pass, BEHAVIOUR),
            row("BigEnd", 8, Pass, SCTLR),
            row("SNSMem", 12, Hide, "no EL3 for guests"),
            row("BigEndEL0", 16, Pass, SCTLR),
            row("TGran16", 20, Cap(1), "52-bit output addresses do not fit PARange"),
            row("TGran64", 24, Pass, TCR),
            row("TGran4", 28, CapSigned(0), "52-bit output addresses do not fit PARange"),
            rows("TGran16_2, TGran64_2, TGran4_2", 32, 12, Hide, EL2_ONLY),
            row("ExS", 44, Pass, SCTLR),
            row("FGT", 56, Hide, EL2_ONLY),
            row("ECV", 60, Hide, "its timer controls are EL2's"),
        ],
    ),
    register(
        "ID_AA64MMFR1_EL1",
        7,
        1,
        &[
            row("HAFDBS", 0, Cap(2), "access flag and dirty state; 3 needs TCR2_EL1, not saved"),
            row("VMIDBits", 4, Hide, EL2_ONLY),
            row("VH", 8, Hide, EL2_ONLY),
            row("HPDS", 12, Pass, TCR),
            row("LO", 16, Hide, NOT_SAVED),
            row("PAN", 20, Pass, PSTATE),
            row("SpecSEI", 24, Hide, RAS),
            row("XNX", 28, Hide, EL2_ONLY),
            row("TWED", 32, Hide, EL2_ONLY),
            row("ETS", 36, Pass, BEHAVIOUR),
            row("HCX", 40, Hide, EL2_ONLY),
            row("AFP", 44, Pass, FPCR),
            row("nTLBPA", 48, Pass, BEHAVIOUR),
            row("TIDCP1", 52, Pass, SCTLR),
            row("CMOW", 56, Hide, "needs HCRX_EL2"),
            row("ECBHB", 60, Pass, BEHAVIOUR),
        ],
    ),
    register(
        "ID_AA64MMFR2_EL1",
        7,
        2,
        &[
            row("CnP", 0, Pass, BEHAVIOUR),
            row("UAO", 4, Pass, PSTATE),
            row("LSM", 8, Pass, SCTLR),
            row("IESB", 12, Hide, RAS),
            row("VARange", 16, Cap(1), "52 bits with the 64 KiB granule; more needs TCR2_EL1"),
            row("CCIDX", 20, Pass, BEHAVIOUR),
            row("NV", 24, Hide, EL2_ONLY),
            row("ST", 28, Pass, TCR),
            row("AT", 32, Pass, BEHAVIOUR),
            row("IDS", 36, Pass, BEHAVIOUR),
            row("FWB", 40, Hide, EL2_ONLY),
            row("TTL", 48, Pass, INSTRUCTIONS),
            row("BBM", 52, Pass, BEHAVIOUR),
            row("EVT", 56, Hide, EL2_ONLY),
            row("E0PD", 60, Pass, TCR),
        ],
    ),
    register(
        "ID_AA64MMFR3_EL1",
        7,
        3,
        &[rows(
            "TCRX, SCTLRX, S1PIE, S1POE and others",
            0,
            64,
            Hide,
            "TCR2, SCTLR2, PIR and POR are not saved",
        )],
    ),
];
