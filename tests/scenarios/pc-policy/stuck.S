// SPDX-License-Identifier: MIT OR Apache-2.0
// A guest that runs for ever and does nothing. Linked at 0x100000; started by
// its multiboot header.

        .code32
        .globl _start
_start: jmp     start
        .balign 4
header: .long   0x1badb002              // Multiboot, without address fields
        .long   0
        .long   -0x1badb002
start:  jmp     start
