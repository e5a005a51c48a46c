// SPDX-License-Identifier: MIT OR Apache-2.0
//! VT-x's controls: which ones Bulkhead uses, and whether this CPU has them, by
//! its capability MSRs.
//!
//! A control is one bit of a word. The low half of a word's capability MSR tells
//! the bits that must be one, the high half those that may be. A control that is
//! not in a table is off, unless the CPU wants it on.
//! Intel SDM volume 3, appendix "VMX Capability Reporting Facility".

mod capabilities;

pub use capabilities::{APIC_MODES, Capabilities, capabilities};

use Use::{Free, IfThere, On, Switched};

/// How a control is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Always on.
    On,
    /// On where the CPU has it.
    IfThere,
    /// Off at first, on now and then.
    Switched,
    /// Off, which some CPUs do not allow.
    Free,
}

/// A control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control {
    /// Its bit.
    pub mask: u32,
    /// How it is used.
    pub when: Use,
    /// What the manual calls it.
    pub name: &'static str,
}

const fn row(mask: u32, when: Use, name: &'static str) -> Control {
    Control { mask, when, name }
}

/// Pin-based execution controls.
pub mod pin {
    /// External interrupts exit.
    pub const EXTERNAL: u32 = 1 << 0;
    /// Non-maskable interrupts exit.
    pub const NMI: u32 = 1 << 3;
    /// The guest's own blocking by NMI is kept.
    pub const VIRTUAL_NMI: u32 = 1 << 5;
    /// The preemption timer runs.
    pub const PREEMPTION_TIMER: u32 = 1 << 6;
}

/// Primary processor-based execution controls.
pub mod primary {
    /// An exit as soon as the guest takes interrupts.
    pub const INTERRUPT_WINDOW: u32 = 1 << 2;
    /// The guest's TSC has an offset.
    pub const TSC_OFFSET: u32 = 1 << 3;
    /// HLT exits.
    pub const HLT: u32 = 1 << 7;
    /// INVLPG exits.
    pub const INVLPG: u32 = 1 << 9;
    /// MWAIT exits.
    pub const MWAIT: u32 = 1 << 10;
    /// RDPMC exits.
    pub const RDPMC: u32 = 1 << 11;
    /// RDTSC exits.
    pub const RDTSC: u32 = 1 << 12;
    /// MOV to CR3 exits.
    pub const CR3_LOAD: u32 = 1 << 15;
    /// MOV from CR3 exits.
    pub const CR3_STORE: u32 = 1 << 16;
    /// MOV to CR8 exits.
    pub const CR8_LOAD: u32 = 1 << 19;
    /// MOV from CR8 exits.
    pub const CR8_STORE: u32 = 1 << 20;
    /// CR8 lies in the virtual-APIC page.
    pub const TPR_SHADOW: u32 = 1 << 21;
    /// An exit as soon as the guest takes non-maskable interrupts.
    pub const NMI_WINDOW: u32 = 1 << 22;
    /// MOV to and from debug registers exits.
    pub const MOV_DR: u32 = 1 << 23;
    /// Ports exit by a bitmap.
    pub const IO_BITMAPS: u32 = 1 << 25;
    /// MSRs exit by a bitmap.
    pub const MSR_BITMAPS: u32 = 1 << 28;
    /// MONITOR exits.
    pub const MONITOR: u32 = 1 << 29;
    /// There are secondary controls.
    pub const SECONDARY: u32 = 1 << 31;
}

/// Secondary processor-based execution controls.
pub mod secondary {
    /// Accesses to the local APIC's page exit by themselves.
    pub const APIC_ACCESSES: u32 = 1 << 0;
    /// Extended page tables.
    pub const EPT: u32 = 1 << 1;
    /// RDTSCP is defined.
    pub const RDTSCP: u32 = 1 << 3;
    /// x2APIC's task priority lies in the virtual-APIC page.
    pub const X2APIC: u32 = 1 << 4;
    /// Translations carry the vCPU's identifier.
    pub const VPID: u32 = 1 << 5;
    /// WBINVD exits.
    pub const WBINVD: u32 = 1 << 6;
    /// The guest may run without paging and in real mode.
    pub const UNRESTRICTED: u32 = 1 << 7;
    /// The local APIC's registers lie in the virtual-APIC page.
    pub const APIC_REGISTERS: u32 = 1 << 8;
    /// The CPU delivers virtual interrupts.
    pub const INTERRUPT_DELIVERY: u32 = 1 << 9;
    /// INVPCID is defined.
    pub const INVPCID: u32 = 1 << 12;
}

/// VM-exit controls.
pub mod exit {
    /// DR7 and IA32_DEBUGCTL are saved.
    pub const SAVE_DEBUG: u32 = 1 << 2;
    /// The hypervisor runs in 64-bit mode.
    pub const HOST_64: u32 = 1 << 9;
    /// An external interrupt is acknowledged as it exits.
    pub const ACKNOWLEDGE: u32 = 1 << 15;
    /// IA32_PAT is saved.
    pub const SAVE_PAT: u32 = 1 << 18;
    /// IA32_PAT is loaded.
    pub const LOAD_PAT: u32 = 1 << 19;
    /// IA32_EFER is saved.
    pub const SAVE_EFER: u32 = 1 << 20;
    /// IA32_EFER is loaded.
    pub const LOAD_EFER: u32 = 1 << 21;
}

/// VM-entry controls.
pub mod entry {
    /// DR7 and IA32_DEBUGCTL are loaded.
    pub const LOAD_DEBUG: u32 = 1 << 2;
    /// The guest runs in long mode.
    pub const GUEST_64: u32 = 1 << 9;
    /// IA32_PAT is loaded.
    pub const LOAD_PAT: u32 = 1 << 14;
    /// IA32_EFER is loaded.
    pub const LOAD_EFER: u32 = 1 << 15;
}

/// What is wanted of [`pin`].
pub const PIN: &[Control] = &[
    row(pin::EXTERNAL, On, "external-interrupt exiting"),
    row(pin::NMI, On, "NMI exiting"),
    row(pin::VIRTUAL_NMI, On, "virtual NMIs"),
    row(pin::PREEMPTION_TIMER, IfThere, "VMX-preemption timer"),
];

/// What is wanted of [`primary`].
pub const PRIMARY: &[Control] = &[
    row(primary::INTERRUPT_WINDOW, Switched, "interrupt-window exiting"),
    row(primary::TSC_OFFSET, On, "TSC offsetting"),
    row(primary::HLT, Switched, "HLT exiting"),
    row(primary::INVLPG, Free, "INVLPG without exiting"),
    row(primary::MWAIT, On, "MWAIT exiting"),
    row(primary::RDPMC, On, "RDPMC exiting"),
    row(primary::RDTSC, Free, "RDTSC without exiting"),
    row(primary::CR3_LOAD, Free, "CR3 loads without exiting"),
    row(primary::CR3_STORE, Free, "CR3 stores without exiting"),
    row(primary::CR8_LOAD, Switched, "CR8-load exiting"),
    row(primary::CR8_STORE, Switched, "CR8-store exiting"),
    row(primary::TPR_SHADOW, IfThere, "TPR shadow"),
    row(primary::NMI_WINDOW, Switched, "NMI-window exiting"),
    row(primary::MOV_DR, Free, "debug registers without exiting"),
    row(primary::IO_BITMAPS, On, "I/O bitmaps"),
    row(primary::MSR_BITMAPS, On, "MSR bitmaps"),
    row(primary::MONITOR, On, "MONITOR exiting"),
    row(primary::SECONDARY, On, "secondary controls"),
];

/// What is wanted of [`secondary`]. APIC virtualization is for [`capabilities`] to decide.
pub const SECONDARY: &[Control] = &[
    row(secondary::EPT, On, "EPT"),
    row(secondary::RDTSCP, IfThere, "RDTSCP"),
    row(secondary::VPID, IfThere, "VPID"),
    row(secondary::WBINVD, On, "WBINVD exiting"),
    row(secondary::UNRESTRICTED, On, "unrestricted guest"),
    row(secondary::INVPCID, IfThere, "INVPCID"),
];

/// What is wanted of [`exit`].
pub const EXIT: &[Control] = &[
    row(exit::SAVE_DEBUG, On, "save debug controls"),
    row(exit::HOST_64, On, "host address-space size"),
    row(exit::ACKNOWLEDGE, Free, "no acknowledgement of interrupts on exit"),
    row(exit::SAVE_PAT, On, "save IA32_PAT"),
    row(exit::LOAD_PAT, On, "load IA32_PAT on exit"),
    row(exit::SAVE_EFER, On, "save IA32_EFER"),
    row(exit::LOAD_EFER, On, "load IA32_EFER on exit"),
];

/// What is wanted of [`entry`].
pub const ENTRY: &[Control] = &[
    row(entry::LOAD_DEBUG, On, "load debug controls"),
    row(entry::GUEST_64, Switched, "IA-32e mode guest"),
    row(entry::LOAD_PAT, On, "load IA32_PAT on entry"),
    row(entry::LOAD_EFER, On, "load IA32_EFER on entry"),
];

/// A control word for a CPU with this capability MSR (the "true" one where there is one).
///
/// # Errors
/// The name of the first control that the CPU does not have.
pub fn adjust(controls: &[Control], capability: u64) -> Result<u32, &'static str> {
    let forced = (capability & 0xffff_ffff) as u32;
    let allowed = (capability >> 32) as u32;
    let mut word = forced;
    for control in controls {
        let (may, must) = (allowed & control.mask != 0, forced & control.mask != 0);
        let possible = match control.when {
            On => may,
            IfThere => true,
            Switched => may && !must,
            Free => !must,
        };
        if !possible {
            return Err(control.name);
        }
        if control.when == On || control.when == IfThere && may {
            word |= control.mask;
        }
    }
    Ok(word)
}

/// What to write to `IA32_FEATURE_CONTROL` before VMXON; none if nothing needs to be written.
///
/// # Errors
/// Firmware has locked VT-x off.
pub const fn feature_control(value: u64) -> Result<Option<u64>, &'static str> {
    const LOCKED: u64 = 1 << 0;
    const OUTSIDE_SMX: u64 = 1 << 2;
    match (value & LOCKED != 0, value & OUTSIDE_SMX != 0) {
        (true, true) => Ok(None),
        (true, false) => Err("VT-x is switched off by the firmware; enable it in its setup"),
        (false, _) => Ok(Some(value | LOCKED | OUTSIDE_SMX)),
    }
}

#[cfg(test)]
mod tests;
