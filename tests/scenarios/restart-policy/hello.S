// SPDX-License-Identifier: MIT OR Apache-2.0
// A guest in twenty instructions: writes a line to the PL011 and switches its
// partition off. Linked at 0x40100000 and not moved.

        .global _start
_start: adr     x1, text
        mov     x2, #0x09000000         // PL011, UARTDR
next:   ldrb    w3, [x1], #1
        cbz     w3, off
full:   ldr     w4, [x2, #0x18]         // UARTFR
        tbnz    w4, #5, full            // TXFF
        str     w3, [x2]
        b       next
off:    movz    w0, #0x8400, lsl #16    // PSCI SYSTEM_OFF
        movk    w0, #0x0008
        hvc     #0
        b       .
text:   .asciz  "hello from outside\n"
