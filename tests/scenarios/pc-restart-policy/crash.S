// SPDX-License-Identifier: MIT OR Apache-2.0
// A guest that cannot go on: an exception without an interrupt table. Linked at
// 0x100000; started by its multiboot header.

        .code32
        .globl _start
_start: jmp     start
        .balign 4
header: .long   0x1badb002              // Multiboot, without address fields
        .long   0
        .long   -0x1badb002
start:  lidt    nothing
        int3
nothing: .word  0
        .long   0
