// SPDX-License-Identifier: MIT OR Apache-2.0
// A multiboot header with address fields, which alone say where the file goes, before the same
// program as in pc-outside: the assembler makes an ELF file with 64 bits of it.

        .code32
fields: .long   0x1badb002, 1 << 16, -(0x1badb002 + (1 << 16))
        .long   fields, fields, 0, 0, _start
#include "../pc-outside/hello.S"
