// SPDX-License-Identifier: MIT OR Apache-2.0
//! The fields of a VMCS, and how they are read and written.
//!
//! Intel SDM, volume 3: "Field Encoding in VMCS", "VMREAD", "VMWRITE".

use core::arch::asm;

pub(in super::super) const VPID: u32 = 0x0;
pub(in super::super) const GUEST_SELECTOR: u32 = 0x800;
pub(in super::super) const INTERRUPT_STATUS: u32 = 0x810;
pub(in super::super) const HOST_ES: u32 = 0xc00;
pub(in super::super) const HOST_CS: u32 = 0xc02;
pub(in super::super) const HOST_SS: u32 = 0xc04;
pub(in super::super) const HOST_DS: u32 = 0xc06;
pub(in super::super) const HOST_FS: u32 = 0xc08;
pub(in super::super) const HOST_GS: u32 = 0xc0a;
pub(in super::super) const HOST_TR: u32 = 0xc0c;
pub(in super::super) const IO_BITMAP_A: u32 = 0x2000;
pub(in super::super) const IO_BITMAP_B: u32 = 0x2002;
pub(in super::super) const MSR_BITMAP: u32 = 0x2004;
pub(in super::super) const TSC_OFFSET: u32 = 0x2010;
pub(in super::super) const VIRTUAL_APIC: u32 = 0x2012;
pub(in super::super) const APIC_ACCESS: u32 = 0x2014;
pub(in super::super) const EPT_POINTER: u32 = 0x201a;
pub(in super::super) const EOI_EXITS: u32 = 0x201c;
pub(in super::super) const GUEST_PHYSICAL: u32 = 0x2400;
pub(in super::super) const LINK: u32 = 0x2800;
pub(in super::super) const GUEST_DEBUG_CONTROL: u32 = 0x2802;
pub(in super::super) const GUEST_PAT: u32 = 0x2804;
pub(in super::super) const GUEST_EFER: u32 = 0x2806;
pub(in super::super) const GUEST_PDPTE: u32 = 0x280a;
pub(in super::super) const HOST_PAT: u32 = 0x2c00;
pub(in super::super) const HOST_EFER: u32 = 0x2c02;
pub(in super::super) const PIN: u32 = 0x4000;
pub(in super::super) const PROCESSOR: u32 = 0x4002;
pub(in super::super) const EXCEPTIONS: u32 = 0x4004;
pub(in super::super) const PAGE_FAULT_MASK: u32 = 0x4006;
pub(in super::super) const PAGE_FAULT_MATCH: u32 = 0x4008;
pub(in super::super) const CR3_TARGETS: u32 = 0x400a;
pub(in super::super) const EXIT: u32 = 0x400c;
pub(in super::super) const EXIT_STORES: u32 = 0x400e;
pub(in super::super) const EXIT_LOADS: u32 = 0x4010;
pub(in super::super) const ENTRY: u32 = 0x4012;
pub(in super::super) const ENTRY_LOADS: u32 = 0x4014;
pub(in super::super) const ENTRY_EVENT: u32 = 0x4016;
pub(in super::super) const ENTRY_ERROR: u32 = 0x4018;
pub(in super::super) const SECONDARY: u32 = 0x401e;
pub(in super::super) const INSTRUCTION_ERROR: u32 = 0x4400;
pub(in super::super) const REASON: u32 = 0x4402;
pub(in super::super) const EXIT_EVENT: u32 = 0x4404;
pub(in super::super) const VECTORING: u32 = 0x4408;
pub(in super::super) const VECTORING_ERROR: u32 = 0x440a;
pub(in super::super) const LENGTH: u32 = 0x440c;
pub(in super::super) const GUEST_LIMIT: u32 = 0x4800;
pub(in super::super) const GUEST_GDTR_LIMIT: u32 = 0x4810;
pub(in super::super) const GUEST_IDTR_LIMIT: u32 = 0x4812;
pub(in super::super) const GUEST_RIGHTS: u32 = 0x4814;
pub(in super::super) const INTERRUPTIBILITY: u32 = 0x4824;
pub(in super::super) const ACTIVITY: u32 = 0x4826;
pub(in super::super) const GUEST_SYSENTER_CS: u32 = 0x482a;
pub(in super::super) const PREEMPTION_TIMER: u32 = 0x482e;
pub(in super::super) const HOST_SYSENTER_CS: u32 = 0x4c00;
pub(in super::super) const CR0_MASK: u32 = 0x6000;
pub(in super::super) const CR4_MASK: u32 = 0x6002;
pub(in super::super) const CR0_SHADOW: u32 = 0x6004;
pub(in super::super) const CR4_SHADOW: u32 = 0x6006;
pub(in super::super) const QUALIFICATION: u32 = 0x6400;
pub(in super::super) const GUEST_CR0: u32 = 0x6800;
pub(in super::super) const GUEST_CR3: u32 = 0x6802;
pub(in super::super) const GUEST_CR4: u32 = 0x6804;
pub(in super::super) const GUEST_BASE: u32 = 0x6806;
pub(in super::super) const GUEST_GDTR_BASE: u32 = 0x6816;
pub(in super::super) const GUEST_IDTR_BASE: u32 = 0x6818;
pub(in super::super) const GUEST_DR7: u32 = 0x681a;
pub(in super::super) const GUEST_RSP: u32 = 0x681c;
pub(in super::super) const GUEST_RIP: u32 = 0x681e;
pub(in super::super) const GUEST_RFLAGS: u32 = 0x6820;
pub(in super::super) const PENDING_DEBUG: u32 = 0x6822;
pub(in super::super) const GUEST_SYSENTER_ESP: u32 = 0x6824;
pub(in super::super) const GUEST_SYSENTER_EIP: u32 = 0x6826;
pub(in super::super) const HOST_CR0: u32 = 0x6c00;
pub(in super::super) const HOST_CR3: u32 = 0x6c02;
pub(in super::super) const HOST_CR4: u32 = 0x6c04;
pub(in super::super) const HOST_FS_BASE: u32 = 0x6c06;
pub(in super::super) const HOST_GS_BASE: u32 = 0x6c08;
pub(in super::super) const HOST_TR_BASE: u32 = 0x6c0a;
pub(in super::super) const HOST_GDTR_BASE: u32 = 0x6c0c;
pub(in super::super) const HOST_IDTR_BASE: u32 = 0x6c0e;
pub(in super::super) const HOST_SYSENTER_ESP: u32 = 0x6c10;
pub(in super::super) const HOST_SYSENTER_EIP: u32 = 0x6c12;
pub(in super::super) const HOST_RIP: u32 = 0x6c16;

/// Reads a field of the current VMCS that this CPU has: one without is refused at start.
#[inline(always)]
pub(in super::super) fn read(field: u32) -> u64 {
    let value: u64;
    // SAFETY: `start_cpu` has turned VT-x on and `load` made a VMCS current; a field that the
    // CPU does not have would give some number.
    unsafe {
        asm!("vmread {}, {}", lateout(reg) value, in(reg) u64::from(field),
            options(nomem, nostack));
    }
    value
}

/// Writes a field of the current VMCS.
#[inline(always)]
pub(in super::super) fn write(field: u32, value: u64) {
    // SAFETY: as above; what the fields hold is this module's to answer for.
    unsafe {
        asm!("vmwrite {}, {}", in(reg) u64::from(field), in(reg) value, options(nostack));
    }
}
