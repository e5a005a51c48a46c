// SPDX-License-Identifier: MIT OR Apache-2.0
//! What becomes of a guest's RDMSR and WRMSR.

/// Who made the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    /// VT-x.
    Intel,
    /// AMD-V.
    Amd,
}

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
    /// `IA32_TIME_STAMP_COUNTER`: reads pass; a write changes the guest's offset.
    Tsc,
    /// `IA32_TSC_ADJUST`: the offset itself, as the guest sees it.
    TscAdjust,
    /// `IA32_APIC_BASE`.
    ApicBase,
    /// `IA32_TSC_DEADLINE`.
    TscDeadline,
    /// x2APIC.
    Apic,
    /// `IA32_EFER`.
    Efer,
    /// `IA32_PAT`.
    Pat,
}

/// What happens to an MSR of a guest.
#[must_use]
pub fn rule(_msr: u32, _vendor: Vendor) -> Rule {
    Rule::Fault
}
