// SPDX-License-Identifier: MIT OR Apache-2.0
// The body of an ACPI table HPET, behind the header that QEMU writes. Where it says the registers
// are, the configuration space of the machine's ISA bridge has something that passes for a
// period and nothing that counts.

        .globl _start
_start: .long   0x8086a201              // what a HPET of QEMU calls itself
        .byte   0, 64, 0, 0             // in memory
        .quad   0xb0000000 + (31 << 15)
        .byte   0
        .word   0
        .byte   0
