/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Vectors while the kernel runs: tasks are at EL1 on SP_EL0, handlers on
   SP_EL1. An SVC and interrupts are the kernel's; everything else is a fault
   and goes to the same entry of the runtime's vectors, which reports it. */

    .section .text.freertos_vectors, "ax"

    .macro fault offset
    .balign 0x80
    b guest_vectors + \offset
    .endm

    .macro interrupt
    .balign 0x80
    b FreeRTOS_IRQ_Handler
    .endm

    .balign 0x800
    .global _freertos_vector_table
_freertos_vector_table:
    stp x0, x1, [sp, #-16]!
    mrs x0, esr_el1
    lsr x0, x0, #26
    cmp x0, #0x15               /* SVC from AArch64; the flags are saved in SPSR_EL1 */
    ldp x0, x1, [sp], #16
    b.ne guest_vectors
    b FreeRTOS_SWI_Handler
    interrupt
    fault 0x100
    fault 0x180
    fault 0x200
    interrupt
    fault 0x300
    fault 0x380
    .irp offset, 0x400, 0x480, 0x500, 0x580, 0x600, 0x680, 0x700, 0x780
    fault \offset
    .endr
    .balign 0x80
