// SPDX-License-Identifier: MIT OR Apache-2.0
// The same with 64 bits, as raw bytes.

        .code64
        .globl _start
_start: lea     text(%rip), %rsi
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
text:   .asciz  "hello in long mode\n"
