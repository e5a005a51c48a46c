// SPDX-License-Identifier: MIT OR Apache-2.0
// Debian's kernel and the first root of the measurement in one multiboot file, which GRUB
// starts bare and Bulkhead in a partition, byte for byte the same. Its first instruction
// reads the counter; the kernel's command line tells it to the first program, which a
// parameter that the kernel does not know reaches as an environment variable.
// Linux, "Documentation/arch/x86/boot.rst": "32-bit Boot Protocol", "zero-page.rst".

        .code32
        .globl  _start
header: .long   0x1badb002, 1 << 16, -0x1badb002 - (1 << 16)
        .long   header, header, 0, 0, _start

_start: rdtsc
        mov     $digits, %edi
        mov     $16, %ecx
digit:  mov     %edx, %ebx              // the highest four bits
        shr     $28, %ebx
        shld    $4, %eax, %edx
        shl     $4, %eax
        mov     names(%ebx), %bl
        mov     %bl, (%edi)
        inc     %edi
        loop    digit

        lgdt    gdtr
        ljmp    $0x10, $flat
flat:   mov     $0x18, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        movb    $0xff, zero + 0x210     // type_of_loader: one without a number
        movl    $root, zero + 0x218     // ramdisk_image, ramdisk_size
        movl    $root_end - root, zero + 0x21c
        movl    $line, zero + 0x228     // cmd_line_ptr
        movzbl  zero + 0x1f1, %eax      // setup_sects: the kernel is behind them
        inc     %eax
        shl     $9, %eax
        add     $kernel, %eax
        mov     $zero, %esi
        xor     %ebp, %ebp
        xor     %edi, %edi
        xor     %ebx, %ebx
        jmp     *%eax

names:  .ascii  "0123456789abcdef"
        .balign 8
gdt:    .quad   0, 0
        .quad   0x00cf9b000000ffff, 0x00cf93000000ffff
gdtr:   .word   gdtr - gdt - 1
        .long   gdt
line:   .incbin "cmdline"
        .ascii  " entry="
digits: .asciz  "0000000000000000"

        // The zero page: the file's setup header, and RAM as a partition of 128 MiB has it.
        .balign 4096
zero:   .org    zero + 0x1e8
        .byte   2                       // e820_entries
        .org    zero + 0x1f1
        .incbin "vmlinuz", 0x1f1, 0x290 - 0x1f1
        .org    zero + 0x2d0            // e820_table
        .quad   0, 0x9fc00
        .long   1
        .quad   0x100000, (128 << 20) - 0x100000
        .long   1
        .balign 4096

root:   .incbin "initrd"
root_end:
        .balign 4096
kernel: .incbin "vmlinuz"
