// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table: each feature bit that a guest sees, and why it may. What is not
//! in it reads zero. A guest sees a feature if it has no state, if its state is
//! switched with the vCPU or belongs to the CPU that the vCPU owns, or if it is
//! emulated. Intel SDM volume 2, "CPUID - CPU Identification"; AMD manual
//! volume 3, "Obtaining Processor Information Via the CPUID Instruction".

use Rule::{Given, Pass};

/// What becomes of a feature bit.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    /// As the CPU has it.
    Pass,
    /// One: it is emulated.
    Given,
}

/// A feature bit.
#[expect(dead_code, reason = "the name is for the reader")]
pub(super) struct Feature {
    pub(super) bit: u8,
    pub(super) name: &'static str,
    pub(super) rule: Rule,
}

const fn row(bit: u8, name: &'static str, rule: Rule) -> Feature {
    Feature { bit, name, rule }
}

/// A register of feature bits: what passes, and what is one in any case.
#[derive(Clone, Copy)]
pub(super) struct Mask {
    pass: u32,
    given: u32,
}

impl Mask {
    #[expect(clippy::indexing_slicing, reason = "evaluated when compiled")]
    pub(super) const fn of(features: &[Feature]) -> Self {
        let mut mask = Self { pass: 0, given: 0 };
        let mut n = 0;
        while n < features.len() {
            let bit = 1u32.wrapping_shl(features[n].bit as u32);
            assert!((mask.pass | mask.given) & bit == 0, "two rows about the same bit");
            match features[n].rule {
                Pass => mask.pass |= bit,
                Given => mask.given |= bit,
            }
            n = n.wrapping_add(1);
        }
        mask
    }

    #[inline]
    pub(super) const fn apply(self, host: u32) -> u32 {
        host & self.pass | self.given
    }
}

/// Leaf 1, ECX. Not: MONITOR, which would idle without an exit; VMX and SMX; performance
/// monitoring; what belongs to the machine's power and heat. OSXSAVE follows CR4.
pub(super) const LEAF_1_ECX: Mask = Mask::of(&[
    row(0, "SSE3", Pass),
    row(1, "PCLMULQDQ", Pass),
    row(9, "SSSE3", Pass),
    row(12, "FMA", Pass),
    row(13, "CMPXCHG16B", Pass),
    row(17, "PCID", Pass),
    row(19, "SSE4.1", Pass),
    row(20, "SSE4.2", Pass),
    row(21, "x2APIC", Given),
    row(22, "MOVBE", Pass),
    row(23, "POPCNT", Pass),
    row(24, "TSC-deadline", Given),
    row(25, "AES", Pass),
    row(26, "XSAVE", Pass),
    row(28, "AVX", Pass),
    row(29, "F16C", Pass),
    row(30, "RDRAND", Pass),
    row(31, "hypervisor", Given),
]);

/// Leaf 1, EDX, which AMD repeats in leaf 0x8000_0001. Not: machine checks, which are the
/// hypervisor's; debug store; what belongs to power and heat. APIC follows its MSR.
const COMMON_EDX: u32 = Mask::of(&[
    row(0, "FPU", Pass),
    row(1, "VME", Pass),
    row(2, "DE", Pass),
    row(3, "PSE", Pass),
    row(4, "TSC", Pass),
    row(5, "MSR", Pass),
    row(6, "PAE", Pass),
    row(8, "CMPXCHG8B", Pass),
    row(12, "MTRR", Pass),
    row(13, "PGE", Pass),
    row(15, "CMOV", Pass),
    row(16, "PAT", Pass),
    row(17, "PSE-36", Pass),
    row(23, "MMX", Pass),
    row(24, "FXSR", Pass),
])
.pass;

/// Leaf 1, EDX.
pub(super) const LEAF_1_EDX: Mask = Mask {
    pass: COMMON_EDX
        | Mask::of(&[
            row(11, "SYSENTER", Pass),
            row(19, "CLFLUSH", Pass),
            row(25, "SSE", Pass),
            row(26, "SSE2", Pass),
            row(27, "self snoop", Pass),
        ])
        .pass,
    given: 0,
};

/// Leaf 7, EBX. Not: SGX, transactions, resource monitoring, MPX, processor trace.
pub(super) const LEAF_7_EBX: Mask = Mask::of(&[
    row(0, "FSGSBASE", Pass),
    row(1, "TSC_ADJUST", Given),
    row(3, "BMI1", Pass),
    row(5, "AVX2", Pass),
    row(6, "FDP_EXCPTN_ONLY", Pass),
    row(7, "SMEP", Pass),
    row(8, "BMI2", Pass),
    row(9, "ERMS", Pass),
    row(10, "INVPCID", Pass),
    row(13, "no FCS and FDS", Pass),
    row(16, "AVX512F", Pass),
    row(17, "AVX512DQ", Pass),
    row(18, "RDSEED", Pass),
    row(19, "ADX", Pass),
    row(20, "SMAP", Pass),
    row(21, "AVX512_IFMA", Pass),
    row(23, "CLFLUSHOPT", Pass),
    row(24, "CLWB", Pass),
    row(28, "AVX512CD", Pass),
    row(29, "SHA", Pass),
    row(30, "AVX512BW", Pass),
    row(31, "AVX512VL", Pass),
]);

/// Leaf 7, ECX. Not: protection keys and shadow stacks, whose state is not switched; five
/// levels of paging; user-mode waiting.
pub(super) const LEAF_7_ECX: Mask = Mask::of(&[
    row(1, "AVX512_VBMI", Pass),
    row(2, "UMIP", Pass),
    row(6, "AVX512_VBMI2", Pass),
    row(8, "GFNI", Pass),
    row(9, "VAES", Pass),
    row(10, "VPCLMULQDQ", Pass),
    row(11, "AVX512_VNNI", Pass),
    row(12, "AVX512_BITALG", Pass),
    row(14, "AVX512_VPOPCNTDQ", Pass),
    row(22, "RDPID", Pass),
    row(25, "CLDEMOTE", Pass),
    row(27, "MOVDIRI", Pass),
    row(28, "MOVDIR64B", Pass),
]);

/// Leaf 7, EDX. Not: controls of speculation, whose MSRs are not the guest's.
pub(super) const LEAF_7_EDX: Mask = Mask::of(&[
    row(4, "fast short REP MOV", Pass),
    row(8, "AVX512_VP2INTERSECT", Pass),
    row(10, "MD_CLEAR", Pass),
    row(14, "SERIALIZE", Pass),
]);

/// Leaf 7, subleaf 1, EAX.
pub(super) const LEAF_7_1_EAX: Mask = Mask::of(&[
    row(4, "AVX-VNNI", Pass),
    row(5, "AVX512_BF16", Pass),
    row(10, "fast zero-length REP MOVSB", Pass),
    row(11, "fast short REP STOSB", Pass),
    row(12, "fast short REP CMPSB and SCASB", Pass),
]);

/// Leaf 0xd, subleaf 1, EAX. Not: XSAVES, whose IA32_XSS is not the guest's.
pub(super) const LEAF_D_1_EAX: Mask =
    Mask::of(&[row(0, "XSAVEOPT", Pass), row(1, "XSAVEC", Pass), row(2, "XGETBV with ECX", Pass)]);

/// Leaf 0x8000_0001, ECX. Not: SVM, SKINIT, IBS, watchdog, performance counters, MONITORX, and
/// CR8 by LOCK MOV CR0.
pub(super) const EXTENDED_1_ECX: Mask = Mask::of(&[
    row(0, "LAHF in 64-bit mode", Pass),
    row(5, "LZCNT", Pass),
    row(6, "SSE4A", Pass),
    row(7, "misaligned SSE", Pass),
    row(8, "PREFETCHW", Pass),
    row(11, "XOP", Pass),
    row(16, "FMA4", Pass),
    row(21, "TBM", Pass),
    row(22, "topology extensions", Pass),
]);

/// Leaf 0x8000_0001, EDX. Not: fast FXSAVE, whose bit in EFER is not the guest's.
pub(super) const EXTENDED_1_EDX: Mask = Mask {
    pass: COMMON_EDX
        | Mask::of(&[
            row(11, "SYSCALL", Pass),
            row(20, "NX", Pass),
            row(22, "MMX extensions", Pass),
            row(26, "1 GiB pages", Pass),
            row(27, "RDTSCP", Pass),
            row(29, "long mode", Pass),
            row(30, "3DNow extensions", Pass),
            row(31, "3DNow", Pass),
        ])
        .pass,
    given: 0,
};

/// Leaf 0x8000_0007, EDX. The hypervisor itself relies on a TSC that never stops.
pub(super) const EXTENDED_7_EDX: Mask = Mask::of(&[row(8, "invariant TSC", Given)]);

/// Leaf 0x8000_0008, EBX.
pub(super) const EXTENDED_8_EBX: Mask = Mask::of(&[
    row(0, "CLZERO", Pass),
    row(2, "error pointers are always restored", Pass),
    row(9, "WBNOINVD", Pass),
]);
