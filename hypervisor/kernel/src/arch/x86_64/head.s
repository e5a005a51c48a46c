# SPDX-License-Identifier: MIT OR Apache-2.0
# The first instructions: the boot record, the headers that boot loaders look
# for, from 32-bit protected mode (PVH and multiboot2 alike) to the linked
# address in long mode; the page that other CPUs start in; and the entries of
# interrupts and exceptions.
#
# The boot tables map the first 4 GiB at their own addresses and the home where
# it is linked. They stay for the CPUs that start later, each of which leaves
# them at once (map.rs).
#
# Intel SDM, volume 3: "Initializing IA-32e Mode", "MP Initialization Protocol
# Algorithm"; Multiboot2 Specification: "The layout of Multiboot2 header";
# Xen, "x86/HVM direct boot ABI".

    .section .head, "ax"
    .balign 64
    .global boot_record
boot_record:
    .ascii "BHBOOT\0\0"
    .quad 0                                 # physical address of the bundle
    .quad 0                                 # its length

    .balign 8
multiboot2_header:
    .long 0xe85250d6, 0, multiboot2_end - multiboot2_header
    .long 0x100000000 - (0xe85250d6 + multiboot2_end - multiboot2_header)
    .short 3, 0                             # entry address
    .long 12, start_phys
    .balign 8
    .short 0, 0                             # end
    .long 8
multiboot2_end:

    .equ SECONDARY, 0x5ec04da2
    .equ LONG_MODE_AND_NX, 1 << 29 | 1 << 20

    .code32
    .global start
start:
    cli
    cld
    mov ebp, eax
    mov esi, ebx
    mov esp, offset boot_stack_phys
    mov eax, 0x80000000
    cpuid
    cmp eax, 0x80000001
    jb too_old
    mov eax, 0x80000001
    cpuid
    and edx, LONG_MODE_AND_NX
    cmp edx, LONG_MODE_AND_NX
    jne too_old

    mov edi, offset boot_tables_phys
    xor eax, eax
    mov ecx, 0x8000 / 4
    rep stosd
    mov edi, offset boot_tables_phys
    lea eax, [edi + 0x1003]
    mov [edi], eax                          # the first 512 GiB
    lea eax, [edi + 0x2003]
    mov [edi + 511 * 8], eax                # the last
    lea eax, [edi + 0x3003]
    mov [edi + 0x2000 + 510 * 8], eax       # the last but one GiB of them: the home
    mov dword ptr [edi + 0x3000], 0x200083
    lea eax, [edi + 0x4003]
    xor ecx, ecx
2:  mov [edi + ecx * 8 + 0x1000], eax
    add eax, 0x1000
    inc ecx
    cmp ecx, 4
    jb 2b
    mov eax, 0x83
    xor ecx, ecx
2:  mov [edi + ecx * 8 + 0x4000], eax
    add eax, 0x200000
    inc ecx
    cmp ecx, 2048
    jb 2b

enter_long_mode:
    mov eax, cr4
    or eax, 0x20                            # PAE
    mov cr4, eax
    mov eax, offset boot_tables_phys
    mov cr3, eax
    mov ecx, 0xc0000080                     # EFER: NXE, LME
    rdmsr
    or eax, 0x900
    wrmsr
    mov eax, 0x80010033                     # PG, WP, NE, ET, MP, PE
    mov cr0, eax
    lgdt [boot_gdt_pointer_phys]
    .byte 0xea                              # far jump
    .long long_start_phys
    .short 8

too_old:
    call 3f
    .ascii "[bulkhead] end: failed boot this CPU has no long mode or cannot forbid execution\r\n\0"
3:  pop esi
2:  lodsb
    test al, al
    jz 4f
    mov dx, 0x3f8
    mov ah, al
    mov dx, 0x3fd
3:  in al, dx
    test al, 0x20
    jz 3b
    mov dx, 0x3f8
    mov al, ah
    out dx, al
    jmp 2b
4:  hlt
    jmp 4b

    # What is copied to a page below 1 MiB, for CPUs that start in real mode.
    .code16
    .global trampoline
trampoline:
    cli
    cld
    mov ax, cs
    mov ds, ax
    .byte 0x66, 0x0f, 0x01, 0x16            # lgdt, of 32 bits
    .short trampoline_gdt - trampoline
    mov eax, cr0
    or al, 1
    mov cr0, eax
    .byte 0x66, 0xea                        # far jump with a 32-bit offset
    .long secondary_phys
    .short 0x18
trampoline_gdt:
    .short 4 * 8 - 1
    .long boot_gdt_phys
    .global trampoline_end
trampoline_end:

    .code32
    .global secondary
secondary:
    mov ax, 0x10
    mov ds, ax
    mov ss, ax
    mov ebp, SECONDARY
    jmp enter_long_mode

    .code64
    .global long_start
long_start:
    movabs rax, offset linked
    jmp rax
linked:
    mov ax, 0x10
    mov ds, ax
    mov es, ax
    mov ss, ax
    xor eax, eax
    mov fs, ax
    mov gs, ax
    cmp ebp, SECONDARY
    je 3f
    mov rsp, offset __boot_stack_end
    mov edi, ebp
    mov esi, esi
    call kernel_boot
    ud2
3:  mov rsp, [SECONDARY_STACK]
    mov rdi, rsp
    call kernel_secondary
    ud2

    .balign 8
    .global boot_gdt
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff                # 0x08: 64-bit code
    .quad 0x00cf93000000ffff                # 0x10: data
    .quad 0x00cf9b000000ffff                # 0x18: 32-bit code
    .global boot_gdt_pointer
boot_gdt_pointer:
    .short 4 * 8 - 1
    .quad boot_gdt_phys

    # One entry of 16 bytes for each interrupt vector of the hypervisor's own:
    # it only notes which came (apic.rs).
    .text
    .balign 16
    .global interrupt_entries
interrupt_entries:
    .set number, 0
    .rept 64
    .balign 16
    bts qword ptr gs:[LOCAL_ARRIVED], number
    iretq
    .set number, number + 1
    .endr

    .balign 16
    .global ignored_entry
ignored_entry:
    iretq

    # One entry of 16 bytes for each exception: a bug of the hypervisor.
    .balign 16
    .global exception_entries
exception_entries:
    .set number, 0
    .rept 32
    .balign 16
    .if (0x60227d00 >> number) & 1          # those with an error code: 8, 10 to 14, 17, 21, 29, 30
    .else
    push 0
    .endif
    .byte 0x6a, number                      # push
    jmp exception
    .set number, number + 1
    .endr
exception:
    mov rdi, [rsp]                          # number
    mov rsi, [rsp + 8]                      # error code
    mov rdx, [rsp + 16]                     # where
    mov rcx, cr2
    call kernel_exception
    ud2

    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 8, 18                          # XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad start_phys
    .text
