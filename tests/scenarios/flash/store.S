// SPDX-License-Identifier: MIT OR Apache-2.0
// Firmware that stores to the flash it runs from, as some builds of U-Boot do before they
// have moved to RAM: with a plain store, one that changes its base register, a pair, and
// maintenance. Then it says whether the flash is as it was and the base moved.

        .global _start
_start: adr     x9, word
        mov     x8, x9
        mov     w1, #1
        str     w1, [x8]
        strb    w1, [x8, #2]
        str     x1, [x8], #8
        stp     x1, x1, [x8], #16
        dc      ivac, x9
        dc      civac, x9
        ldr     x2, [x9]
        ldr     x3, =0x5a5a5a5a5a5a5a5a
        sub     x8, x8, x9
        cmp     x2, x3
        ccmp    x8, #24, #0, eq
        adr     x1, right
        adr     x4, wrong
        csel    x1, x1, x4, eq
        mov     x2, #0x09000000         // PL011, UARTDR
next:   ldrb    w3, [x1], #1
        cbz     w3, off
full:   ldr     w4, [x2, #0x18]         // UARTFR
        tbnz    w4, #5, full            // TXFF
        str     w3, [x2], #0            // also the form that a syndrome does not describe
        b       next
off:    movz    w0, #0x8400, lsl #16    // PSCI SYSTEM_OFF
        movk    w0, #0x0008
        hvc     #0
        b       .
        .ltorg
        .balign 8
word:   .quad   0x5a5a5a5a5a5a5a5a, 0, 0
right:  .asciz  "the flash is as it was\n"
wrong:  .asciz  "the flash has changed\n"
