// SPDX-License-Identifier: MIT OR Apache-2.0
// User code that copies to and from the I/O APIC's registers, which no CPU virtualizes: it must be #GP, and nothing copied.
// 32 bits, flat, without paging: rights of pages cannot be what refuses it.

        .code32
        .globl _start
_start: mov     $stack_end, %esp
        mov     $trap, %eax             // The gate of #GP.
        mov     %ax, gate
        shr     $16, %eax
        mov     %ax, gate+6
        movl    $tss, %eax              // The segment that holds the kernel's stack.
        mov     %ax, tss_entry+2
        shr     $16, %eax
        mov     %al, tss_entry+4
        mov     %ah, tss_entry+7
        lgdt    gdt_pointer
        lidt    idt_pointer
        ljmp    $0x08, $1f
1:      mov     $0x10, %ax
        mov     %ax, %ds
        mov     %ax, %es
        mov     %ax, %ss
        mov     $0x28, %ax
        ltr     %ax
        // As the kernel, it is served.
        mov     $0xfec00000, %esi
        mov     $copy, %edi
        movsl
        cmpl    $0x55555555, copy
        je      failed
        movl    $0x55555555, copy

        mov     $from_device, %ecx
        mov     $2f, %edx
        jmp     enter_user
2:      cmpl    $0x55555555, copy
        jne     failed
        mov     $to_device, %ecx
        mov     $3f, %edx
        jmp     enter_user
3:      mov     0xfec00000, %eax
        test    %eax, %eax
        jnz     failed
        mov     $fine, %esi
        jmp     print
failed: mov     $let, %esi
        jmp     print

// To ECX with the least privilege; #GP goes on at EDX.
enter_user:
        mov     %edx, after
        mov     $0x23, %ax
        mov     %ax, %ds
        mov     %ax, %es
        push    $0x23
        push    $user_stack_end
        push    $0x3002                 // IOPL 3, so that nothing but MOVS can fail.
        push    $0x1b
        push    %ecx
        iretl

from_device:
        mov     $0xfec00000, %esi
        mov     $copy, %edi
        movsl
        int3
to_device:
        mov     $copy, %esi
        mov     $0xfec00000, %edi
        movsl
        int3

// #GP: back in the kernel.
trap:   mov     $0x10, %ax
        mov     %ax, %ds
        mov     %ax, %es
        mov     $stack_end, %esp
        jmp     *after

print:  lodsb
        test    %al, %al
        jz      5f
        mov     %al, %bl
4:      mov     $0x3fd, %dx
        inb     %dx, %al
        test    $0x20, %al
        jz      4b
        mov     $0x3f8, %dx
        mov     %bl, %al
        outb    %al, %dx
        jmp     print
5:      mov     $0x604, %dx
        mov     $0x3400, %ax
        outw    %ax, %dx
        jmp     .

fine:   .asciz  "user code was refused\n"
let:    .asciz  "user code was let through\n"
        .balign 8
copy:   .long   0x55555555
after:  .long   0
gdt:    .quad   0
        .quad   0x00cf9b000000ffff      // 0x08 kernel code
        .quad   0x00cf93000000ffff      // 0x10 kernel data
        .quad   0x00cffb000000ffff      // 0x18 user code
        .quad   0x00cff3000000ffff      // 0x20 user data
tss_entry:
        .quad   0x0000890000000067      // 0x28 TSS
gdt_pointer:
        .word   47
        .long   gdt
        .balign 8
idt:    .skip   13 * 8
gate:   .quad   0x00008e0000080000
idt_pointer:
        .word   14 * 8 - 1
        .long   idt
        .balign 16
tss:    .long   0, stack_end, 0x10
        .skip   104 - 12
        .skip   512
stack_end:
        .skip   512
user_stack_end:
