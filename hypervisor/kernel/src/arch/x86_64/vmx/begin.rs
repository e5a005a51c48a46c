// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a control structure begins with: the hypervisor's own state, to come
//! back to, and a guest's first.

use super::super::state::{Start, segment};
use super::super::sysreg::{EFER, PAT, rdmsr};
use super::super::{local, tables};
use super::{controls, fields as field, vmx_exit, write_guest_cr0, write_guest_cr4};
use core::arch::asm;

/// What an exit brings back: this CPU's own state.
pub(super) fn load_host() {
    let local = local();
    let register = |number: u8| -> u64 {
        let value: u64;
        // SAFETY: reads a control register.
        unsafe {
            match number {
                0 => asm!("mov {}, cr0", out(reg) value, options(nomem, nostack, preserves_flags)),
                3 => asm!("mov {}, cr3", out(reg) value, options(nomem, nostack, preserves_flags)),
                _ => asm!("mov {}, cr4", out(reg) value, options(nomem, nostack, preserves_flags)),
            }
        }
        value
    };
    for (to, value) in [
        (field::HOST_CR0, register(0)),
        (field::HOST_CR3, register(3)),
        (field::HOST_CR4, register(4)),
        (field::HOST_CS, tables::CODE.into()),
        (field::HOST_SS, tables::DATA.into()),
        (field::HOST_DS, tables::DATA.into()),
        (field::HOST_ES, tables::DATA.into()),
        (field::HOST_FS, 0),
        (field::HOST_GS, 0),
        (field::HOST_TR, tables::TASK.into()),
        (field::HOST_FS_BASE, 0),
        (field::HOST_GS_BASE, local.this),
        (field::HOST_TR_BASE, local.tables.task()),
        (field::HOST_GDTR_BASE, local.tables.segments()),
        (field::HOST_IDTR_BASE, tables::vectors()),
        (field::HOST_SYSENTER_CS, 0),
        (field::HOST_SYSENTER_ESP, 0),
        (field::HOST_SYSENTER_EIP, 0),
        (field::HOST_PAT, rdmsr(PAT)),
        (field::HOST_EFER, rdmsr(EFER)),
        (field::HOST_RIP, &raw const vmx_exit as u64),
    ] {
        field::write(to, value);
    }
}

/// What an entry loads at first.
pub(super) fn load_guest(start: &Start) {
    const UNUSABLE: u64 = 1 << 16;
    for (number, segment) in start.segments.iter().enumerate() {
        let at = 2 * number as u32;
        let attributes = u64::from(segment.attributes);
        let rights = attributes & 0xff | (attributes & 0xf00) << 4;
        let unusable = if number == segment::LDTR { UNUSABLE } else { 0 };
        field::write(field::GUEST_SELECTOR + at, segment.selector.into());
        field::write(field::GUEST_BASE + at, segment.base);
        field::write(field::GUEST_LIMIT + at, segment.limit.into());
        field::write(field::GUEST_RIGHTS + at, rights | unusable);
    }
    for (to, value) in [
        (field::GUEST_GDTR_BASE, 0),
        (field::GUEST_GDTR_LIMIT, start.table_limit.into()),
        (field::GUEST_IDTR_BASE, 0),
        (field::GUEST_IDTR_LIMIT, start.table_limit.into()),
        (field::GUEST_CR3, 0),
        (field::GUEST_EFER, 0),
        (field::GUEST_PAT, 0x0007_0406_0007_0406),
        (field::GUEST_DEBUG_CONTROL, 0),
        (field::GUEST_DR7, 0x400),
        (field::GUEST_RFLAGS, 2),
        (field::GUEST_RIP, start.rip),
        (field::GUEST_RSP, 0),
        (field::PENDING_DEBUG, 0),
        (field::INTERRUPTIBILITY, 0),
        (field::ACTIVITY, 0),
        (field::GUEST_SYSENTER_CS, 0),
        (field::GUEST_SYSENTER_ESP, 0),
        (field::GUEST_SYSENTER_EIP, 0),
    ] {
        field::write(to, value);
    }
    (0..4).for_each(|entry| field::write(field::GUEST_PDPTE + 2 * entry, 0));
    write_guest_cr0(start.cr0);
    write_guest_cr4(0);
}

/// Drops what this CPU caches of any guest's translations.
pub(super) fn forget_translations() {
    const ALL: u64 = 2;
    let nothing = [0_u64; 2];
    // SAFETY: forgets translations, which memory still holds; `controls::read` found it. It
    // drops those of all identifiers too.
    unsafe {
        asm!("invept {kind}, [{nothing}]", kind = in(reg) ALL, nothing = in(reg) &nothing,
            options(nostack));
    }
    if controls::has_vpid() {
        // SAFETY: as above; the guest's own translations.
        unsafe {
            asm!("invvpid {kind}, [{nothing}]", kind = in(reg) ALL, nothing = in(reg) &nothing,
                options(nostack));
        }
    }
}
