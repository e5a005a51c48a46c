// SPDX-License-Identifier: MIT OR Apache-2.0
//! VT-x: the control structure of a vCPU, entering the guest by VMLAUNCH and
//! VMRESUME, and what an exit says.
//!
//! A vCPU's structure stays current on its CPU. MSRs that are not switched
//! (SYSCALL's, KERNEL_GS_BASE, TSC_AUX) are the guest's, because the hypervisor
//! uses none of them.
//!
//! Intel SDM, volume 3: "Virtual-Machine Control Structures", "VM Entries",
//! "VM Exits", "VMX Support for Address Translation".

use super::state::{
    CR0_PG, CR4_PAE, Controls, EFER_LMA, EFER_LME, Event, RFLAGS_IF, Segment, Start, exception,
    segment,
};
use super::sysreg::{rdmsr, wrmsr};
use super::{control, time};
use begin::{forget_translations, load_guest, load_host};
use core::arch::{asm, global_asm};
use cpu::{msrs, region};
use devices::apic::Page;
use devices::x86::vmx::{entry, primary};
use fields as field;
use paging::PAGE;

mod apic;
mod begin;
mod controls;
mod cpu;
mod failure;
pub(super) mod fields;
pub(super) mod reason;

pub(super) use apic::hand_over;
pub(super) use controls::{gigabyte_pages, virtualizes_apic};
pub(super) use cpu::start_cpu;

/// IA32_VMX_MISC: bits 4:0, TSC ticks of one of the preemption timer, as a power of two.
const VMX_MISC: u32 = 0x485;
const CR0_FIXED_ONES: u32 = 0x486;
const CR0_NE: u64 = 1 << 5;
const CR0_NW: u64 = 1 << 29;
const CR0_CD: u64 = 1 << 30;
const CR4_VMXE: u64 = 1 << 13;
/// Interruptibility: blocking by STI, by MOV SS; by NMI.
const SHADOW: u64 = 3;
const IN_NMI: u64 = 1 << 3;
/// Longest run of a guest between two exits, where the CPU has the preemption timer: Bochs 2.7
/// holds interrupts back from a guest that was entered with its own masked.
const LONGEST_RUN_NS: u64 = 20_000_000;
/// MSRs of the guest that an entry does not load: SYSCALL's, KERNEL_GS_BASE.
const RESIDENT: [u32; 5] = [0xc000_0081, 0xc000_0082, 0xc000_0083, 0xc000_0084, 0xc000_0102];

unsafe extern "C" {
    static vmx_exit: u8;
}

global_asm!(
    // RDI: the guest's registers; ESI: whether it ran before. Zero, or all ones if it did not run.
    ".balign 16",
    "vmx_enter:",
    "push rbx",
    "push rbp",
    "push rdi",
    "mov eax, 0x6c14", // host RSP
    "vmwrite rax, rsp",
    "test esi, esi",
    "mov rax, [rdi]",
    "mov rcx, [rdi + 8]",
    "mov rdx, [rdi + 16]",
    "mov rbx, [rdi + 24]",
    "mov rbp, [rdi + 40]",
    "mov rsi, [rdi + 48]",
    "mov r8, [rdi + 64]",
    "mov r9, [rdi + 72]",
    "mov r10, [rdi + 80]",
    "mov r11, [rdi + 88]",
    "mov r12, [rdi + 96]",
    "mov r13, [rdi + 104]",
    "mov r14, [rdi + 112]",
    "mov r15, [rdi + 120]",
    "mov rdi, [rdi + 56]",
    "jz 2f",
    "vmresume",
    "jmp 3f",
    "2:",
    "vmlaunch",
    "3:",
    "mov rax, -1",
    "pop rdi",
    "pop rbp",
    "pop rbx",
    "ret",
    ".balign 16",
    ".global vmx_exit",
    "vmx_exit:",
    "push rdi",
    "mov rdi, [rsp + 8]",
    "mov [rdi], rax",
    "mov [rdi + 8], rcx",
    "mov [rdi + 16], rdx",
    "mov [rdi + 24], rbx",
    "mov [rdi + 40], rbp",
    "mov [rdi + 48], rsi",
    "mov [rdi + 64], r8",
    "mov [rdi + 72], r9",
    "mov [rdi + 80], r10",
    "mov [rdi + 88], r11",
    "mov [rdi + 96], r12",
    "mov [rdi + 104], r13",
    "mov [rdi + 112], r14",
    "mov [rdi + 120], r15",
    "pop [rdi + 56]",
    "pop rdi",
    "pop rbp",
    "pop rbx",
    "xor eax, eax",
    "ret",
);

/// A vCPU's control structure.
#[derive(Debug)]
pub(super) struct Guest {
    physical: u64,
    /// Bitmaps of MSRs: the second is for a virtualized local APIC in x2APIC mode.
    msrs: [u64; 2],
    /// Where the CPU virtualizes the local APIC, if it does.
    pub(super) apic_page: Option<&'static Page>,
    launched: bool,
}

impl Guest {
    /// A control structure; none if there are no pages left.
    pub(super) fn new() -> Option<Self> {
        let mut new =
            Self { physical: region()?, msrs: [msrs(false)?; 2], apic_page: None, launched: false };
        if virtualizes_apic() {
            new.msrs[1] = msrs(true)?;
            new.apic_page = Some(apic::page()?);
        }
        Some(new)
    }

    /// Puts a start's state there, and makes it this CPU's current one.
    pub(super) fn load(&mut self, controls: &Controls, start: &Start) {
        // SAFETY: the region is this vCPU's alone, and no other CPU uses it.
        unsafe {
            asm!("vmclear [{0}]", "vmptrld [{0}]", in(reg) &self.physical, options(nostack));
        }
        self.launched = false;
        self.load_controls(controls);
        load_host();
        load_guest(start);
        #[cfg(feature = "entry-test")]
        failure::provoke();
        for number in RESIDENT {
            // SAFETY: the hypervisor uses none of these.
            unsafe { wrmsr(number, 0) }
        }
        forget_translations();
    }

    fn load_controls(&self, controls: &Controls) {
        // `start_cpu` found them all on this CPU.
        let Ok(words) = controls::read() else { return };
        for (to, value) in [
            (field::PIN, words.pin.into()),
            (field::PROCESSOR, words.primary.into()),
            (field::SECONDARY, words.secondary.into()),
            (field::EXIT, words.exit.into()),
            (field::ENTRY, words.entry.into()),
            (field::EXCEPTIONS, 1 << exception::DEBUG | 1 << exception::ALIGNMENT),
            (field::PAGE_FAULT_MASK, 0),
            (field::PAGE_FAULT_MATCH, 0),
            (field::CR3_TARGETS, 0),
            (field::EXIT_STORES, 0),
            (field::EXIT_LOADS, 0),
            (field::ENTRY_LOADS, 0),
            (field::ENTRY_EVENT, 0),
            (field::VPID, controls.tag.into()),
            (field::IO_BITMAP_A, controls.ports),
            (field::IO_BITMAP_B, controls.ports + PAGE),
            (field::MSR_BITMAP, self.msrs[0]),
            (field::TSC_OFFSET, 0),
            (field::EPT_POINTER, controls.root),
            (field::LINK, u64::MAX),
            (field::PREEMPTION_TIMER, time::ticks(LONGEST_RUN_NS) >> (rdmsr(VMX_MISC) & 31)),
        ] {
            field::write(to, value);
        }
    }

    /// Runs the guest with these registers until it exits; the exit reason.
    #[inline(always)]
    pub(super) fn run(&mut self, registers: &mut [u64; 16]) -> u64 {
        let failed: u64;
        // SAFETY: the control structure makes every exit, translation and intercept what `load`
        // and this file's setters put there, so the guest reaches nothing but its partition's
        // memory and its own registers; `vmx_enter` keeps RBX and RBP and changes what is listed.
        unsafe {
            asm!("call vmx_enter",
                inout("rdi") core::ptr::from_mut(registers) => _,
                inout("rsi") u64::from(self.launched) => _,
                out("rax") failed, out("rcx") _, out("rdx") _, out("r8") _, out("r9") _,
                out("r10") _, out("r11") _, out("r12") _, out("r13") _, out("r14") _, out("r15") _);
        }
        if failed != 0 {
            return reason::INSTRUCTION_FAILED;
        }
        self.launched = true;
        field::read(field::REASON)
    }

    /// Asks for an exit when the guest takes interrupts, or does not any more.
    pub(super) fn set_window(&mut self, wanted: bool) {
        set_word(field::PROCESSOR, primary::INTERRUPT_WINDOW, wanted);
    }

    /// Asks for an exit when the guest takes NMIs, or does not any more.
    pub(super) fn set_nmi_window(&mut self, waits: bool) {
        set_word(field::PROCESSOR, primary::NMI_WINDOW, waits);
    }

    /// An NMI's handler runs.
    pub(super) fn in_nmi(&self) -> bool {
        field::read(field::INTERRUPTIBILITY) & IN_NMI != 0
    }

    /// An exception's or interrupt's delivery begins when the guest is entered.
    /// An NMI whose delivery was interrupted is not blocked by itself.
    #[inline(always)]
    pub(super) fn set_event(&mut self, event: Event) {
        if event.is_nmi() {
            let state = field::read(field::INTERRUPTIBILITY);
            field::write(field::INTERRUPTIBILITY, state & !IN_NMI);
        }
        field::write(field::ENTRY_EVENT, event.0 & 0xffff_ffff);
        if event.has_error() {
            field::write(field::ENTRY_ERROR, event.0 >> 32);
        }
    }

    /// Whether neither its flag nor the instruction before the next one holds interrupts back.
    #[inline(always)]
    pub(super) fn takes_interrupts(&self) -> bool {
        takes_interrupts()
    }

    /// Delivers an interrupt, if it takes one now.
    #[inline(always)]
    pub(super) fn interrupt(&mut self, vector: u8) -> bool {
        let takes = self.takes_interrupts();
        if takes {
            self.set_event(Event::interrupt(vector));
        }
        takes
    }

    /// Whether the instruction before the next one holds interrupts back.
    #[inline(always)]
    pub(super) fn in_shadow(&self) -> bool {
        field::read(field::INTERRUPTIBILITY) & SHADOW != 0
    }

    /// It does not any more.
    #[inline(always)]
    pub(super) fn end_shadow(&mut self) {
        let state = field::read(field::INTERRUPTIBILITY);
        if state & SHADOW != 0 {
            field::write(field::INTERRUPTIBILITY, state & !SHADOW);
        }
    }

    #[inline(always)]
    pub(super) fn rip(&self) -> u64 {
        field::read(field::GUEST_RIP)
    }

    #[inline(always)]
    pub(super) fn set_rip(&mut self, rip: u64) {
        field::write(field::GUEST_RIP, rip);
    }

    pub(super) fn rsp(&self) -> u64 {
        field::read(field::GUEST_RSP)
    }

    pub(super) fn set_rsp(&mut self, rsp: u64) {
        field::write(field::GUEST_RSP, rsp);
    }

    pub(super) fn rflags(&self) -> u64 {
        field::read(field::GUEST_RFLAGS)
    }

    /// Bits of DR6 that say why #DB comes. No other one is pending: behind MOV SS the CPU may
    /// have saved one for the step that this one ends (Intel SDM, volume 3: "Pending Debug
    /// Exceptions").
    pub(super) fn add_debug_status(&mut self, bits: u64) {
        field::write(field::PENDING_DEBUG, 0);
        super::inject::add_debug_status(bits);
    }

    pub(super) fn set_rflags(&mut self, rflags: u64) {
        field::write(field::GUEST_RFLAGS, rflags);
    }

    /// CR0, of which the guest sees its own NE.
    #[inline(always)]
    pub(super) fn cr0(&self) -> u64 {
        field::read(field::GUEST_CR0)
    }

    /// Writes CR0, where a bit changes that VT-x wants as it is. False for what is #GP.
    pub(super) fn write_cr0(&mut self, cr0: u64) -> bool {
        let before = self.cr0();
        let (efer, cr4) = (self.efer(), self.cr4());
        let paging = cr0 & CR0_PG != 0;
        let long = paging && efer & EFER_LME != 0;
        if cr0 >> 32 != 0
            || paging && cr0 & 1 == 0
            || cr0 & (CR0_NW | CR0_CD) == CR0_NW
            || long && cr4 & CR4_PAE == 0
        {
            return false;
        }
        if (before ^ cr0) & CR0_PG != 0 {
            // Three-level tables would have to be loaded by hand; a guest that turns paging on
            // together with a bit that traps uses four.
            if paging && !long && cr4 & CR4_PAE != 0 {
                return false;
            }
            let lma = if long { EFER_LMA } else { 0 };
            field::write(field::GUEST_EFER, efer & !EFER_LMA | lma);
            set_word(field::ENTRY, entry::GUEST_64, long);
        }
        write_guest_cr0(cr0);
        true
    }

    pub(super) fn cr3(&self) -> u64 {
        field::read(field::GUEST_CR3)
    }

    /// CR4 as the guest sees it.
    pub(super) fn cr4(&self) -> u64 {
        field::read(field::GUEST_CR4) & !CR4_VMXE
    }

    /// Writes CR4.
    pub(super) fn set_cr4(&mut self, cr4: u64) {
        write_guest_cr4(cr4);
    }

    #[inline(always)]
    pub(super) fn efer(&self) -> u64 {
        field::read(field::GUEST_EFER)
    }

    pub(super) fn set_efer(&mut self, efer: u64) {
        field::write(field::GUEST_EFER, efer);
    }

    pub(super) fn pat(&self) -> u64 {
        field::read(field::GUEST_PAT)
    }

    pub(super) fn set_pat(&mut self, pat: u64) {
        field::write(field::GUEST_PAT, pat);
    }

    pub(super) fn set_tsc_offset(&mut self, offset: u64) {
        field::write(field::TSC_OFFSET, offset);
    }

    pub(super) fn tsc_offset(&self) -> u64 {
        field::read(field::TSC_OFFSET)
    }

    /// A segment register.
    pub(super) fn segment(&self, number: usize) -> Segment {
        let at = 2 * number as u32;
        let rights = field::read(field::GUEST_RIGHTS + at);
        Segment {
            selector: field::read(field::GUEST_SELECTOR + at) as u16,
            attributes: (rights & 0xff | rights >> 4 & 0xf00) as u16,
            limit: field::read(field::GUEST_LIMIT + at) as u32,
            base: field::read(field::GUEST_BASE + at),
        }
    }

    /// Attributes of the code segment.
    #[inline(always)]
    pub(super) fn code_attributes(&self) -> u16 {
        let rights = field::read(field::GUEST_RIGHTS + 2 * segment::CS as u32);
        (rights & 0xff | rights >> 4 & 0xf00) as u16
    }

    /// Whether it runs 64-bit code.
    #[inline(always)]
    pub(super) fn in_64_bit_code(&self) -> bool {
        const L: u64 = 1 << 13;
        let rights = field::read(field::GUEST_RIGHTS + 2 * segment::CS as u32);
        rights & L != 0 && self.efer() & EFER_LMA != 0
    }

    /// Privilege level.
    pub(super) fn level(&self) -> u8 {
        (field::read(field::GUEST_RIGHTS + 2 * segment::SS as u32) >> 5 & 3) as u8
    }

    /// Reason, qualification and instruction error, to be told of.
    pub(super) fn exit_words(&self) -> [u64; 3] {
        [field::REASON, field::QUALIFICATION, field::INSTRUCTION_ERROR].map(field::read)
    }
}

/// What the exit interrupted the delivery of.
#[inline(always)]
pub(super) fn interrupted() -> Option<Event> {
    let info = field::read(field::VECTORING);
    if info & 1 << 31 == 0 {
        return None;
    }
    Event::interrupted(field::read(field::VECTORING_ERROR) << 32 | info)
}

/// Whether neither its flag nor the instruction before the next one holds interrupts back from
/// the guest whose control structure is current.
#[inline(always)]
pub(super) fn takes_interrupts() -> bool {
    field::read(field::GUEST_RFLAGS) & RFLAGS_IF != 0
        && field::read(field::INTERRUPTIBILITY) & SHADOW == 0
}

/// Sets or clears bits of a control word.
fn set_word(word: u32, bits: u32, wanted: bool) {
    let bits = u64::from(bits);
    let old = field::read(word);
    let new = if wanted { old | bits } else { old & !bits };
    if new != old {
        field::write(word, new);
    }
}

/// Bits of CR0 that VT-x wants set in a guest: those of the machine, without protection and paging.
fn cr0_mask() -> u64 {
    rdmsr(CR0_FIXED_ONES) & !(CR0_PG | 1)
}

/// What CR0 holds while the guest runs, and what the guest sees of it.
fn write_guest_cr0(cr0: u64) {
    let mask = cr0_mask() | CR0_NE;
    field::write(field::CR0_MASK, mask);
    field::write(field::CR0_SHADOW, cr0);
    field::write(field::GUEST_CR0, cr0 | mask);
}

/// The same with CR4: what the guest may not set exits.
fn write_guest_cr4(cr4: u64) {
    field::write(field::CR4_MASK, !control::cr4_allowed() | CR4_VMXE);
    field::write(field::CR4_SHADOW, cr4);
    field::write(field::GUEST_CR4, cr4 | CR4_VMXE);
}
