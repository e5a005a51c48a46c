// SPDX-License-Identifier: MIT OR Apache-2.0
//! x86's groups, in the order they run.

mod apic;
mod calls;
mod control;
mod cpuid;
mod decoder;
mod interrupts;
mod memory;
mod msrs;
mod places;
mod ports;
mod power;
mod shootdowns;
mod storms;
mod tables;
mod virtualization;
mod walks;

use super::{Group, endless, floods, forever, group, mailbox};
pub(super) use interrupts::flood;

/// What this guest takes for its memory where the start information says nothing.
pub(crate) const MEMORY: (u64, u64) = (0x10_0000, 0x70_0000);

/// Every group.
pub(crate) const GROUPS: &[Group] = &[
    group("memory", memory::run),
    group("msrs", msrs::run),
    group("ports", ports::run),
    group("cpuid", cpuid::run),
    group("control", control::run),
    group("tables", tables::run),
    group("virtualization", virtualization::run),
    group("apic", apic::run),
    group("power", power::run),
    group("pages", power::pages),
    group("interrupts", interrupts::run),
    group("decoder", decoder::run),
    group("calls", calls::run),
    group("floods", floods::run),
    group("walks", walks::run),
    group("mailbox", mailbox::run),
    group("shootdowns", shootdowns::run),
    forever("idle", endless::idle),
    forever("loop", endless::spin),
    forever("reset", endless::reset),
    forever("bells", endless::bells),
    forever("breakpoints", storms::breakpoints),
    forever("alignment", storms::alignment),
    forever("tasks", storms::tasks),
    forever("no-idt", storms::no_idt),
    forever("no-gdt", storms::no_gdt),
];
