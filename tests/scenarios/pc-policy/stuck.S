// SPDX-License-Identifier: MIT OR Apache-2.0
// A guest that runs for ever and does nothing. Linked at 0x100000; started by
// its multiboot header. It takes interrupts, of which it gets none: Bochs 2.7
// and 3.0 keep the hypervisor's own from it otherwise (they look whether
// interrupts exit only when the flag changes).

        .code32
        .globl _start
_start: jmp     start
        .balign 4
header: .long   0x1badb002              // Multiboot, without address fields
        .long   0
        .long   -0x1badb002
start:  sti
forever: jmp    forever
