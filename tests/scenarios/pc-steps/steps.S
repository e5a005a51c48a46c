// SPDX-License-Identifier: MIT OR Apache-2.0
// Steps through instructions that the hypervisor carries out: exactly one #DB must follow each of
// them, at the next one, with DR6 saying that it is a step and nothing else. A word is printed
// for each, behind "lost", "twice" or "unlike a step" if that was not so.

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

        // R12 is the instruction behind the one that is stepped over, R13 counts the #DBs there,
        // R14 those at the two places before and behind, R15 those that are not for a step alone.
        .macro step_behind name, before, instruction:vararg
        lea     8f(%rip), %r11
        lea     9f(%rip), %r12
        xor     %r13d, %r13d
        xor     %r14d, %r14d
        xor     %r15d, %r15d
        call    set_tf
8:      \before
        \instruction
9:      nop
        call    clear_tf
        lea     10f(%rip), %rsi
        call    report
        jmp     11f
10:     .asciz  "\name"
11:
        .endm
        .macro step name, instruction:vararg
        step_behind "\name", , \instruction
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
        mov     $0xfee00380, %ebx       // The timer, masked: APIC virtualization exits behind the store.
        step    "timer", mov %eax, (%rbx)
        mov     $0xfee000b0, %ebx
        step    "end of interrupt", mov %eax, (%rbx)
        mov     $0xfee00030, %esi
        lea     word(%rip), %rdi
        step    "move", movsl
        mov     $0x80, %dx
        lea     word(%rip), %rsi
        step    "string out", outsb
        mov     $0x8b, %ecx
        xor     %edx, %edx
        step    "wrmsr", wrmsr
        mov     %cr0, %rax
        step    "control", mov %rax, %cr0
        step    "invalidate", wbinvd
        // Behind MOV SS there is no #DB, but behind what follows it.
        mov     %ss, %ebp
        step_behind "cpuid behind MOV SS", "mov %ebp, %ss", cpuid
        mov     $0x3fd, %dx
        step_behind "in behind MOV SS", "mov %ebp, %ss", inb %dx, %al
        mov     $0xfee00030, %ebx
        step_behind "load behind MOV SS", "mov %ebp, %ss", mov (%rbx), %eax
        mov     $0xfee00380, %ebx
        xor     %eax, %eax
        step_behind "timer behind MOV SS", "mov %ebp, %ss", mov %eax, (%rbx)

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

trap:   push    %rax
        mov     8(%rsp), %rax
        cmp     %rax, %r12
        jne     1f
        inc     %r13d
1:      cmp     %r11, %rax              // From the instruction to the one behind the NOP.
        jb      2f
        sub     %r12, %rax
        cmp     $1, %rax
        jg      2f
        inc     %r14d
        mov     %dr6, %rax
        cmp     $0xffff4ff0, %eax
        je      2f
        inc     %r15d
2:      mov     $0xffff0ff0, %eax
        mov     %rax, %dr6
        pop     %rax
        iretq

report: test    %r15d, %r15d
        lea     unlike(%rip), %rdi
        jnz     1f
        lea     lost(%rip), %rdi
        test    %r13d, %r13d
        jz      1f
        lea     twice(%rip), %rdi
        cmp     $1, %r13d
        jne     1f
        cmp     $3, %r14d
        je      2f
1:      push    %rsi
        mov     %rdi, %rsi
        call    print
        pop     %rsi
2:      call    print
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

lost:   .asciz  "lost "
twice:  .asciz  "twice "
unlike: .asciz  "unlike a step "
word:   .long   0
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
