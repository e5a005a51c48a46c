// SPDX-License-Identifier: MIT OR Apache-2.0
// A guest that cannot go on: switches its only CPU off. Linked at 0x40100000.

        .global _start
_start: movz    w0, #0x8400, lsl #16    // PSCI CPU_OFF
        movk    w0, #0x0002
        hvc     #0
        b       .
