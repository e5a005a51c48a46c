// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hypercalls, by the instruction that the CPU's maker has for them.

use core::arch::asm;
use core::arch::x86_64::__cpuid;

/// First leaf of a hypervisor's CPUID.
const HYPERVISOR: u32 = 0x4000_0000;
/// Bulkhead's signature: EBX, ECX, EDX of that leaf.
const SIGNATURE: &[u8; 12] = b"BulkheadBulk";

/// Whether this runs under Bulkhead.
#[must_use]
pub fn under_bulkhead() -> bool {
    let present = __cpuid(1).ecx >> 31 == 1;
    let leaf = __cpuid(HYPERVISOR);
    let mut words = SIGNATURE.chunks(4).zip([leaf.ebx, leaf.ecx, leaf.edx]);
    present && words.all(|(text, word)| text == word.to_le_bytes())
}

/// Whether the CPU calls itself AMD's (or Hygon's): EBX of leaf 0.
#[must_use]
pub fn is_amd() -> bool {
    matches!(&__cpuid(0).ebx.to_le_bytes(), b"Auth" | b"Hygo")
}

/// How to call, by CPUID, which exits itself.
#[must_use]
pub fn way() -> fn(u64, u64) -> u64 {
    if is_amd() { vmmcall } else { vmcall }
}

/// Calls function `function`; -1 means that nobody knows it. Bare it is an undefined instruction.
#[must_use]
pub fn call(function: u64, argument: u64) -> u64 {
    way()(function, argument)
}

/// Calls by VMCALL.
#[must_use]
pub fn vmcall(function: u64, argument: u64) -> u64 {
    let result;
    // SAFETY: a hypercall changes no memory of the guest and no register but RAX. RBX is the compiler's, so it is lent.
    unsafe {
        asm!("xchg rbx, {0}", "vmcall", "xchg rbx, {0}", inout(reg) argument => _,
            inlateout("rax") function => result, options(nostack));
    }
    result
}

/// Calls by VMMCALL.
#[must_use]
pub fn vmmcall(function: u64, argument: u64) -> u64 {
    let result;
    // SAFETY: as for `vmcall`.
    unsafe {
        asm!("xchg rbx, {0}", "vmmcall", "xchg rbx, {0}", inout(reg) argument => _,
            inlateout("rax") function => result, options(nostack));
    }
    result
}
