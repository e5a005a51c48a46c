// SPDX-License-Identifier: MIT OR Apache-2.0
// Steps through instructions that the hypervisor carries out: #DB must follow each of them at the
// next one, with DR6 saying why. A word is printed for each that it did.

        .code64
        .globl _start
_start: lea     stack_end(%rip), %rsp
        lea     trap(%rip), %rax        // The gate of #DB.
        lea     idt(%rip), %rdi
        mov     %ax, 16(%rdi)
        mov     %cs, %cx
        mov     %cx, 18(%rdi)
        movw    $0x8e00, 20(%rdi)
        shr     $16, %rax
        mov     %ax, 22(%rdi)
        shr     $16, %rax
        mov     %eax, 24(%rdi)
        mov     %rdi, pointer+2(%rip)
        lidt    pointer(%rip)

        .macro step name, instruction:vararg
        lea     9f(%rip), %r12
        xor     %r13d, %r13d
        call    set_tf
        \instruction
9:      nop
        call    clear_tf
        lea     10f(%rip), %rsi
        call    report
        jmp     11f
10:     .asciz  "\name"
11:
        .endm

        step    "nop", nop
        xor     %eax, %eax
        step    "cpuid", cpuid
        mov     $0x3fd, %dx
        step    "in", inb %dx, %al
        mov     $0x80, %dx
        step    "out", outb %al, %dx
        mov     $0x1b, %ecx
        step    "rdmsr", rdmsr
        mov     $0xfee00030, %ebx
        step    "load", mov (%rbx), %eax
        mov     $0xfee00080, %ebx
        xor     %eax, %eax
        step    "store", mov %eax, (%rbx)
        step    "modify", orl $0, (%rbx)

        lea     end(%rip), %rsi
        call    print
        mov     $0x604, %dx
        mov     $0x3400, %ax
        outw    %ax, %dx
        jmp     .

// The trap after POPF's own next instruction is that of RET, which does not count: its address is not R12.
set_tf: pushf
        orq     $0x100, (%rsp)
        popf
        ret
clear_tf:
        pushf
        andq    $~0x100, (%rsp)
        popf
        ret

// Counts what came at R12 because of a step.
trap:   push    %rax
        mov     %dr6, %rax
        test    $0x4000, %eax
        jz      1f
        cmp     8(%rsp), %r12
        jne     1f
        inc     %r13d
1:      xor     %eax, %eax
        mov     %rax, %dr6
        pop     %rax
        iretq

report: cmp     $1, %r13d
        je      1f
        lea     never(%rip), %rsi
1:      call    print
        lea     line(%rip), %rsi

print:  push    %rax
        push    %rdx
        push    %rbx
2:      lodsb
        test    %al, %al
        jz      4f
        mov     %al, %bl
3:      mov     $0x3fd, %dx
        inb     %dx, %al
        test    $0x20, %al
        jz      3b
        mov     $0x3f8, %dx
        mov     %bl, %al
        outb    %al, %dx
        jmp     2b
4:      pop     %rbx
        pop     %rdx
        pop     %rax
        ret

never:  .asciz  "lost"
line:   .asciz  " step\n"
end:    .asciz  "all stepped\n"
        .balign 16
idt:    .skip   64
pointer:
        .word   63
        .quad   0
        .balign 16
        .skip   1024
stack_end:
