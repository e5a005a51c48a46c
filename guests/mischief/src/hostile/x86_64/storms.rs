// SPDX-License-Identifier: MIT OR Apache-2.0
//! What never comes back: tables that no exception can be delivered through,
//! exceptions whose delivery is the next exception, and, in 32-bit mode
//! without paging, task switches.
//! Manual: Intel SDM, "Task Switching", "Alignment Check Exception (#AC)",
//! "Debug Exception (#DB)"; CVE-2015-5307 and CVE-2015-8104.

use core::arch::{asm, global_asm};
use guest_rt::machine::{descriptors, mask_interrupts};

/// DR7: breakpoint 0 on for good; reads and writes; eight bytes.
const WATCH: u64 = 1 << 1 | 3 << 16 | 2 << 18;

global_asm!(
    r#"
    .section .text.storms, "ax"
    // From 64-bit mode to 32-bit mode without paging, then to the address in EDI.
guest_legacy:
    cli
    lgdt [rip + storm_gdt_pointer]
    push 0x08
    lea rax, [rip + storm_compatible]
    push rax
    retfq
    .code32
storm_compatible:
    mov eax, 0x10
    mov ss, eax
    mov ds, eax
    mov es, eax
    mov esp, offset storm_stack
    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax
    mov ecx, 0xc0000080
    rdmsr
    and eax, 0xfffffeff
    wrmsr
    jmp edi

storm_of_alignment:
    mov eax, offset storm_handler
    mov [storm_idt + 17 * 8], ax
    shr eax, 16
    mov [storm_idt + 17 * 8 + 6], ax
    mov word ptr [storm_idt + 17 * 8 + 2], 0x1b
    mov word ptr [storm_idt + 17 * 8 + 4], 0xee00
    lidt [storm_idt_pointer]
    mov eax, cr0
    or eax, 0x40000             // AM
    mov cr0, eax
    push 0x23
    mov eax, offset storm_user_stack + 1
    push eax
    push 0x40002                // AC
    push 0x1b
    mov eax, offset storm_user
    push eax
    iretd
storm_user:
    push eax                    // unaligned: #AC, whose frame is unaligned too
storm_handler:
    jmp storm_handler

storm_of_tasks:
    mov eax, offset storm_tss_a
    mov edi, offset storm_gdt + 0x28
    call storm_base
    mov eax, offset storm_tss_b
    mov edi, offset storm_gdt + 0x30
    call storm_base
    mov dword ptr [storm_tss_b + 0x20], offset storm_task_b
    mov dword ptr [storm_tss_b + 0x24], 2
    mov dword ptr [storm_tss_b + 0x38], offset storm_user_stack
    mov dword ptr [storm_tss_b + 0x48], 0x10
    mov dword ptr [storm_tss_b + 0x4c], 0x08
    mov dword ptr [storm_tss_b + 0x50], 0x10
    mov dword ptr [storm_tss_b + 0x54], 0x10
    mov eax, 0x28
    ltr ax
storm_task_a:
    .byte 0xea                  // far jump
    .long 0
    .word 0x30
    jmp storm_task_a
storm_task_b:
    .byte 0xea
    .long 0
    .word 0x28
    jmp storm_task_b
storm_base:                     // base EAX into the descriptor at EDI
    mov [edi + 2], ax
    shr eax, 16
    mov [edi + 4], al
    mov [edi + 7], ah
    ret
    .code64

    .section .data.storms, "aw"
    .balign 8
storm_gdt:
    .quad 0
    .quad 0x00cf9b000000ffff    // 0x08 code
    .quad 0x00cf93000000ffff    // 0x10 data
    .quad 0x00cffb000000ffff    // 0x1b user code
    .quad 0x00cff3000000ffff    // 0x23 user data
    .quad 0x0000890000000067    // 0x28, 0x30 task state segments
    .quad 0x0000890000000067
storm_gdt_pointer:
    .word 7 * 8 - 1
    .quad storm_gdt
    .balign 8
storm_idt:
    .skip 18 * 8
storm_idt_pointer:
    .word 18 * 8 - 1
    .long storm_idt
    .balign 16
storm_tss_a: .skip 104
storm_tss_b: .skip 104
    .skip 512
storm_stack:
    .skip 512
storm_user_stack:
    .skip 16
"#
);

unsafe extern "C" {
    fn guest_legacy(then: *const ()) -> !;
    fn storm_of_alignment();
    fn storm_of_tasks();
}

/// #AC whose delivery at CPL 3 is the next #AC.
pub(crate) fn alignment_checks() -> ! {
    // SAFETY: the code never comes back and keeps to its own data.
    unsafe { guest_legacy(storm_of_alignment as *const ()) }
}

/// Two tasks that jump to each other.
pub(crate) fn tasks() -> ! {
    // SAFETY: as above.
    unsafe { guest_legacy(storm_of_tasks as *const ()) }
}

/// #DB whose delivery writes to where a breakpoint is.
pub(crate) fn breakpoints() -> ! {
    mask_interrupts();
    let first_push = descriptors::exception_stack() - 8;
    // SAFETY: a read of this guest's own stack, under a breakpoint: nothing comes back from it.
    unsafe {
        asm!("mov dr0, {0}", "mov dr7, {1}", "mov rax, [{0}]", "2: pause", "jmp 2b",
            in(reg) first_push, in(reg) WATCH, options(noreturn));
    }
}

/// What LGDT and LIDT take.
#[repr(C, packed)]
struct Pointer {
    limit: u16,
    base: u64,
}

/// An exception without an IDT to deliver it: shutdown.
pub(crate) fn no_idt(base: u64, limit: u16) -> ! {
    let pointer = Pointer { limit, base };
    // SAFETY: nothing comes back.
    unsafe { asm!("lidt [{}]", "ud2", in(reg) &raw const pointer, options(noreturn)) }
}

/// An exception without a GDT to find its handler's segment in: shutdown.
pub(crate) fn no_gdt(base: u64, limit: u16) -> ! {
    let pointer = Pointer { limit, base };
    // SAFETY: nothing comes back.
    unsafe { asm!("lgdt [{}]", "ud2", in(reg) &raw const pointer, options(noreturn)) }
}
