// SPDX-License-Identifier: MIT OR Apache-2.0
//! What becomes of a guest's RDMSR and WRMSR: the table. What is not in it
//! answers #GP, as on a CPU that has no such register; drivers probe for that.
//!
//! Rows with a constant are registers that systems touch without asking CPUID,
//! or that follow from a feature we show; they read as a machine whose firmware
//! has set everything up, and a write changes nothing.
//! Intel SDM volume 4, "Architectural MSRs"; AMD manual volume 2, "MSR Cross-Reference".

pub use super::Vendor;
use Rule::{Constant, Emulate, Fault, Pass, ReadOnly};

/// What happens to an MSR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The guest's own: no exit.
    Pass,
    /// The kernel emulates it.
    Emulate(Register),
    /// It reads as this value; writes are ignored.
    Constant(u64),
    /// It reads as this value; writes answer #GP.
    ReadOnly(u64),
    /// It is not there: #GP.
    Fault,
}

/// An MSR that the kernel emulates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// `IA32_TIME_STAMP_COUNTER`: reads need no exit, a write moves the guest's offset.
    Tsc,
    /// `IA32_TSC_ADJUST`: the guest's offset, as far as the guest moved it.
    TscAdjust,
    /// `IA32_APIC_BASE`.
    ApicBase,
    /// `IA32_TSC_DEADLINE`.
    TscDeadline,
    /// x2APIC's registers.
    Apic,
    /// `IA32_EFER`.
    Efer,
    /// `IA32_PAT`.
    Pat,
    /// `IA32_MISC_ENABLE`: [`misc_enable`]; writes are ignored.
    MiscEnable,
}

/// Whose CPUs have it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum On {
    All,
    Intel,
    Amd,
}

/// A row: MSRs of consecutive numbers.
#[expect(dead_code, reason = "names are for the reader")]
struct Row {
    first: u32,
    last: u32,
    on: On,
    rule: Rule,
    name: &'static str,
}

const fn one(number: u32, rule: Rule, name: &'static str) -> Row {
    Row { first: number, last: number, on: On::All, rule, name }
}

const fn some(first: u32, last: u32, rule: Rule, name: &'static str) -> Row {
    Row { first, last, on: On::All, rule, name }
}

const fn intel(number: u32, rule: Rule, name: &'static str) -> Row {
    Row { first: number, last: number, on: On::Intel, rule, name }
}

const fn amd(number: u32, rule: Rule, name: &'static str) -> Row {
    Row { first: number, last: number, on: On::Amd, rule, name }
}

/// Eight variable ranges, none of which is on; fixed ranges; write combining.
const MTRR_CAPABILITIES: u64 = 0x508;
/// MTRRs are on, fixed ones too, and all memory is write-back by default.
const MTRR_DEFAULT: u64 = 0xc06;
/// All eight parts of a fixed range are write-back.
const WRITE_BACK: u64 = 0x0606_0606_0606_0606;
/// The TSC counts at the frequency of state P0.
const HWCR: u64 = 1 << 24;
/// LFENCE serializes.
const DE_CFG: u64 = 2;
/// SVM is locked and off.
const VM_CR: u64 = 0x18;

/// `IA32_MISC_ENABLE`'s number.
pub const MISC_ENABLE: u32 = 0x1a0;

/// What `IA32_MISC_ENABLE` reads. Fast strings are on if the machine's are: by that a system
/// chooses how it copies and clears memory. There is no branch trace store and no precise
/// sampling, as CPUID says too; what else the machine has switched on is not the guest's.
#[must_use]
pub const fn misc_enable(machines: u64) -> u64 {
    const FAST_STRINGS: u64 = 1;
    const NO_TRACE_NO_SAMPLING: u64 = 0x1800;
    machines & FAST_STRINGS | NO_TRACE_NO_SAMPLING
}

/// The table. What is accessed most comes first.
const TABLE: &[Row] = &[
    some(0x800, 0x8ff, Emulate(Register::Apic), "x2APIC"),
    one(0x6e0, Emulate(Register::TscDeadline), "IA32_TSC_DEADLINE"),
    one(0x10, Emulate(Register::Tsc), "IA32_TIME_STAMP_COUNTER"),
    one(0x3b, Emulate(Register::TscAdjust), "IA32_TSC_ADJUST"),
    one(0x1b, Emulate(Register::ApicBase), "IA32_APIC_BASE"),
    one(0xc000_0080, Emulate(Register::Efer), "IA32_EFER"),
    one(0x277, Emulate(Register::Pat), "IA32_PAT"),
    some(0x174, 0x176, Pass, "IA32_SYSENTER_CS, ESP, EIP"),
    some(0xc000_0081, 0xc000_0084, Pass, "STAR, LSTAR, CSTAR, FMASK"),
    some(0xc000_0100, 0xc000_0102, Pass, "FS_BASE, GS_BASE, KERNEL_GS_BASE"),
    one(0xc000_0103, Pass, "TSC_AUX"),
    one(0xfe, ReadOnly(MTRR_CAPABILITIES), "IA32_MTRRCAP"),
    some(0x200, 0x20f, Constant(0), "IA32_MTRR_PHYSBASE, PHYSMASK"),
    one(0x250, Constant(WRITE_BACK), "IA32_MTRR_FIX64K"),
    // From 0xa0000 on there is no memory that anybody would cache.
    one(0x258, Constant(WRITE_BACK), "IA32_MTRR_FIX16K_80000"),
    one(0x259, Constant(0), "IA32_MTRR_FIX16K_A0000"),
    some(0x268, 0x26f, Constant(WRITE_BACK), "IA32_MTRR_FIX4K"),
    one(0x2ff, Constant(MTRR_DEFAULT), "IA32_MTRR_DEF_TYPE"),
    one(0x79, Constant(0), "IA32_BIOS_UPDT_TRIG"),
    intel(0x8b, Constant(1 << 32), "IA32_BIOS_SIGN_ID: a revision"),
    amd(0x8b, Constant(0x0100_0065), "PATCH_LEVEL: a revision"),
    some(0x179, 0x17a, Constant(0), "IA32_MCG_CAP, STATUS: no banks"),
    one(0x1d9, Constant(0), "IA32_DEBUGCTL"),
    intel(0x17, ReadOnly(0), "IA32_PLATFORM_ID"),
    intel(0x2a, Constant(0), "EBL_CR_POWERON"),
    intel(0x3a, ReadOnly(1), "IA32_FEATURE_CONTROL: locked, VMX is off"),
    intel(0xce, ReadOnly(0), "MSR_PLATFORM_INFO"),
    intel(MISC_ENABLE, Emulate(Register::MiscEnable), "IA32_MISC_ENABLE"),
    amd(0xc001_0010, Constant(0), "SYSCFG"),
    amd(0xc001_0015, Constant(HWCR), "HWCR"),
    amd(0xc001_001a, Constant(0), "TOP_MEM"),
    amd(0xc001_001d, Constant(0), "TOP_MEM2"),
    amd(0xc001_001f, Constant(0), "NB_CFG"),
    amd(0xc001_0020, Constant(0), "PATCH_LOADER"),
    amd(0xc001_0055, Constant(0), "INT_PENDING_MSG"),
    amd(0xc001_0058, Constant(0), "MMIO_CFG_BASE"),
    amd(0xc001_0114, Constant(VM_CR), "VM_CR"),
    amd(0xc001_1029, Constant(DE_CFG), "DE_CFG"),
];

/// What happens to an MSR of a guest.
#[must_use]
pub fn rule(msr: u32, vendor: Vendor) -> Rule {
    rows(vendor).find(|row| row.first <= msr && msr <= row.last).map_or(Fault, |row| row.rule)
}

fn rows(vendor: Vendor) -> impl Iterator<Item = &'static Row> {
    let foreign = match vendor {
        Vendor::Intel => On::Amd,
        Vendor::Amd => On::Intel,
    };
    TABLE.iter().filter(move |row| row.on != foreign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_rows_speak_of_one_msr() {
        for vendor in [Vendor::Intel, Vendor::Amd] {
            for row in rows(vendor) {
                assert!(row.first <= row.last, "{:#x}", row.first);
                let others = rows(vendor).filter(|o| o.first <= row.last && row.first <= o.last);
                assert_eq!(others.count(), 1, "{:#x}", row.first);
            }
        }
    }

    #[test]
    fn nothing_of_the_machine_passes() {
        let numbers = (0..0x2000).chain(0xc000_0000..0xc000_2000).chain(0xc001_0000..0xc001_2000);
        let passed: Vec<u32> = numbers.filter(|msr| rule(*msr, Vendor::Intel) == Pass).collect();
        let own = [0x174, 0x175, 0x176, 0xc000_0081, 0xc000_0082, 0xc000_0083, 0xc000_0084];
        assert_eq!(passed[..7], own);
        assert_eq!(passed[7..], [0xc000_0100, 0xc000_0101, 0xc000_0102, 0xc000_0103]);
        assert!(passed.iter().all(|msr| rule(*msr, Vendor::Amd) == Pass));
    }

    #[test]
    fn fast_strings_are_the_machines_and_nothing_else_is() {
        assert_eq!(misc_enable(0), 0x1800);
        assert_eq!(misc_enable(0x85_0089), 0x1801);
        assert_eq!(misc_enable(!1), 0x1800);
        assert_eq!(rule(MISC_ENABLE, Vendor::Intel), Emulate(Register::MiscEnable));
        assert_eq!(rule(MISC_ENABLE, Vendor::Amd), Fault);
    }

    #[test]
    fn virtualization_and_unknown_registers_are_not_there() {
        let mut absent = vec![0x480, 0x48f, 0x491, 0xc001_0117, 0x48, 0x49, 0xda0, 0xc000_0104];
        absent.extend([0, 0x1fff, 0x4000_0000, 0xc000_1fff, 0xc001_1fff, u32::MAX]);
        for msr in absent {
            assert_eq!(rule(msr, Vendor::Intel), Fault, "{msr:#x}");
            assert_eq!(rule(msr, Vendor::Amd), Fault, "{msr:#x}");
        }
        assert_eq!(rule(0x3a, Vendor::Amd), Fault);
        assert_eq!(rule(0xc001_0015, Vendor::Intel), Fault);
    }
}
