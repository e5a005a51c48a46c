// SPDX-License-Identifier: MIT OR Apache-2.0
// The same in real mode, as raw bytes: where it is loaded is its code segment's business.

        .code16
        .globl _start
_start: mov     %cs, %ax
        mov     %ax, %ds
        mov     $(text - _start), %si
        add     $0x7c00, %si
next:   lodsb
        test    %al, %al
        jz      off
        mov     %al, %bl
full:   mov     $0x3fd, %dx
        inb     %dx, %al
        test    $0x20, %al
        jz      full
        mov     $0x3f8, %dx
        mov     %bl, %al
        outb    %al, %dx
        jmp     next
off:    mov     $0x604, %dx
        mov     $0x3400, %ax
        outw    %ax, %dx
        jmp     .
text:   .asciz  "hello in real mode\n"
