// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the CPU checks of a guest's registers, but for the segments, and of the
//! event that is injected. Left out is what depends on the CPU's model.
//!
//! Intel SDM, volume 3: "Checks on the Guest State Area", "Checks on VM-Entry
//! Control Fields".

use super::Check;
use super::segments::{CODE, STACK, dpl, v8086};
use super::state::{
    ACTIVITY, CR0, CR3, CR4, DEBUG_CONTROL, DR7, EFER, ENTRY, EVENT, EVENT_LENGTH, GDTR_BASE,
    GDTR_LIMIT, IDTR_BASE, IDTR_LIMIT, INTERRUPTIBILITY, LINK, PAT, PDPTE, PENDING_DEBUG, PIN,
    RFLAGS, RIGHTS, RIP, SECONDARY, SYSENTER_EIP, SYSENTER_ESP, State,
};

const PE: u32 = 0;
const NE: u32 = 5;
const PG: u32 = 31;
const PAE: u32 = 5;
const VMXE: u32 = 13;
const PCIDE: u32 = 17;
const LME: u32 = 8;
const LMA: u32 = 10;
const TF: u32 = 8;
const IF: u32 = 9;
const BTF: u32 = 1;
/// Blocking: by STI, by MOV SS, by SMI, by NMI.
const STI: u32 = 0;
const MOV_SS: u32 = 1;
const SMI: u32 = 2;
const NMI: u32 = 3;
/// A pending single step.
const BS: u32 = 14;
/// Types of events.
const INTERRUPT: u64 = 0;
const NMI_EVENT: u64 = 2;
const EXCEPTION: u64 = 3;
const OTHER: u64 = 7;
/// Activity: HLT.
const HALTED: u64 = 1;

const fn check(field: &'static str, why: &'static str, is: fn(&State) -> bool) -> Check {
    Check { field, why, is }
}

/// Every check, in the manual's order.
pub(super) const CHECKS: &[Check] = &[
    check("entry event", "its type is reserved", |s| kind(s) == Some(1)),
    check("entry event", "reserved bits are one", |s| {
        kind(s).is_some() && s.get(EVENT) & 0x7fff_f000 != 0
    }),
    check("entry event", "an NMI has vector 2", |s| kind(s) == Some(NMI_EVENT) && vector(s) != 2),
    check("entry event", "an exception has a vector up to 31", |s| {
        kind(s) == Some(EXCEPTION) && vector(s) > 31
    }),
    check("entry event", "type 7 has vector 0 (MTF)", |s| kind(s) == Some(OTHER) && vector(s) != 0),
    check("entry event", "its error code does not go with the vector and CR0.PE", |s| {
        let has = matches!(vector(s), 8 | 10..=14 | 17) && kind(s) == Some(EXCEPTION);
        kind(s).is_some() && s.has(EVENT, 11) != (has && (s.has(CR0, PE) || !unrestricted(s)))
    }),
    check("entry instruction length", "a software event's instruction has 1 to 15 bytes", |s| {
        matches!(kind(s), Some(4..=6)) && !(1..=15).contains(&s.get(EVENT_LENGTH))
    }),
    check("CR0", "bits 63:32 are not zero", |s| s.get(CR0) >> 32 != 0),
    check("CR0", "NE is zero", |s| !s.has(CR0, NE)),
    check("CR0", "PG without PE", |s| s.has(CR0, PG) && !s.has(CR0, PE)),
    check("CR0", "PE or PG is zero without unrestricted guest", |s| {
        !(unrestricted(s) || s.has(CR0, PE) && s.has(CR0, PG))
    }),
    check("CR4", "VMXE is zero", |s| !s.has(CR4, VMXE)),
    check("IA32_DEBUGCTL", "reserved bits are one", |s| {
        s.has(ENTRY, 2) && s.get(DEBUG_CONTROL) & !0xffc3 != 0
    }),
    check("entry controls", "IA-32e mode guest without CR0.PG and CR4.PAE", |s| {
        long(s) && !(s.has(CR0, PG) && s.has(CR4, PAE))
    }),
    check("CR4", "PCIDE without IA-32e mode guest", |s| !long(s) && s.has(CR4, PCIDE)),
    check("CR3", "bits 63:52 are not zero", |s| s.get(CR3) >> 52 != 0),
    check("DR7", "bits 63:32 are not zero", |s| s.has(ENTRY, 2) && s.get(DR7) >> 32 != 0),
    check("IA32_SYSENTER_ESP", "not canonical", |s| !canonical(s.get(SYSENTER_ESP))),
    check("IA32_SYSENTER_EIP", "not canonical", |s| !canonical(s.get(SYSENTER_EIP))),
    check("IA32_PAT", "a byte is none of 0, 1, 4, 5, 6, 7", |s| {
        let wrong = |byte: u8| !matches!(byte, 0 | 1 | 4..=7);
        s.has(ENTRY, 14) && s.get(PAT).to_le_bytes().into_iter().any(wrong)
    }),
    check("IA32_EFER", "reserved bits are one", |s| s.has(ENTRY, 15) && s.get(EFER) & !0xd01 != 0),
    check("IA32_EFER", "LMA differs from IA-32e mode guest", |s| {
        s.has(ENTRY, 15) && s.has(EFER, LMA) != long(s)
    }),
    check("IA32_EFER", "LMA differs from LME with CR0.PG", |s| {
        s.has(ENTRY, 15) && s.has(CR0, PG) && s.has(EFER, LMA) != s.has(EFER, LME)
    }),
    check("GDTR base", "not canonical", |s| !canonical(s.get(GDTR_BASE))),
    check("IDTR base", "not canonical", |s| !canonical(s.get(IDTR_BASE))),
    check("GDTR limit", "above 0xffff", |s| s.get(GDTR_LIMIT) > 0xffff),
    check("IDTR limit", "above 0xffff", |s| s.get(IDTR_LIMIT) > 0xffff),
    check("RIP", "bits 63:32 are not zero outside 64-bit mode", |s| {
        !(long(s) && s.has(RIGHTS + CODE, 13)) && s.get(RIP) >> 32 != 0
    }),
    check("RIP", "not canonical", |s| {
        long(s) && s.has(RIGHTS + CODE, 13) && !canonical(s.get(RIP))
    }),
    check("RFLAGS", "a reserved bit is one, or bit 1 is zero", |s| {
        s.get(RFLAGS) & !0x3f_7fd7 != 0 || !s.has(RFLAGS, 1)
    }),
    check("RFLAGS", "VM in IA-32e mode or without CR0.PE", |s| {
        v8086(s) && (long(s) || !s.has(CR0, PE))
    }),
    check("RFLAGS", "IF is zero and an interrupt is injected", |s| {
        kind(s) == Some(INTERRUPT) && !s.has(RFLAGS, IF)
    }),
    check("activity state", "above 3", |s| s.get(ACTIVITY) > 3),
    check("activity state", "HLT outside privilege level 0", |s| {
        s.get(ACTIVITY) == HALTED && dpl(s, STACK) != 0
    }),
    check("activity state", "not active behind STI or MOV SS", |s| {
        s.get(ACTIVITY) != 0 && in_shadow(s)
    }),
    check("activity state", "the injected event does not go with it", |s| {
        let wakes = match kind(s) {
            None | Some(INTERRUPT | NMI_EVENT) => true,
            Some(EXCEPTION) => matches!(vector(s), 1 | 18),
            Some(kind) => kind == OTHER,
        };
        match s.get(ACTIVITY) {
            0 => false,
            HALTED => !wakes,
            2 => kind(s).is_some() && kind(s) != Some(NMI_EVENT) && vector(s) != 18,
            _ => kind(s).is_some(),
        }
    }),
    check("interruptibility", "reserved bits are one", |s| s.get(INTERRUPTIBILITY) >> 5 != 0),
    check("interruptibility", "blocking by STI and by MOV SS", |s| {
        s.has(INTERRUPTIBILITY, STI) && s.has(INTERRUPTIBILITY, MOV_SS)
    }),
    check("interruptibility", "blocking by STI with IF zero", |s| {
        s.has(INTERRUPTIBILITY, STI) && !s.has(RFLAGS, IF)
    }),
    check("interruptibility", "blocking, and an interrupt is injected", |s| {
        kind(s) == Some(INTERRUPT) && in_shadow(s)
    }),
    check("interruptibility", "blocking by MOV SS, and an NMI is injected", |s| {
        kind(s) == Some(NMI_EVENT) && s.has(INTERRUPTIBILITY, MOV_SS)
    }),
    check("interruptibility", "blocking by SMI", |s| s.has(INTERRUPTIBILITY, SMI)),
    check("interruptibility", "blocking by NMI with virtual NMIs, and an NMI is injected", |s| {
        kind(s) == Some(NMI_EVENT) && s.has(PIN, 5) && s.has(INTERRUPTIBILITY, NMI)
    }),
    check("pending debug exceptions", "reserved bits are one", |s| {
        s.get(PENDING_DEBUG) & !0x1_500f != 0
    }),
    check("pending debug exceptions", "BS does not go with RFLAGS.TF and IA32_DEBUGCTL.BTF", |s| {
        let steps = s.has(RFLAGS, TF) && !s.has(DEBUG_CONTROL, BTF);
        (in_shadow(s) || s.get(ACTIVITY) == HALTED) && s.has(PENDING_DEBUG, BS) != steps
    }),
    check("VMCS link pointer", "not in use, so that all bits are to be one", |s| {
        s.get(LINK) != u64::MAX
    }),
    check("PDPTEs", "reserved bits of a present one are one", |s| {
        let wrong = |entry: u64| entry & 1 != 0 && entry & 0xfff0_0000_0000_01e6 != 0;
        let mut entries = (0..4).map(|number| s.get(PDPTE + 2 * number));
        !long(s) && s.has(CR0, PG) && s.has(CR4, PAE) && entries.any(wrong)
    }),
];

/// IA-32e mode guest.
pub(super) fn long(state: &State) -> bool {
    state.has(ENTRY, 9)
}

/// Unrestricted guest.
pub(super) fn unrestricted(state: &State) -> bool {
    state.has(SECONDARY, 7)
}

/// Whether bits 63:47 are the same.
pub(super) fn canonical(address: u64) -> bool {
    matches!(address.cast_signed() >> 47, 0 | -1)
}

/// The type of the event that is injected, if one is.
fn kind(state: &State) -> Option<u64> {
    state.has(EVENT, 31).then(|| state.get(EVENT) >> 8 & 7)
}

fn vector(state: &State) -> u64 {
    state.get(EVENT) & 0xff
}

fn in_shadow(state: &State) -> bool {
    state.get(INTERRUPTIBILITY) & 3 != 0
}
