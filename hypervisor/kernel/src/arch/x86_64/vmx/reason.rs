// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why the guest stopped.
//!
//! Intel SDM, volume 3: appendix "VMX Basic Exit Reasons".

pub(in super::super) const EXCEPTION: u64 = 0;
pub(in super::super) const INTERRUPT: u64 = 1;
pub(in super::super) const TRIPLE_FAULT: u64 = 2;
pub(in super::super) const INIT: u64 = 3;
pub(in super::super) const WINDOW: u64 = 7;
pub(in super::super) const NMI_WINDOW: u64 = 8;
pub(in super::super) const TASK_SWITCH: u64 = 9;
pub(in super::super) const CPUID: u64 = 10;
pub(in super::super) const HLT: u64 = 12;
pub(in super::super) const INVD: u64 = 13;
pub(in super::super) const RDPMC: u64 = 15;
pub(in super::super) const VMCALL: u64 = 18;
pub(in super::super) const CONTROL: u64 = 28;
pub(in super::super) const PORT: u64 = 30;
pub(in super::super) const RDMSR: u64 = 31;
pub(in super::super) const WRMSR: u64 = 32;
pub(in super::super) const APIC_ACCESS: u64 = 44;
pub(in super::super) const VIRTUALIZED_EOI: u64 = 45;
pub(in super::super) const VIOLATION: u64 = 48;
pub(in super::super) const MISCONFIGURATION: u64 = 49;
pub(in super::super) const WBINVD: u64 = 54;
pub(in super::super) const PREEMPTION_TIMER: u64 = 52;
pub(in super::super) const XSETBV: u64 = 55;
pub(in super::super) const APIC_WRITE: u64 = 56;
/// Bit 31: the guest was not entered at all.
pub(in super::super) const ENTRY_FAILED: u64 = 1 << 31;
/// What `vmx_enter` gives if the instruction itself failed.
pub(in super::super) const INSTRUCTION_FAILED: u64 = u64::MAX;
