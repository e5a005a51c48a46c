// SPDX-License-Identifier: MIT OR Apache-2.0
// Entry points and vectors of the measuring guest.

.section .image, "ax"
.global _start
_start:                                 // the arm64 Image header, so that loaders of Linux take the flat binary
    b       0f
    .long   0
    .quad   0x80000                     // text_offset
    .quad   __image_size
    .quad   0xa                         // little-endian, 4 KiB pages, anywhere
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .long   0
0:  mrs     x1, cntpct_el0
    mrs     x2, cntvct_el0
    adrp    x3, __stack_0
    add     sp, x3, :lo12:__stack_0
    adrp    x3, vectors
    add     x3, x3, :lo12:vectors
    msr     vbar_el1, x3
    adrp    x3, __bss_start
    add     x3, x3, :lo12:__bss_start
    adrp    x4, __bss_end
    add     x4, x4, :lo12:__bss_end
1:  cmp     x3, x4
    b.hs    2f
    str     xzr, [x3], #8
    b       1b
2:  b       first_cpu

.text
// The second CPU: notes when it started, then waits for SGI 2 for ever; its handler answers with SGI 1.
.global second_cpu
second_cpu:
    mrs     x20, cntvct_el0
    adrp    x21, SECOND
    add     x21, x21, :lo12:SECOND
    str     x20, [x21]
    adrp    x3, __stack_1
    add     sp, x3, :lo12:__stack_1
    adrp    x3, vectors_of_second
    add     x3, x3, :lo12:vectors_of_second
    msr     vbar_el1, x3
    bl      enable_interrupts           // x0 is still the redistributor that CPU_ON was given
1:  wfi
    msr     daifclr, #2
    msr     daifset, #2
    b       1b

// First CPU. Interrupt: the counter in x15, the source silenced and ended. Fault: stepped over, noted in x22.
.section .vectors, "ax"
vectors:
    .org    vectors + 0x200
    mrs     x17, elr_el1
    add     x17, x17, #4
    msr     elr_el1, x17
    mov     x22, #1
    eret
    .org    vectors + 0x280
    b       interrupt
    .org    vectors + 0x800

// Second CPU's. Its handler saves what a handler in a high-level language would lose, as an operating system's does.
vectors_of_second:
    .org    vectors_of_second + 0x280
    b       answer

.text
interrupt:
    mrs     x15, cntvct_el0
    msr     cntv_ctl_el0, xzr
    mrs     x14, S3_0_C12_C12_0         // ICC_IAR1_EL1
    msr     S3_0_C12_C12_1, x14         // ICC_EOIR1_EL1
    eret

answer:
    mrs     x20, cntvct_el0
    sub     sp, sp, #0xc0
    stp     x0, x1, [sp, #0x00]
    stp     x2, x3, [sp, #0x10]
    stp     x4, x5, [sp, #0x20]
    stp     x6, x7, [sp, #0x30]
    stp     x8, x9, [sp, #0x40]
    stp     x10, x11, [sp, #0x50]
    stp     x12, x13, [sp, #0x60]
    stp     x14, x15, [sp, #0x70]
    stp     x16, x17, [sp, #0x80]
    stp     x18, x29, [sp, #0x90]
    mrs     x0, elr_el1
    mrs     x1, spsr_el1
    stp     x30, x0, [sp, #0xa0]
    str     x1, [sp, #0xb0]
    mrs     x14, S3_0_C12_C12_0         // ICC_IAR1_EL1
    str     x20, [x21]
    mov     x10, #0x01000000            // SGI 1 …
    orr     x10, x10, #1                // … to the first CPU
    msr     S3_0_C12_C11_5, x10         // ICC_SGI1R_EL1
    msr     S3_0_C12_C12_1, x14         // ICC_EOIR1_EL1
    ldr     x1, [sp, #0xb0]
    ldp     x30, x0, [sp, #0xa0]
    msr     spsr_el1, x1
    msr     elr_el1, x0
    ldp     x0, x1, [sp, #0x00]
    ldp     x2, x3, [sp, #0x10]
    ldp     x4, x5, [sp, #0x20]
    ldp     x6, x7, [sp, #0x30]
    ldp     x8, x9, [sp, #0x40]
    ldp     x10, x11, [sp, #0x50]
    ldp     x12, x13, [sp, #0x60]
    ldp     x14, x15, [sp, #0x70]
    ldp     x16, x17, [sp, #0x80]
    ldp     x18, x29, [sp, #0x90]
    add     sp, sp, #0xc0
    eret

.bss
.balign 8
.global SECOND
SECOND:
    .quad   0
