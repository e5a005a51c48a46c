// SPDX-License-Identifier: MIT OR Apache-2.0
// A boot sector that prints what a CPU's virtualization can do, on COM1: the MSRs
// 0x480 to 0x491 that there are as "MSR NUMBER VALUE", and CPUID leaf 0x8000000a
// as "SVM EAX EBX ECX EDX". Then it asks Bochs to stop.
.code16
.globl _start
_start:
    cli
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7c00, %sp
    ljmp $0, $1f
1:  movw $absent, 13 * 4        // #GP
    movw %ax, 13 * 4 + 2
    movw $0x3f9, %dx            // no interrupts
    outb %al, %dx
    movw $0x3fb, %dx            // eight bits
    movb $3, %al
    outb %al, %dx
    movl $1, %eax
    cpuid
    testb $1 << 5, %cl          // VMX
    jz 3f
    movl $0x480, %ecx
2:  rdmsr
    movl %eax, %edi
    pushl %edx
    movw $msr, %si
    call text
    movl %ecx, %ebx
    call number
    popl %ebx
    call number
    movl %edi, %ebx
    call number
    call line
next:
    incl %ecx
    cmpl $0x492, %ecx
    jb 2b
3:  movl $0x80000001, %eax
    cpuid
    testb $1 << 2, %cl          // SVM
    jz 4f
    movl $0x8000000a, %eax
    cpuid
    pushl %edx
    pushl %ecx
    pushl %ebx
    pushl %eax
    movw $svm, %si
    call text
    movw $4, %di
5:  popl %ebx
    call number
    decw %di
    jnz 5b
    call line
4:  movw $0x3fd, %dx            // until the line is empty
6:  inb %dx, %al
    testb $0x40, %al
    jz 6b
    movw $0x8900, %dx
    movw $stop, %si
7:  lodsb
    outb %al, %dx
    testb %al, %al
    jnz 7b
8:  hlt
    jmp 8b

absent:                         // an MSR that is not there: on with the next
    movw %sp, %bp
    movw $next, (%bp)
    iretw
line:                           // the end of a line
    movb $'\n', %al
put:                            // the character AL
    pushw %dx
    pushw %ax
    movw $0x3fd, %dx
9:  inb %dx, %al
    testb $0x20, %al
    jz 9b
    popw %ax
    movw $0x3f8, %dx
    outb %al, %dx
    popw %dx
    ret
text:                           // the text at SI
    lodsb
    testb %al, %al
    jz 10f
    call put
    jmp text
10: ret
number:                         // a blank and EBX
    movb $' ', %al
    call put
    movw $8, %bp
11: roll $4, %ebx
    movb %bl, %al
    andb $15, %al
    addb $'0', %al
    cmpb $'9', %al
    jbe 12f
    addb $'a' - '0' - 10, %al
12: call put
    decw %bp
    jnz 11b
    ret

msr:  .asciz "MSR"
svm:  .asciz "SVM"
stop: .asciz "Shutdown"
    .org 510
    .word 0xaa55
