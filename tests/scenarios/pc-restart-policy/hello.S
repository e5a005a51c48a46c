// SPDX-License-Identifier: MIT OR Apache-2.0
// A guest in a few instructions: writes a line to COM1 and switches its
// partition off. Linked at 0x100000 and not moved; started by its multiboot
// header or as raw bytes with 32 bits.

        .code32
        .globl _start
_start: jmp     start
        .balign 4
header: .long   0x1badb002              // Multiboot, without address fields
        .long   0
        .long   -0x1badb002
start:  mov     $text, %esi
next:   lodsb
        test    %al, %al
        jz      off
        mov     %al, %bl
full:   mov     $0x3fd, %dx             // line status
        inb     %dx, %al
        test    $0x20, %al              // transmitter holding register empty
        jz      full
        mov     $0x3f8, %dx
        mov     %bl, %al
        outb    %al, %dx
        jmp     next
off:    mov     $0x604, %dx             // PM1a control: S5
        mov     $0x3400, %ax            // SLP_TYP 5, SLP_EN
        outw    %ax, %dx
        jmp     .
text:   .asciz  "hello from outside\n"
