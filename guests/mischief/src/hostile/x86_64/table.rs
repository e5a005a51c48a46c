// SPDX-License-Identifier: MIT OR Apache-2.0
//! Single instructions as functions: RDI is an address or number, RSI, RDX and
//! RCX are values, RAX is the result.

use super::{Code, Outcome, attempt};
use core::arch::naked_asm;

/// One instruction and its text.
pub(crate) struct Instruction {
    /// The assembler's text.
    pub text: &'static str,
    code: Code,
}

impl Instruction {
    /// Runs it.
    pub(crate) fn run(&self, arguments: [u64; 4]) -> Outcome {
        attempt(self.code, arguments)
    }
}

/// A function that saves RBX and runs some instructions.
macro_rules! one {
    ($text:literal) => {{
        #[unsafe(naked)]
        unsafe extern "C" fn code(_: u64, _: u64, _: u64, _: u64) -> u64 {
            naked_asm!("push rbx", $text, "pop rbx", "ret")
        }
        Instruction { text: $text, code }
    }};
}

macro_rules! instructions {
    ($(#[$doc:meta])* $name:ident; $($text:literal,)*) => {
        $(#[$doc])*
        pub(crate) const $name: &[Instruction] = &[$(one!($text),)*];
    };
}

impl Instruction {
    /// Stops the CPU.
    pub(crate) const HALT: Instruction = one!("hlt");
    /// Reads MSR RDI.
    pub(crate) const READ_MSR: Instruction = one!("mov ecx, edi; rdmsr; shl rdx, 32; or rax, rdx");
    /// Writes RSI to MSR RDI.
    pub(crate) const WRITE_MSR: Instruction =
        one!("mov ecx, edi; mov rax, rsi; mov rdx, rsi; shr rdx, 32; wrmsr");
    /// CPUID leaf RDI, subleaf RSI.
    pub(crate) const IDENTIFY: Instruction = one!("mov eax, edi; mov ecx, esi; cpuid");
    /// Writes RSI to XCR number RDI.
    pub(crate) const WRITE_XCR: Instruction =
        one!("mov ecx, edi; mov rax, rsi; mov rdx, rsi; shr rdx, 32; xsetbv");
    /// Reads XCR number RDI.
    pub(crate) const READ_XCR: Instruction = one!("mov ecx, edi; xgetbv; shl rdx, 32; or rax, rdx");
    /// Calls function RDI with the argument RSI, in Intel's way.
    pub(crate) const VMCALL: Instruction = one!("mov rax, rdi; mov rbx, rsi; vmcall");
    /// The same in AMD's way.
    pub(crate) const VMMCALL: Instruction = one!("mov rax, rdi; mov rbx, rsi; vmmcall");
    /// Drops all translations.
    pub(crate) const FLUSH: Instruction = one!("mov rax, cr3; mov cr3, rax");

    instructions! {
        /// Control registers: read, and written with RSI.
        READ_CONTROL;
        "mov rax, cr0", "mov rax, cr2", "mov rax, cr3", "mov rax, cr4", "mov rax, cr8",
    }
    instructions! {
        /// In the order of `READ_CONTROL`.
        WRITE_CONTROL;
        "mov cr0, rsi", "mov cr2, rsi", "mov cr3, rsi", "mov cr4, rsi", "mov cr8, rsi",
    }
    instructions! {
        /// Debug registers: read.
        READ_DEBUG;
        "mov rax, dr0", "mov rax, dr1", "mov rax, dr2", "mov rax, dr3", "mov rax, dr6", "mov rax, dr7",
    }
    instructions! {
        /// In the order of `READ_DEBUG`: written with RSI.
        WRITE_DEBUG;
        "mov dr0, rsi", "mov dr1, rsi", "mov dr2, rsi", "mov dr3, rsi", "mov dr6, rsi", "mov dr7, rsi",
    }
    instructions! {
        /// Reads port RDI: a byte, two, four.
        READ_PORT;
        "mov edx, edi; in al, dx", "mov edx, edi; in ax, dx", "mov edx, edi; in eax, dx",
    }
    instructions! {
        /// Writes RSI to port RDI: a byte, two, four.
        WRITE_PORT;
        "mov edx, edi; mov eax, esi; out dx, al", "mov edx, edi; mov eax, esi; out dx, ax",
        "mov edx, edi; mov eax, esi; out dx, eax",
    }
    instructions! {
        /// String instructions between port RDI and memory at RSI, RCX times.
        PORT_STRINGS;
        "mov edx, edi; mov rdi, rsi; rep insb", "mov edx, edi; mov rdi, rsi; rep insw",
        "mov edx, edi; mov rdi, rsi; rep insd", "mov edx, edi; rep outsb", "mov edx, edi; rep outsw",
        "mov edx, edi; rep outsd", "mov edx, edi; mov rdi, rsi; insb", "mov edx, edi; outsb",
        "mov edx, edi; mov rdi, rsi; std; rep insb; cld", "mov edx, edi; .byte 0x67; rep outsb",
    }
    instructions! {
        /// Every way to load from RDI.
        LOADS;
        "movzx eax, byte ptr [rdi]", "movzx eax, word ptr [rdi]", "mov eax, [rdi]", "mov rax, [rdi]",
        "movsx eax, byte ptr [rdi]", "movsx rax, word ptr [rdi]", "movsxd rax, dword ptr [rdi]",
        "mov al, [rdi]", "mov r15d, r15d; mov ax, [rdi]", "xor eax, eax; mov ah, [rdi]",
        "add eax, [rdi]", "or rax, [rdi]", "and ax, [rdi]", "xor al, [rdi]", "cmp [rdi], esi",
        "cmp byte ptr [rdi], 7", "test [rdi], esi", "test dword ptr [rdi], 0x7fffffff",
        "bt [rdi], esi", "mov rsi, rdi; lodsb", "mov rsi, rdi; lodsd", "mov rsi, rdi; lodsq",
        "push qword ptr [rdi]; pop rax", "imul eax, [rdi]", "popcnt eax, [rdi]", "bsf eax, [rdi]",
        "movbe eax, [rdi]", "cmovz eax, [rdi]", "mul dword ptr [rdi]", "scasb", "scasd",
        "mov eax, [rdi + rsi * 8]", "mov rax, rdi; mov eax, [rax + 0x10]", "mov eax, fs:[rdi]",
        "lock; mov eax, [rdi]", "invlpg [rdi]", "clflush [rdi]", "prefetchnta [rdi]",
        ".byte 0x0f, 0x10, 0x07", ".byte 0x0f, 0x28, 0x07", ".byte 0xd9, 0x07", ".byte 0xdd, 0x07",
        ".byte 0x66, 0x0f, 0x6f, 0x07", ".byte 0xc5, 0xfc, 0x10, 0x07", ".byte 0x0f, 0xae, 0x0f",
    }
    instructions! {
        /// Every way to store to RDI: RSI and constants.
        STORES;
        "mov [rdi], sil", "mov [rdi], si", "mov [rdi], esi", "mov [rdi], rsi",
        "mov byte ptr [rdi], 0xff", "mov word ptr [rdi], 0x1234", "mov dword ptr [rdi], -1",
        "mov qword ptr [rdi], -1", "mov eax, esi; stosb", "mov eax, esi; stosd", "mov rax, rsi; stosq",
        "mov ecx, 16; rep stosb", "mov ecx, 16; rep stosd", "add [rdi], esi", "sub byte ptr [rdi], 1",
        "or dword ptr [rdi], 1", "and [rdi], rsi", "xor [rdi], si", "inc dword ptr [rdi]",
        "not dword ptr [rdi]", "neg byte ptr [rdi]", "shl dword ptr [rdi], 1", "xchg [rdi], esi",
        "lock xadd [rdi], esi", "lock cmpxchg [rdi], esi", "lock inc dword ptr [rdi]",
        "lock or qword ptr [rdi], 1", "lock bts [rdi], esi", "lock cmpxchg8b [rdi]",
        "lock cmpxchg16b [rdi]", "movbe [rdi], esi", "setz [rdi]", "pop qword ptr [rdi]; push rax",
        "push rdi; pop rax; mov [rax + rsi], dl", "mov gs:[rdi], esi", "sidt [rdi]", "sgdt [rdi]",
        ".byte 0x0f, 0x11, 0x07", ".byte 0x0f, 0x29, 0x07", ".byte 0x0f, 0xc3, 0x37",
        ".byte 0xd9, 0x1f", ".byte 0xdd, 0x1f", ".byte 0x0f, 0xae, 0x07", ".byte 0x0f, 0xae, 0x27",
        "fnsave [rdi]", "fnstenv [rdi]",
    }
    instructions! {
        /// From memory to memory: RDI to RSI, and through pointers in memory.
        MOVES;
        "xchg rsi, rdi; movsb", "xchg rsi, rdi; movsd", "xchg rsi, rdi; movsq",
        "xchg rsi, rdi; mov ecx, 64; rep movsb", "xchg rsi, rdi; mov ecx, 64; rep movsq",
        "mov ecx, 8; repe cmpsb", "mov ecx, 8; repne scasb",
        "call [rdi]", "jmp [rdi]", "mov rax, rsp; mov rsp, rdi; push rax; mov rsp, rax",
        "mov rdx, rsp; mov rsp, rdi; pop rax; mov rsp, rdx", "mov rdx, rsp; lea rsp, [rdi + 64]; call 2f; 2: mov rsp, rdx",
        "mov rdx, rbp; mov rbp, rdi; mov eax, [rbp]; mov rbp, rdx",
    }
    instructions! {
        /// VMX, SVM and what else belongs to monitors and firmware; RAX, RDI and RSI hold RDI's value.
        MONITORS;
        "vmxoff", "vmxon [rdi]", "vmlaunch", "vmresume", "vmclear [rdi]", "vmptrld [rdi]",
        "vmptrst [rdi]", "vmread rax, rdi", "vmwrite rdi, rsi", "vmread [rdi], rsi",
        "invept rsi, [rdi]", "invvpid rsi, [rdi]", "mov eax, edi; vmfunc",
        "mov rax, rdi; vmrun", "mov rax, rdi; vmload", "mov rax, rdi; vmsave", "stgi", "clgi",
        "mov rax, rdi; skinit", "mov rax, rdi; xor ecx, ecx; invlpga rax, ecx",
        "mov eax, edi; getsec", "mov eax, edi; encls", "mov eax, edi; enclu", "rsm",
        "mov rax, rdi; xor ecx, ecx; xor edx, edx; monitor", "mov eax, edi; xor ecx, ecx; mwait",
        "mov rax, rdi; xor ecx, ecx; xor edx, edx; monitorx", "mov ecx, edi; rdpmc", "rdtscp",
        "wbinvd", "invpcid rsi, [rdi]", "mov eax, edi; .byte 0x0f, 0x01, 0xcf", "clts",
        "lmsw di", "smsw eax", ".byte 0xf1", "int3", ".byte 0x0f, 0x0b", ".byte 0x0f, 0xb9, 0xc0",
        ".byte 0x0f, 0xff, 0xc0", "sti; cli", "mov eax, edi; rdrand eax", "rdseed eax", "xsave [rdi]",
        "xrstor [rdi]", "xsaveopt [rdi]", "xsaves [rdi]", "xrstors [rdi]", "fxrstor [rdi]",
        "swapgs; swapgs", "rdpid rax", "serialize", "pconfig", "clac", "stac", "rdpkru", "wrpkru",
        "mov eax, edi; .byte 0x0f, 0x01, 0xfc", "hreset 1", ".byte 0x0f, 0x01, 0xc6", "rdfsbase rax",
    }
    instructions! {
        /// Selectors and descriptor tables: RDI a selector, RSI the address of an operand.
        SEGMENTS;
        "mov ax, ds; mov ds, di; mov ds, ax", "mov ax, es; mov es, di; mov es, ax",
        "mov fs, di; xor eax, eax; mov fs, ax", "mov gs, di; xor eax, eax; mov gs, ax",
        "lar eax, edi", "lsl eax, edi", "verr di", "verw di", "lldt di", "sldt eax", "str eax",
        "ltr di", "mov ss, di; mov ax, 0x10; mov ss, ax",
    }
    instructions! {
        /// Far transfers to selector RDI: a task gate or TSS is a #GP in 64-bit mode.
        FAR;
        "sub rsp, 16; mov qword ptr [rsp], 0; mov [rsp + 8], di; call fword ptr [rsp]; add rsp, 16",
        "sub rsp, 16; mov qword ptr [rsp], 0; mov [rsp + 4], di; jmp fword ptr [rsp]; add rsp, 16",
        "mov rax, rsp; push 0x10; push rax; push 2; push rdi; push rsi; iretq",
        "mov rax, rsp; push rdi; push rax; push 2; push 8; push rsi; iretq",
        "push rdi; push rsi; retfq",
        "push 0x4002; popfq; push 0x10; push rsp; push 2; push rdi; push rsi; iretq",
    }
    instructions! {
        /// Loads IDTR or GDTR from the operand at RDI and then the old one from RSI.
        TABLES;
        "lidt [rdi]; lidt [rsi]", "lgdt [rdi]; lgdt [rsi]",
    }
}
