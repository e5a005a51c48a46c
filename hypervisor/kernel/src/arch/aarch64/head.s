// SPDX-License-Identifier: MIT OR Apache-2.0
// The first instructions, and those that lead from a guest back to the run loop.
//
// The flat program starts with the header of an arm64 Linux Image (Linux,
// Documentation/arch/arm64/booting.rst), so that the same bytes start at the
// reset vector in NOR flash and from a loader that knows Images. `xtask` fills
// image_size and the boot record; see ../../../ARCHITECTURE.md, "Flash image".
//
// Until the MMU is on, everything is addressed relative to the program counter.

.section .head, "ax"
.global _head
_head:
    b       boot                        // code0: also the reset vector
    nop                                 // code1
    .quad   0                           // text_offset
    .quad   0                           // image_size, filled by xtask
    .quad   0xa                         // flags: little endian, 4 KiB pages, anywhere in RAM
    .quad   0
    .quad   0
    .quad   0
    .ascii  "ARM\x64"
    .long   0
_record:                                // offset 64, layout: boot::Record
    .ascii  "BHBOOT\0\0"
    .quad   0                           // offset of the bundle from _head
    .quad   0                           // bytes of the bundle
    .quad   0                           // device tree at reset
    .quad   0                           // home at reset
    .quad   0                           // bytes of the home
    .quad   0                           // UART for a refusal before the console exists
    .quad   0                           // address of the flash
    .balign 16

// x0 = device tree (Image boot). Runs on the first CPU, MMU off.
boot:
    msr     daifset, #0xf
    adr     x20, _head
    adr     x19, _record
    mrs     x1, CurrentEL
    cmp     x1, #(2 << 2)
    b.ne    wrong_level

    ldp     x2, x3, [x19, #8]           // bundle: offset, bytes
    ldp     x21, x22, [x19, #24]        // at reset: device tree, home
    ldr     x4, [x19, #56]              // flash
    cmp     x20, x4
    b.eq    1f
    mov     x21, x0                     // from a loader: x0, and home behind the file
    add     x22, x20, x2
    add     x22, x22, x3
    add     x22, x22, #0x1ff, lsl #12
    add     x22, x22, #0xfff
    and     x22, x22, #~0x1fffff
1:
    // Copy the program to its home.
    ldr     x6, =__load_size            // a multiple of 64
    mov     x7, x20
    mov     x8, x22
2:  ldp     x9, x10, [x7]
    ldp     x11, x12, [x7, #16]
    ldp     x13, x14, [x7, #32]
    ldp     x15, x16, [x7, #48]
    add     x7, x7, #64
    stp     x9, x10, [x8]
    stp     x11, x12, [x8, #16]
    stp     x13, x14, [x8, #32]
    stp     x15, x16, [x8, #48]
    add     x8, x8, #64
    subs    x6, x6, #64
    b.ne    2b
    // Clear .bss, which follows it.
    ldr     x6, =__bss_size             // a multiple of 64
3:  stp     xzr, xzr, [x8]
    stp     xzr, xzr, [x8, #16]
    stp     xzr, xzr, [x8, #32]
    stp     xzr, xzr, [x8, #48]
    add     x8, x8, #64
    subs    x6, x6, #64
    b.ne    3b
    // Both were written with caches off: drop what a cache may hold of them
    // (Arm ARM, "Cache maintenance requirement when changing memory attributes").
    dsb     sy
    mov     x7, x22
4:  dc      ivac, x7
    add     x7, x7, #64
    cmp     x7, x8
    b.lo    4b
    dsb     sy
    ic      iallu
    dsb     sy
    isb

    // First tables: the home at its linked address, and where we run, by its own.
    ldr     x23, =boot_tables_offset
    add     x23, x22, x23               // L0, L1 identity, L1 kernel, L2 kernel
    add     x9, x23, #0x1000
    add     x10, x23, #0x2000
    add     x11, x23, #0x3000
    orr     x12, x9, #3
    lsr     x13, x22, #39
    and     x13, x13, #0x1ff
    str     x12, [x23, x13, lsl #3]     // L0[home] -> L1 identity
    orr     x12, x10, #3
    str     x12, [x23, #(254 * 8)]      // L0[254] -> L1 kernel
    orr     x12, x11, #3
    str     x12, [x10]                  // L1 kernel[0] -> L2 kernel
    mov     x14, #0x701                 // block, AF, inner shareable, attribute 0
    orr     x12, x22, x14
    str     x12, [x11]                  // L2 kernel[0] = the home
    lsr     x13, x22, #30
    lsl     x12, x13, #30
    orr     x12, x12, x14
    and     x13, x13, #0x1ff
    str     x12, [x9, x13, lsl #3]      // L1 identity[home] = its gigabyte
    dsb     sy
    mov     x7, x23                     // tables too were written with caches off
5:  dc      ivac, x7
    add     x7, x7, #64
    add     x9, x23, #0x4000
    cmp     x7, x9
    b.lo    5b
    dsb     sy

    adr     x0, start_mmu
    sub     x0, x0, x20
    add     x0, x0, x22                 // the same instruction at home
    ldr     x26, =boot_high
    br      x0
boot_high:
    ldr     x9, =__boot_stack_end
    mov     sp, x9
    mov     x0, x20                     // where the file lies
    mov     x1, x21                     // device tree
    mov     x2, x22                     // home
    mov     x29, xzr
    mov     x30, xzr
    b       kernel_boot

// Entry of the other CPUs from the firmware's CPU_ON: x0 = its boot::Start, at the top of its stack.
.global secondary_entry
secondary_entry:
    msr     daifset, #0xf
    mov     x24, x0
    adrp    x22, _head                  // runs at home, whose first byte is _head
    ldr     x23, =boot_tables_offset
    add     x23, x22, x23
    ldr     x26, =secondary_high
    b       start_mmu
secondary_high:
    mov     sp, x24
    mov     x0, x24
    mov     x29, xzr
    mov     x30, xzr
    b       kernel_secondary

// Turns the MMU on with the tables at x23 and goes on at x26.
start_mmu:
    ldr     x9, =0xff0444ff             // paging::stage1::Stage1::MAIR
    msr     mair_el2, x9
    mrs     x10, id_aa64mmfr0_el1
    and     x10, x10, #0xf
    mov     x11, #5
    cmp     x10, x11
    csel    x10, x10, x11, lo           // never more than 48 bits
    ldr     x9, =0x80803510             // RES1, T0SZ 16, 4 KiB, inner shareable, write-back walks
    orr     x9, x9, x10, lsl #16
    msr     tcr_el2, x9
    msr     ttbr0_el2, x23
    tlbi    alle2
    dsb     sy
    isb
    ldr     x9, =0x30c5183d             // RES1, SA, I, C, M; no WXN: the first tables are writable
    msr     sctlr_el2, x9
    isb
    br      x26

// Not at EL2: say so on the board's UART, with the cure, and stop.
wrong_level:
    ldr     x3, [x19, #48]
    adr     x4, wrong_level_text
    cbz     x3, 2f
1:  ldrb    w5, [x4], #1
    cbz     w5, 2f
    str     w5, [x3]
    b       1b
2:  wfi
    b       2b
wrong_level_text:
    .asciz  "[bulkhead] refused: started outside EL2; start it at EL2 (QEMU: -M virt,virtualization=on without secure=on; U-Boot: build it to run at EL2)\r\n[bulkhead] end: failed boot started outside EL2\r\n"
    .balign 8
    .ltorg

// Exceptions. While a guest runs, sp points at its Vcpu; enter() left there
// where to go on. A lower-level exception stores the guest's registers and goes
// on there with the cause in x0: 1 for an interrupt, 0 for what ESR_EL2 tells.
.macro from_guest cause
    .balign 0x80
    stp     x0, x1, [sp]
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x19, [sp, #144]
    stp     x20, x21, [sp, #160]
    stp     x22, x23, [sp, #176]
    stp     x24, x25, [sp, #192]
    stp     x26, x27, [sp, #208]
    stp     x28, x29, [sp, #224]
    stp     x30, xzr, [sp, #240]
    mov     x0, #\cause
    ldp     x1, x2, [sp, #VCPU_HOST_SP]
    ldp     x19, x29, [sp, #VCPU_HOST_X19]
    mov     sp, x1
    br      x2
.endm

// An exception of the hypervisor itself is a bug: a stack of its own, then a panic.
.macro from_self kind
    .balign 0x80
    mrs     x1, tpidr_el2
    ldr     x1, [x1]                    // Cpu's first word: top of its emergency stack
    mov     sp, x1
    mov     x0, #\kind
    mrs     x1, esr_el2
    mrs     x2, elr_el2
    mrs     x3, far_el2
    b       kernel_exception
.endm

.section .vectors, "ax"
.balign 0x800
.global vectors
vectors:
    from_self 0
    from_self 1
    from_self 2
    from_self 3
    from_self 4
    from_self 5
    from_self 6
    from_self 7
    from_guest 0
    from_guest 1
    from_guest 1
    from_guest 0
    from_guest 0
    from_guest 1
    from_guest 1
    from_guest 0
