// SPDX-License-Identifier: MIT OR Apache-2.0
// The body of an SPCR, behind the header that QEMU writes: the console is a 16550 at COM3.

        .globl _start
_start: .byte   0, 0, 0, 0              // a 16550
        .byte   1, 8, 0, 1              // at I/O ports
        .quad   0x3e8
        .byte   1, 4                    // a legacy interrupt: IRQ 4
        .long   0
        .byte   7, 0, 1, 0, 0, 0        // 115,200 baud, 8N1
        .word   0xffff, 0xffff          // no PCI device
        .fill   12, 1, 0
