// SPDX-License-Identifier: MIT OR Apache-2.0
//! Single instructions as functions: x0 is an address, x1 to x3 are values,
//! x0 is the result.

use super::{Code, Outcome, attempt, attempt_el0};
use core::arch::naked_asm;

/// One instruction and its text.
pub(crate) struct Instruction {
    /// The assembler's text.
    pub text: &'static str,
    code: Code,
}

impl Instruction {
    /// Runs it at EL1.
    pub(crate) fn run(&self, arguments: [u64; 4]) -> Outcome {
        attempt(self.code, arguments)
    }
}

/// One instruction for EL0 and its text.
pub(crate) struct El0 {
    /// The assembler's text.
    pub text: &'static str,
    code: Code,
}

impl El0 {
    /// Runs it at EL0 with `argument` in x0.
    pub(crate) fn run(&self, argument: u64) -> Outcome {
        attempt_el0(self.code, argument)
    }
}

macro_rules! instructions {
    ($(#[$doc:meta])* $name:ident: $kind:ident ends $end:literal; $($text:literal,)*) => {
        $(#[$doc])*
        pub(crate) const $name: &[$kind] = &[$({
            #[unsafe(naked)]
            unsafe extern "C" fn code(_: u64, _: u64, _: u64, _: u64) -> u64 {
                naked_asm!(".arch_extension fp", ".arch_extension lse", $text, $end)
            }
            $kind { text: $text, code }
        },)*];
    };
}

impl Instruction {
    instructions! {
        /// Every way to load.
        LOADS: Instruction ends "ret";
        "ldrb w0, [x0]", "ldrh w0, [x0]", "ldr w0, [x0]", "ldr x0, [x0]",
        "ldrsb x0, [x0]", "ldrsh w0, [x0]", "ldrsw x0, [x0]",
        "ldur x0, [x0, #1]", "ldr w1, [x0, x2]", "ldr x1, [x0], #8", "ldr w1, [x0, #4]!",
        "ldp w1, w2, [x0]", "ldp x1, x2, [x0]", "ldpsw x1, x2, [x0]", "ldnp x1, x2, [x0]",
        "ldp x1, x2, [x0], #16", "ldtr x0, [x0]", "ldar w0, [x0]", "ldarb w0, [x0]",
        "ldr xzr, [x0]", "prfm pldl1keep, [x0]",
    }
    instructions! {
        /// Every way to store.
        STORES: Instruction ends "ret";
        "strb w1, [x0]", "strh w1, [x0]", "str w1, [x0]", "str x1, [x0]",
        "str x1, [x0], #8", "strb w1, [x0], #1", "str w1, [x0, #4]!", "str w1, [x0, x2]",
        "stp w1, w2, [x0]", "stp x1, x2, [x0]", "stp x1, x2, [x0, #16]!", "stnp x1, x2, [x0]",
        "stur x1, [x0, #1]", "sttr x1, [x0]", "stlr x1, [x0]", "stlrb w1, [x0]", "str xzr, [x0]",
    }
    instructions! {
        /// Loads and stores of vector registers.
        VECTORS: Instruction ends "ret";
        "ldr b0, [x0]", "ldr d0, [x0]", "ldr q0, [x0]", "ldp q0, q1, [x0]",
        "str s0, [x0]", "str q0, [x0], #16", "stp d0, d1, [x0]",
    }
    instructions! {
        /// Exclusive and atomic accesses.
        ATOMICS: Instruction ends "ret";
        "ldxrb w1, [x0]", "ldxr w1, [x0]", "ldaxr x1, [x0]", "ldxp x1, x2, [x0]",
        "stxrb w3, w1, [x0]", "stlxr w3, x1, [x0]", "stxp w3, x1, x2, [x0]",
        "ldxr x3, [x0]; stxr w3, x1, [x0]",
        "ldaxp x3, x4, [x0]; stlxp w3, x1, x2, [x0]",
        "cas w1, w2, [x0]", "casal x1, x2, [x0]", "casp x2, x3, x4, x5, [x0]",
        "swp x1, x2, [x0]", "swpalb w1, w2, [x0]", "ldadd x1, x2, [x0]", "ldclrh w1, w2, [x0]",
        "ldseta x1, x2, [x0]", "ldsmax w1, w2, [x0]", "stumin x1, [x0]", "clrex",
    }
    instructions! {
        /// Cache and TLB maintenance by address, on x0.
        BY_ADDRESS: Instruction ends "ret";
        "dc zva, x0", "dc ivac, x0", "dc cvac, x0", "dc cvau, x0", "dc civac, x0", "ic ivau, x0",
        "tlbi vae1, x0", "tlbi vaae1, x0", "tlbi vale1is, x0", "tlbi aside1is, x0",
        "at s1e1r, x0", "at s1e1w, x0", "at s1e0r, x0", "at s1e0w, x0",
    }
    instructions! {
        /// Cache maintenance by set and way, on x0.
        BY_SET_AND_WAY: Instruction ends "ret";
        "dc isw, x0", "dc csw, x0", "dc cisw, x0",
    }
    instructions! {
        /// Maintenance of everything, and what only EL2 or EL3 may do.
        OF_EVERYTHING: Instruction ends "ret";
        "ic iallu", "ic ialluis", "tlbi vmalle1", "tlbi vmalle1is",
        "tlbi alle1", "tlbi alle2", "tlbi alle2is", "tlbi alle3", "tlbi vmalls12e1is",
        "tlbi ipas2e1is, x0", "tlbi vae2, x0", "at s12e1r, x0", "at s1e2r, x0", "at s1e3w, x0",
    }
    instructions! {
        /// Calls with immediate zero: function in x0.
        CALLS: Instruction ends "ret";
        "hvc #0", "smc #0",
    }
    instructions! {
        /// Semihosting and other debugger traps: operation in x0, parameter block in x1.
        TRAPS: Instruction ends "ret";
        "hlt #0xf000", "hlt #0", "hlt #0xffff", "brk #0", "brk #0xf000", "udf #0",
        ".inst 0xd4a00001", ".inst 0xd4a00002", ".inst 0xd4a00003", "drps",
    }
    instructions! {
        /// Exception return to x0 in the state x1.
        RETURNS: Instruction ends "ret";
        "msr elr_el1, x0; msr spsr_el1, x1; eret",
    }
    instructions! {
        /// The level 1 stage 1 tables of the upper half from x0, and an access through them at x1.
        WALKS: Instruction ends "ret";
        "msr ttbr1_el1, x0; isb; tlbi vmalle1; dsb sy; isb; ldr x0, [x1]",
        "msr ttbr1_el1, x0; isb; tlbi vmalle1; dsb sy; isb; str x0, [x1]",
        "msr ttbr1_el1, x0; isb; tlbi vmalle1; dsb sy; isb; str x0, [x1], #8",
        "msr ttbr1_el1, x0; isb; tlbi vmalle1; dsb sy; isb; mov x16, x30; blr x1; mov x30, x16",
        "msr ttbr1_el1, x0; isb; tlbi vmalle1; dsb sy; isb; at s1e1r, x1; isb; mrs x0, par_el1",
        "msr ttbr1_el1, x0; isb; tlbi vmalle1; dsb sy; isb; at s1e0w, x1; isb; mrs x0, par_el1",
        "msr ttbr1_el1, x0; isb; tlbi vmalle1; dsb sy; isb; dc cvac, x1",
        "msr ttbr1_el1, x0; isb; tlbi vmalle1; dsb sy; isb; ldxr x0, [x1]",
        "msr ttbr1_el1, x0; isb; tlbi vmalle1; dsb sy; isb; ldp x0, x2, [x1]",
    }
    instructions! {
        /// Lets TTBR1_EL1 be walked for the upper 512 GiB, with 4 KiB pages: TCR_EL1 as it is but EPD1, T1SZ, TG1.
        UPPER_HALF: Instruction ends "ret";
        "mrs x0, tcr_el1; mov x1, #0x59; bfi x0, x1, #16, #7; mov x1, #2; bfi x0, x1, #30, #2; bfi x0, xzr, #23, #1; msr tcr_el1, x0; isb",
    }
    instructions! {
        /// Points TTBR0_EL1 at x0 and VBAR_EL1 at x1: with the MMU on, no instruction can be fetched any more.
        WEDGES: Instruction ends "ret";
        "msr vbar_el1, x1; msr ttbr0_el1, x0; isb; tlbi vmalle1; dsb sy; isb",
    }
}

impl El0 {
    instructions! {
        /// What EL0 may not do either.
        EVERYTHING: El0 ends "svc #0";
        "nop", "hlt #0xf000", "hlt #1", "brk #1", "udf #1", "hvc #0", "smc #0", "eret",
        "mrs x0, midr_el1", "mrs x0, sctlr_el1", "msr vbar_el1, x0", "msr ttbr0_el1, x0",
        "mrs x0, cntvct_el0", "mrs x0, cntpct_el0", "mrs x0, cntv_ctl_el0", "mrs x0, pmccntr_el0",
        "mrs x0, dczid_el0", "mrs x0, ctr_el0", "msr daifset, #15", "msr daifclr, #15",
        "dc zva, x0", "dc ivac, x0", "dc civac, x0", "dc cisw, x0", "ic iallu", "ic ivau, x0", "tlbi vmalle1",
        "at s1e1r, x0", "ldr x0, [x0]", "str x0, [x0]", "str x1, [x0], #8", "ldp x1, x2, [x0]",
        "ldxr x1, [x0]", "ldr q0, [x0]", "mov x30, x0; ret", "mrs x0, S3_0_C12_C12_0", "yield", "sevl; wfe",
    }
}
