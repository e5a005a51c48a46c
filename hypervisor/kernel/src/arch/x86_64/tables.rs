// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tables that the CPU itself reads: segments, a task state segment with
//! the stack for exceptions, and the vectors.
//!
//! The hypervisor's own interrupts have the vectors from [`FIRST_VECTOR`] on; a
//! higher one has the higher priority. Every exception is a bug of the
//! hypervisor and is taken on a stack of its own, so that an overflow of the
//! stack is told too. All else is ignored: the legacy controller's spurious
//! interrupts, the local APIC's, and NMIs.
//!
//! Intel SDM, volume 3: "Task Management in 64-bit Mode", "IDT Descriptors".

use super::Local;
use core::arch::asm;
use x86_64::PrivilegeLevel::Ring0;
use x86_64::VirtAddr;
use x86_64::instructions::tables::{lidt, load_tss};
use x86_64::registers::segmentation::{CS, DS, ES, SS, Segment};
use x86_64::structures::DescriptorTablePointer;
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable, SegmentSelector};
use x86_64::structures::tss::TaskStateSegment;

/// First vector of the hypervisor's own interrupts.
pub(super) const FIRST_VECTOR: u8 = 0x80;
/// The vector of the local APIC's spurious interrupts.
pub(super) const SPURIOUS_VECTOR: u8 = 0xff;
/// Selector of the 64-bit code segment.
pub(super) const CODE: u16 = 0x08;
/// Selector of the data segment.
pub(super) const DATA: u16 = 0x10;
/// Selector of the task state segment.
pub(super) const TASK: u16 = 0x18;

const NMI: usize = 2;

unsafe extern "C" {
    static interrupt_entries: u8;
    static exception_entries: u8;
    static ignored_entry: u8;
}

/// A 64-bit interrupt gate.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Gate([u64; 2]);

impl Gate {
    /// A gate to a handler, on the stack that the TSS has for exceptions if `own_stack` is set.
    fn new(handler: u64, own_stack: bool) -> Self {
        const PRESENT_INTERRUPT_GATE: u64 = 0x8e00 << 32;
        let low = handler & 0xffff | u64::from(CODE) << 16 | (handler >> 16 & 0xffff) << 48;
        let stack = u64::from(own_stack) << 32;
        Self([low | stack | PRESENT_INTERRUPT_GATE, handler >> 32])
    }
}

static VECTORS: spin::Once<[Gate; 256]> = spin::Once::new();

/// Where the entry of vector `number` is.
fn gate(number: usize) -> Gate {
    let (interrupts, exceptions, ignored) =
        (&raw const interrupt_entries, &raw const exception_entries, &raw const ignored_entry);
    let first = usize::from(FIRST_VECTOR);
    match number {
        NMI => Gate::new(ignored as u64, true),
        0..32 => Gate::new(exceptions as u64 + 16 * number as u64, true),
        _ if number >= first && number < first + 64 => {
            Gate::new(interrupts as u64 + 16 * (number - first) as u64, false)
        }
        _ => Gate::new(ignored as u64, false),
    }
}

/// Address of the vectors.
pub(super) fn vectors() -> u64 {
    VECTORS.get().map_or(0, |vectors| vectors.as_ptr() as u64)
}

/// Loads the vectors.
pub(super) fn load_vectors() {
    let vectors = VECTORS.call_once(|| core::array::from_fn(gate));
    let pointer = DescriptorTablePointer {
        limit: (size_of_val(vectors) - 1) as u16,
        base: VirtAddr::new(vectors.as_ptr() as u64),
    };
    // SAFETY: the table lives for ever and its handlers are head.s's.
    unsafe { lidt(&pointer) }
}

/// Segments and task state of one CPU.
#[derive(Debug)]
pub(super) struct Tables {
    segments: GlobalDescriptorTable<8>,
    task: TaskStateSegment,
}

impl Tables {
    /// Tables whose exceptions have the stack that ends at `emergency_stack`.
    pub(super) fn new(emergency_stack: u64) -> Self {
        let mut task = TaskStateSegment::new();
        task.interrupt_stack_table[0] = VirtAddr::new(emergency_stack);
        Self { segments: GlobalDescriptorTable::empty(), task }
    }

    /// Finishes the segments once the tables lie where they stay.
    pub(super) fn finish(&mut self) {
        self.segments.append(Descriptor::kernel_code_segment());
        self.segments.append(Descriptor::kernel_data_segment());
        let task = &raw const self.task;
        // SAFETY: the caller leaks the tables, so the segment lives for ever.
        self.segments.append(unsafe { Descriptor::tss_segment_unchecked(task) });
    }

    /// Address of the task state segment.
    pub(super) fn task(&self) -> u64 {
        &raw const self.task as u64
    }

    /// Address of the segments' table.
    pub(super) fn segments(&self) -> u64 {
        self.segments.entries().as_ptr() as u64
    }
}

/// This CPU uses its own tables from now on, and knows itself.
pub(super) fn load(local: &'static Local) {
    local.tables.segments.load();
    // SAFETY: the selectors are those of the table just loaded; GS is loaded before its base.
    unsafe {
        CS::set_reg(SegmentSelector::new(CODE / 8, Ring0));
        SS::set_reg(SegmentSelector::new(DATA / 8, Ring0));
        DS::set_reg(SegmentSelector::new(DATA / 8, Ring0));
        ES::set_reg(SegmentSelector::new(DATA / 8, Ring0));
        asm!("mov fs, {0:e}", "mov gs, {0:e}", in(reg) 0, options(nostack, preserves_flags));
        load_tss(SegmentSelector::new(TASK / 8, Ring0));
        super::sysreg::wrmsr(super::sysreg::GS_BASE, core::ptr::from_ref(local) as u64);
    }
    load_vectors();
}
