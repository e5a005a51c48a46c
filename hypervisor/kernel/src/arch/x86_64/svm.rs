// SPDX-License-Identifier: MIT OR Apache-2.0
//! AMD-V: the control block of a vCPU, entering the guest by VMRUN, and what an
//! exit says.
//!
//! The hypervisor runs with the interrupt flag clear; it is set only from CLGI over
//! VMRUN to STGI, because that is what lets an interrupt end the guest's run. What
//! waits at STGI is taken there, whatever the exit was for: Bochs 2.7 masks the
//! machine's interrupts while a guest runs that was entered with its own masked
//! (`SvmEnterLoadCheckGuestState` sets the flags before VMRUN says that a guest runs).
//! Neither nRIP save nor decode assists are relied upon.
//!
//! AMD APM, volume 2: "Secure Virtual Machine", "Layout of VMCB".

use super::map::{self, phys};
use super::state::{Controls, EFER_LMA, Event, RFLAGS_IF, Segment, Start};
use super::sysreg::{EFER, cpuid, rdmsr, wrmsr};
use core::arch::{asm, global_asm};
use devices::x86::Vendor;
use devices::x86::cpuid::Leaf;
use devices::x86::msr::{self, Rule};
use devices::x86::svm::{Svm, allowed, features};
use spin::Once;
use vmcb::{Vmcb, intercept};

mod vmcb;

/// VM_CR.
const VM_CR: u32 = 0xc001_0114;
/// VM_HSAVE_PA.
const HSAVE: u32 = 0xc001_0117;
/// EFER: SVM instructions work.
const EFER_SVME: u64 = 1 << 12;

/// Why the guest stopped (EXITCODE).
pub(super) mod code {
    pub(in super::super) const READ_CR: u64 = 0x00;
    pub(in super::super) const WRITE_CR: u64 = 0x10;
    pub(in super::super) const EXCEPTION: u64 = 0x40;
    pub(in super::super) const INTERRUPT: u64 = 0x60;
    pub(in super::super) const NMI: u64 = 0x61;
    pub(in super::super) const INIT: u64 = 0x63;
    pub(in super::super) const WINDOW: u64 = 0x64;
    pub(in super::super) const RDPMC: u64 = 0x6f;
    pub(in super::super) const CPUID: u64 = 0x72;
    pub(in super::super) const IRET: u64 = 0x74;
    pub(in super::super) const INVD: u64 = 0x76;
    pub(in super::super) const HLT: u64 = 0x78;
    pub(in super::super) const PORT: u64 = 0x7b;
    pub(in super::super) const MSR: u64 = 0x7c;
    pub(in super::super) const SHUTDOWN: u64 = 0x7f;
    pub(in super::super) const VMMCALL: u64 = 0x81;
    pub(in super::super) const WBINVD: u64 = 0x89;
    pub(in super::super) const XSETBV: u64 = 0x8d;
    pub(in super::super) const NESTED_FAULT: u64 = 0x400;
    pub(in super::super) const INVALID: u64 = u64::MAX;
}

/// V_IRQ, V_IGN_TPR: a virtual interrupt that only opens the window.
const WINDOW_REQUEST: u64 = 1 << 8 | 1 << 20;
/// V_INTR_MASKING: the guest's interrupt flag does not mask the machine's interrupts.
const SEPARATE_MASKING: u64 = 1 << 24;
const FLUSH_ALL: u64 = 1 << 32;

global_asm!(
    // RDI: the guest's registers; RSI, RDX: physical addresses of its control block and of the
    // block with the hypervisor's own state.
    ".balign 16",
    "svm_enter:",
    "push rbx",
    "push rbp",
    "push rdx",
    "push rdi",
    "mov rax, rsi",
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
    "clgi",
    "sti",
    "vmload rax",
    "vmrun rax",
    "vmsave rax",
    "mov rax, [rsp + 8]",
    "vmload rax",
    "pop rax",
    "mov [rax + 8], rcx",
    "mov [rax + 16], rdx",
    "mov [rax + 24], rbx",
    "mov [rax + 40], rbp",
    "mov [rax + 48], rsi",
    "mov [rax + 56], rdi",
    "mov [rax + 64], r8",
    "mov [rax + 72], r9",
    "mov [rax + 80], r10",
    "mov [rax + 88], r11",
    "mov [rax + 96], r12",
    "mov [rax + 104], r13",
    "mov [rax + 112], r14",
    "mov [rax + 120], r15",
    "stgi",
    "cli",
    "pop rdx",
    "pop rbp",
    "pop rbx",
    "ret",
);

/// What this CPU's AMD-V can do.
fn abilities() -> Result<Svm, &'static str> {
    let found = cpuid(0x8000_000a, 0);
    features(Leaf { eax: found.eax, ebx: found.ebx, ecx: found.ecx, edx: found.edx })
}

/// Turns AMD-V on, on this CPU.
///
/// # Errors
/// What it lacks, and the cure.
pub(super) fn start_cpu() -> Result<(), &'static str> {
    allowed(rdmsr(VM_CR))?;
    abilities()?;
    let page = map::pages(1).ok_or("no room for a CPU's state")?;
    // SAFETY: SVM is there and not locked; the page is this CPU's alone.
    unsafe {
        wrmsr(EFER, rdmsr(EFER) | EFER_SVME);
        wrmsr(HSAVE, phys(page as u64));
    }
    Ok(())
}

/// Physical address of the bitmap of MSRs, two bits each, for reads and writes.
fn msrs() -> Option<u64> {
    static MSRS: Once<Option<u64>> = Once::new();
    *MSRS.call_once(|| {
        let map = map::pages(2)?.cast::<u8>();
        for (range, first) in [(0, 0), (1, 0xc000_0000), (2, 0xc001_0000)] {
            for number in 0..0x2000_u32 {
                if msr::rule(first + number, Vendor::Amd) != Rule::Pass {
                    let bit = range * 0x800 * 8 + number * 2;
                    // SAFETY: bit 0x2ffff lies in the second page of the two.
                    unsafe { *map.add(bit as usize / 8) |= 3 << (bit % 8) }
                }
            }
        }
        Some(phys(map as u64))
    })
}

/// A vCPU's control block.
#[derive(Debug)]
pub(super) struct Guest {
    vmcb: &'static mut Vmcb,
    /// Physical address of it.
    physical: u64,
    /// Physical address of the hypervisor's own state, of the CPU that the vCPU lives on.
    host: u64,
    msrs: u64,
    abilities: Svm,
}

impl Guest {
    /// A control block; none if there are no pages left.
    pub(super) fn new() -> Option<Self> {
        let (vmcb, host) = (map::pages(1)?.cast::<Vmcb>(), map::pages(1)?);
        let physical = phys(vmcb as u64);
        // SAFETY: zeroed pages of its own; zeros are a Vmcb.
        let vmcb = unsafe { &mut *vmcb };
        let abilities = abilities().ok()?;
        Some(Self { vmcb, physical, host: phys(host as u64), msrs: msrs()?, abilities })
    }

    /// Puts a start's state there.
    pub(super) fn load(&mut self, controls: &Controls, start: &Start) {
        use super::state::segment::{LDTR, TR};
        // SAFETY: a page of this vCPU's, to keep what VMLOAD brings back on each exit.
        unsafe { asm!("vmsave rax", in("rax") self.host, options(nostack, preserves_flags)) }
        let vmcb = &mut *self.vmcb;
        vmcb.intercepts = [
            intercept::CONTROL,
            0,
            intercept::EXCEPTIONS,
            intercept::FIRST,
            intercept::SECOND,
            intercept::THIRD,
        ];
        vmcb.ports = controls.ports;
        vmcb.msrs = self.msrs;
        vmcb.tsc_offset = 0;
        // ASIDs may be as few as 8; a CPU runs one vCPU, so they differ where they meet.
        let tags = self.abilities.asids.max(2) - 1;
        vmcb.tag = u64::from(1 + controls.tag % tags) | FLUSH_ALL;
        vmcb.virtual_interrupt = SEPARATE_MASKING;
        vmcb.shadow = 0;
        vmcb.event = Event(0);
        vmcb.nested = 1;
        vmcb.nested_root = controls.root;
        vmcb.segments.copy_from_slice(&start.segments[..6]);
        vmcb.ldtr = start.segments[LDTR];
        vmcb.tr = start.segments[TR];
        let table = Segment { limit: start.table_limit, ..Segment::default() };
        (vmcb.gdtr, vmcb.idtr) = (table, table);
        vmcb.cpl = 0;
        vmcb.efer = EFER_SVME;
        (vmcb.cr0, vmcb.cr2, vmcb.cr3, vmcb.cr4) = (start.cr0, 0, 0, 0);
        (vmcb.dr6, vmcb.dr7, vmcb.debug_control) = (0xffff_0ff0, 0x400, 0);
        (vmcb.rflags, vmcb.rip, vmcb.rsp) = (2, start.rip, 0);
        vmcb.syscall = [0; 5];
        vmcb.sysenter = [0; 3];
        vmcb.pat = 0x0007_0406_0007_0406;
    }

    /// Runs the guest with these registers until it exits; EXITCODE.
    #[inline(always)]
    pub(super) fn run(&mut self, registers: &mut [u64; 16]) -> u64 {
        self.vmcb.rax = registers[0];
        // SAFETY: the control block makes every exit, translation and intercept what `load` and
        // this file's setters put there, so the guest reaches nothing but its partition's memory
        // and its own registers; `svm_enter` keeps RBX and RBP and changes what is listed here.
        unsafe {
            asm!("call svm_enter",
                inout("rdi") core::ptr::from_mut(registers) => _,
                inout("rsi") self.physical => _, inout("rdx") self.host => _,
                out("rax") _, out("rcx") _, out("r8") _, out("r9") _, out("r10") _, out("r11") _,
                out("r12") _, out("r13") _, out("r14") _, out("r15") _);
        }
        registers[0] = self.vmcb.rax;
        self.vmcb.tag &= 0xffff_ffff;
        self.vmcb.event = Event(0);
        self.vmcb.exit_code
    }

    /// EXITINFO1 and EXITINFO2.
    #[inline(always)]
    pub(super) fn exit_info(&self) -> [u64; 2] {
        self.vmcb.exit_info
    }

    /// What the exit interrupted the delivery of.
    #[inline(always)]
    pub(super) fn interrupted(&self) -> Option<Event> {
        Event::interrupted(self.vmcb.exit_event.0)
    }

    /// Where the instruction after the intercepted one begins, if the CPU tells.
    #[inline(always)]
    pub(super) fn next_rip(&self) -> Option<u64> {
        self.abilities.next_rip.then_some(self.vmcb.next_rip)
    }

    /// Asks for an exit when the guest takes interrupts, or does not any more.
    pub(super) fn set_window(&mut self, wanted: bool) {
        let vmcb = &mut *self.vmcb;
        if wanted {
            vmcb.intercepts[3] |= intercept::WINDOW;
            vmcb.virtual_interrupt |= WINDOW_REQUEST;
        } else {
            vmcb.intercepts[3] &= !intercept::WINDOW;
            vmcb.virtual_interrupt &= !WINDOW_REQUEST;
        }
    }

    /// Asks for nothing: an NMI that waits is delivered at the first exit behind the IRET of the
    /// handler that runs, which exits.
    pub(super) fn set_nmi_window(&mut self, _waits: bool) {}

    /// An NMI's handler runs.
    pub(super) fn in_nmi(&self) -> bool {
        self.vmcb.intercepts[3] & intercept::IRET != 0
    }

    /// It ends with the instruction that exited, and before that nothing is delivered.
    pub(super) fn end_nmi(&mut self) {
        self.vmcb.intercepts[3] &= !intercept::IRET;
        self.vmcb.shadow = 1;
    }

    /// An exception's or interrupt's delivery begins when the guest is entered.
    #[inline(always)]
    pub(super) fn set_event(&mut self, event: Event) {
        self.vmcb.event = event;
        if event.is_nmi() {
            self.vmcb.intercepts[3] |= intercept::IRET;
        }
    }

    /// Whether neither its flag nor the instruction before the next one holds interrupts back.
    #[inline(always)]
    pub(super) fn takes_interrupts(&self) -> bool {
        self.rflags() & RFLAGS_IF != 0 && !self.in_shadow()
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
    pub(super) fn in_shadow(&self) -> bool {
        self.vmcb.shadow & 1 != 0
    }

    /// It does not any more.
    #[inline(always)]
    pub(super) fn end_shadow(&mut self) {
        self.vmcb.shadow = 0;
    }

    #[inline(always)]
    pub(super) fn rip(&self) -> u64 {
        self.vmcb.rip
    }

    #[inline(always)]
    pub(super) fn set_rip(&mut self, rip: u64) {
        self.vmcb.rip = rip;
    }

    pub(super) fn rsp(&self) -> u64 {
        self.vmcb.rsp
    }

    pub(super) fn set_rsp(&mut self, rsp: u64) {
        self.vmcb.rsp = rsp;
    }

    pub(super) fn rflags(&self) -> u64 {
        self.vmcb.rflags
    }

    /// Bits of DR6 that say why #DB comes.
    pub(super) fn add_debug_status(&mut self, bits: u64) {
        self.vmcb.dr6 |= bits;
    }

    pub(super) fn set_rflags(&mut self, rflags: u64) {
        self.vmcb.rflags = rflags;
    }

    pub(super) fn cr0(&self) -> u64 {
        self.vmcb.cr0
    }

    pub(super) fn cr3(&self) -> u64 {
        self.vmcb.cr3
    }

    pub(super) fn cr4(&self) -> u64 {
        self.vmcb.cr4
    }

    /// Never asked for: CR0 is the guest's own here.
    pub(super) fn write_cr0(&mut self, _cr0: u64) -> bool {
        false
    }

    /// EXITCODE, EXITINFO1 and EXITINFO2, to be told of.
    pub(super) fn exit_words(&self) -> [u64; 3] {
        let [first, second] = self.vmcb.exit_info;
        [self.vmcb.exit_code, first, second]
    }

    /// Writes CR4. What it caches of the guest's tables is dropped.
    pub(super) fn set_cr4(&mut self, cr4: u64) {
        self.vmcb.cr4 = cr4;
        self.vmcb.tag |= FLUSH_ALL;
    }

    /// EFER as the guest sees it.
    pub(super) fn efer(&self) -> u64 {
        self.vmcb.efer & !EFER_SVME
    }

    /// Writes EFER.
    pub(super) fn set_efer(&mut self, efer: u64) {
        self.vmcb.efer = efer | EFER_SVME;
    }

    pub(super) fn pat(&self) -> u64 {
        self.vmcb.pat
    }

    pub(super) fn set_pat(&mut self, pat: u64) {
        self.vmcb.pat = pat;
    }

    pub(super) fn set_tsc_offset(&mut self, offset: u64) {
        self.vmcb.tsc_offset = offset;
    }

    pub(super) fn tsc_offset(&self) -> u64 {
        self.vmcb.tsc_offset
    }

    /// A segment register.
    #[inline(always)]
    pub(super) fn segment(&self, number: usize) -> Segment {
        self.vmcb.segments.get(number).copied().unwrap_or_default()
    }

    /// Attributes of the code segment.
    #[inline(always)]
    pub(super) fn code_attributes(&self) -> u16 {
        self.vmcb.segments[super::state::segment::CS].attributes
    }

    /// Whether it runs 64-bit code.
    #[inline(always)]
    pub(super) fn in_64_bit_code(&self) -> bool {
        const L: u16 = 1 << 9;
        self.code_attributes() & L != 0 && self.vmcb.efer & EFER_LMA != 0
    }

    /// Privilege level.
    pub(super) fn level(&self) -> u8 {
        self.vmcb.cpl
    }
}
