// SPDX-License-Identifier: MIT OR Apache-2.0
//! The first instructions of every CPU. CPU 0 enters as PVH prescribes: 32-bit
//! protected mode, flat segments, paging off, EBX the start information. It
//! clears .bss, builds the map and goes to 64-bit mode. Further CPUs come by
//! INIT and SIPI through a page below 1 MiB and meet it there.
//!
//! ```text
//! CR3 -> guest_pml4 -> guest_pdpt -> guest_directories: 4 GiB in pages of 2 MiB, address = address,
//!                                    the last GiB, where devices are, uncached
//! ```
//! Manual: Intel SDM, "Switching to 64-Bit Mode"; Xen, "x86/HVM direct boot ABI".

use super::power::StartError;
use super::{apic, descriptors, timer, uart};
use crate::Boot;
use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use spin::Mutex;

/// Bytes of one CPU's stack; `guest.ld` reserves eight of them.
const GUEST_STACK: usize = 0x8000;
/// CPUs that have a stack.
pub(super) const CPUS: usize = 8;
/// Where a further CPU starts, in real mode.
const TRAMPOLINE: usize = 0x8000;
/// Offsets in it: the number of the CPU that starts, and what LGDT takes.
const NUMBER: usize = 4;
const POINTER: usize = 8;
/// INIT to SIPI, and SIPI to the CPU's answer, in microseconds.
const INIT_WAIT: u64 = 10_000;
const ANSWER_WAIT: u64 = 1_000_000;

global_asm!(
    r#"
    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 4, 18              // XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long _start

    .section .text.boot, "ax"
    .code32
    .global _start
_start:
    cli
    cld
    mov edi, offset __bss_start
    mov ecx, offset __bss_end
    sub ecx, edi
    shr ecx, 2
    xor eax, eax
    rep stosd

    mov edi, offset guest_directories
    mov eax, 0x83               // present, writable, 2 MiB
guest_fill:
    cmp eax, 0xc0000000
    jb guest_cached
    or eax, 0x18                // uncached
guest_cached:
    mov [edi], eax
    add edi, 8
    add eax, 0x200000
    jnc guest_fill
    mov edi, offset guest_pdpt
    mov eax, offset guest_directories + 3
    mov ecx, 4
guest_fill_pdpt:
    mov [edi], eax
    add edi, 8
    add eax, 0x1000
    loop guest_fill_pdpt
    mov eax, offset guest_pdpt + 3
    mov [guest_pml4], eax
    xor edx, edx                // CPU 0

guest_paging:                   // EDX: this CPU's number
    mov esp, offset guest_first_stack_end
    mov eax, cr4
    or eax, 0x20                // PAE
    mov cr4, eax
    mov eax, offset guest_pml4
    mov cr3, eax
    mov esi, edx
    mov ecx, 0xc0000080         // EFER: LME, NXE
    rdmsr
    or eax, 0x900
    wrmsr
    mov eax, cr0
    and eax, 0x9fffffff         // caches on
    or eax, 0x80010001          // paging, write protection, protected mode
    mov cr0, eax
    lgdt [guest_gdt_pointer]
    push 0x08
    mov eax, offset guest_long
    push eax
    retf

guest_secondary_32:             // from the trampoline: flat segments, EDX this CPU's number
    mov eax, 0x10
    mov ds, eax
    mov es, eax
    mov ss, eax
    jmp guest_paging

    .code64
guest_long:
    mov eax, 0x10
    mov ds, eax
    mov es, eax
    mov ss, eax
    xor eax, eax
    mov fs, eax
    mov gs, eax
    mov eax, esi
    inc eax
    imul eax, eax, {stack}
    lea rsp, [rax + __stacks]
    xor ebp, ebp
    mov edi, ebx
    test esi, esi
    jnz guest_is_secondary
    call {primary}
guest_is_secondary:
    mov edi, esi
    call {secondary}
    ud2

    .code16
    .global guest_trampoline
guest_trampoline:
    jmp guest_trampoline_code
    .org guest_trampoline + {number}
    .long 0                     // this CPU's number
    .org guest_trampoline + {pointer}
    .word 4 * 8 - 1
    .long guest_gdt
guest_trampoline_code:
    cli
    cld
    mov ax, cs
    mov ds, ax
    mov edx, ds:[{number}]
    lgdt ds:[{pointer}]
    mov eax, cr0
    or eax, 1
    mov cr0, eax
    .byte 0x66, 0xea            // far jump with a 32-bit offset
    .long guest_secondary_32
    .word 0x18
    .global guest_trampoline_end
guest_trampoline_end:
    .code64

    .section .rodata.boot, "a"
    .balign 8
guest_gdt:
    .quad 0
    .quad 0x00af9b000000ffff    // 0x08 code, 64 bits
    .quad 0x00cf93000000ffff    // 0x10 data
    .quad 0x00cf9b000000ffff    // 0x18 code, 32 bits
guest_gdt_pointer:
    .word 4 * 8 - 1
    .long guest_gdt

    .section .bss.tables, "aw", @nobits
    .balign 4096
    .global guest_pml4
guest_pml4: .skip 4096
guest_pdpt: .skip 4096
guest_directories: .skip 4 * 4096
    .skip 64
guest_first_stack_end:
    "#,
    primary = sym primary,
    secondary = sym secondary,
    stack = const GUEST_STACK,
    number = const NUMBER,
    pointer = const POINTER,
);

unsafe extern "C" {
    /// The trampoline's first and last byte; it is only copied.
    static guest_trampoline: u8;
    static guest_trampoline_end: u8;
}

unsafe extern "Rust" {
    /// Defined by `entry!` in the guest, whose type that macro checks.
    safe fn guest_main(boot: Boot) -> !;
}

extern "C" fn primary(argument: u32) -> ! {
    uart::init();
    descriptors::init();
    descriptors::load(0);
    timer::calibrate();
    guest_main(Boot { argument: argument.into() })
}

/// What each secondary CPU runs, written before it is started.
static MAINS: [AtomicPtr<()>; CPUS] = [const { AtomicPtr::new(core::ptr::null_mut()) }; CPUS];
/// The CPU that answered last.
static ANSWER: AtomicU32 = AtomicU32::new(0);
/// One CPU starts at a time: there is one trampoline.
static STARTING: Mutex<()> = Mutex::new(());

extern "C" fn secondary(index: u32) -> ! {
    let cpu = index as usize % CPUS;
    descriptors::load(cpu);
    let main = MAINS.get(cpu).map_or(core::ptr::null_mut(), |slot| slot.load(Ordering::Acquire));
    ANSWER.store(index, Ordering::Release);
    // SAFETY: only `start_cpu` starts a CPU here and it stored a `fn(usize) -> !` in this slot first.
    let main: fn(usize) -> ! = unsafe { core::mem::transmute(main) };
    main(cpu)
}

/// This CPU's number: that of its task state segment, since asking for it is no exit.
#[must_use]
pub fn cpu_index() -> usize {
    let selector: u64;
    // SAFETY: reads the task register.
    unsafe { asm!("str {}", out(reg) selector, options(nomem, nostack, preserves_flags)) };
    descriptors::cpu_of(selector as u16)
}

/// Starts CPU `index`, whose local APIC has that number, in `main`: on a stack of its
/// own, interrupts masked. The local APIC of this CPU must be on.
///
/// # Errors
/// [`StartError::NoStack`] from CPU 8 on; [`StartError::Silent`] if it does not answer within a second.
pub fn start_cpu(index: usize, main: fn(usize) -> !) -> Result<(), StartError> {
    let slot = MAINS.get(index).ok_or(StartError::NoStack)?;
    let _alone = STARTING.lock();
    slot.store(main as *mut (), Ordering::Release);
    ANSWER.store(0, Ordering::Release);
    // SAFETY: the platform has RAM at the trampoline's page, no Rust object lies there, and no other CPU starts now.
    // The number lies inside what was copied.
    unsafe {
        let from = &raw const guest_trampoline;
        let length = (&raw const guest_trampoline_end).offset_from_unsigned(from);
        core::ptr::copy_nonoverlapping(from, TRAMPOLINE as *mut u8, length);
        ((TRAMPOLINE + NUMBER) as *mut u32).write_volatile(index as u32);
    }
    apic::send_init(index);
    timer::wait(INIT_WAIT);
    apic::send_startup(index, (TRAMPOLINE >> 12) as u8);
    let end = timer::now() + timer::counts(ANSWER_WAIT);
    while ANSWER.load(Ordering::Acquire) != index as u32 {
        if timer::now() > end {
            return Err(StartError::Silent);
        }
        core::hint::spin_loop();
    }
    Ok(())
}
