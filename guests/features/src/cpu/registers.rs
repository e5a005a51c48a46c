// SPDX-License-Identifier: MIT OR Apache-2.0
//! System registers by name. An ISB follows each write.

/// A register on which no Rust code of this guest depends.
#[derive(Clone, Copy)]
pub(crate) struct Register {
    /// Its name.
    pub name: &'static str,
    read: fn() -> u64,
    write: fn(u64),
}

impl Register {
    /// Reads it.
    pub(crate) fn get(&self) -> u64 {
        (self.read)()
    }

    /// Writes it.
    pub(crate) fn set(&self, value: u64) {
        (self.write)(value);
    }
}

/// Defines registers by the assembler's names.
macro_rules! define {
    ($($name:ident $text:literal,)*) => {
        $(
            #[doc = $text]
            pub(crate) const $name: Register = Register {
                name: $text,
                read: || {
                    let value;
                    // SAFETY: reads one register and nothing else.
                    unsafe {
                        core::arch::asm!("isb", concat!("mrs {}, ", $text), out(reg) value, options(nostack));
                    }
                    value
                },
                write: |value| {
                    // SAFETY: no memory that Rust owns depends on this register while the MMU is off
                    // (translation) or at all (all others).
                    unsafe {
                        core::arch::asm!(concat!("msr ", $text, ", {}"), "isb", in(reg) value, options(nostack));
                    }
                },
            };
        )*
    };
}

define! {
    MDSCR "mdscr_el1", OSLAR "oslar_el1", MDCCINT "mdccint_el1",
    DBGBCR0 "dbgbcr0_el1", DBGBVR0 "dbgbvr0_el1", DBGBCR5 "dbgbcr5_el1", DBGBVR5 "dbgbvr5_el1",
    DBGWCR0 "dbgwcr0_el1", DBGWVR0 "dbgwvr0_el1", DBGWCR3 "dbgwcr3_el1", DBGWVR3 "dbgwvr3_el1",
    PMCR "pmcr_el0", PMCCNTR "pmccntr_el0", PMCCFILTR "pmccfiltr_el0", PMCNTENSET "pmcntenset_el0",
    PMCNTENCLR "pmcntenclr_el0", PMINTENSET "pmintenset_el1", PMINTENCLR "pmintenclr_el1",
    PMOVSSET "pmovsset_el0", PMOVSCLR "pmovsclr_el0", PMSWINC "pmswinc_el0",
    PMSELR "pmselr_el0", PMUSERENR "pmuserenr_el0", PMCEID0 "pmceid0_el0",
    PMEVCNTR0 "pmevcntr0_el0", PMEVTYPER0 "pmevtyper0_el0",
    CNTV_CTL "cntv_ctl_el0", CNTV_CVAL "cntv_cval_el0", CNTVCT "cntvct_el0",
    CNTP_CTL "cntp_ctl_el0", CNTP_CVAL "cntp_cval_el0", CNTPCT "cntpct_el0",
    CNTKCTL "cntkctl_el1",
    FPCR "S3_3_C4_C4_0", FPSR "S3_3_C4_C4_1",
    TPIDR_EL0 "tpidr_el0", TPIDRRO_EL0 "tpidrro_el0", TPIDR_EL1 "tpidr_el1",
    SP_EL0 "sp_el0", ELR "elr_el1", ESR "esr_el1", FAR "far_el1",
    AFSR0 "afsr0_el1", AFSR1 "afsr1_el1", PAR "par_el1", CSSELR "csselr_el1",
    CONTEXTIDR "contextidr_el1", MAIR "mair_el1", AMAIR "amair_el1",
    CPACR "cpacr_el1", TCR "tcr_el1", TTBR0 "ttbr0_el1", TTBR1 "ttbr1_el1",
    CTR "ctr_el0", CLIDR "clidr_el1", CCSIDR "ccsidr_el1",
    MMFR2 "id_aa64mmfr2_el1", DFR0 "id_aa64dfr0_el1", SCTLR "sctlr_el1",
}
