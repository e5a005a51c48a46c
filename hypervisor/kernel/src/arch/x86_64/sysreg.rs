// SPDX-License-Identifier: MIT OR Apache-2.0
//! Model-specific registers, ports and single instructions, each in one place.

use core::arch::asm;

/// IA32_APIC_BASE.
pub(super) const APIC_BASE: u32 = 0x1b;
/// IA32_FEATURE_CONTROL.
pub(super) const FEATURE_CONTROL: u32 = 0x3a;
/// IA32_PAT.
pub(super) const PAT: u32 = 0x277;
/// IA32_TSC_DEADLINE.
pub(super) const TSC_DEADLINE: u32 = 0x6e0;
/// IA32_EFER.
pub(super) const EFER: u32 = 0xc000_0080;
/// IA32_GS_BASE.
pub(super) const GS_BASE: u32 = 0xc000_0101;

/// Reads a model-specific register that this CPU has.
#[inline(always)]
pub(super) fn rdmsr(number: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: reading has no effect on memory; callers name registers whose presence they checked.
    unsafe {
        asm!("rdmsr", in("ecx") number, out("eax") low, out("edx") high,
            options(nomem, nostack, preserves_flags));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// Writes a model-specific register.
///
/// # Safety
/// The CPU has the register, takes the value, and what it governs stays sound.
#[inline(always)]
pub(super) unsafe fn wrmsr(number: u32, value: u64) {
    let (low, high) = (value as u32, (value >> 32) as u32);
    // SAFETY: as the caller promises.
    unsafe {
        asm!("wrmsr", in("ecx") number, in("eax") low, in("edx") high,
            options(nostack, preserves_flags));
    }
}

/// Writes a byte to a port of a device that the hypervisor drives.
#[inline(always)]
pub(super) fn outb(port: u16, value: u8) {
    // SAFETY: callers name ports of the PC's fixed devices or of ACPI's, none of which reaches memory.
    unsafe {
        asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack, preserves_flags));
    }
}

/// Reads a byte.
#[inline(always)]
pub(super) fn inb(port: u16) -> u8 {
    let value: u8;
    // SAFETY: as for `outb`.
    unsafe {
        asm!("in al, dx", in("dx") port, out("al") value, options(nomem, nostack, preserves_flags));
    }
    value
}

/// Writes two bytes.
pub(super) fn outw(port: u16, value: u16) {
    // SAFETY: as for `outb`.
    unsafe {
        asm!("out dx, ax", in("dx") port, in("ax") value, options(nomem, nostack, preserves_flags));
    }
}

/// Writes four bytes.
pub(super) fn outl(port: u16, value: u32) {
    // SAFETY: as for `outb`.
    unsafe {
        asm!("out dx, eax", in("dx") port, in("eax") value, options(nomem, nostack, preserves_flags));
    }
}

/// Reads four bytes.
pub(super) fn inl(port: u16) -> u32 {
    let value: u32;
    // SAFETY: as for `outb`.
    unsafe {
        asm!("in eax, dx", in("dx") port, out("eax") value, options(nomem, nostack, preserves_flags));
    }
    value
}

/// One leaf of CPUID.
#[inline(always)]
pub(super) fn cpuid(leaf: u32, subleaf: u32) -> core::arch::x86_64::CpuidResult {
    core::arch::x86_64::__cpuid_count(leaf, subleaf)
}

/// The time stamp counter, which the CPU may read early.
#[inline(always)]
pub(super) fn tsc_unordered() -> u64 {
    // SAFETY: reads a counter.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// The time stamp counter, after everything before it.
#[inline(always)]
pub(super) fn tsc() -> u64 {
    let (low, high): (u64, u64);
    // SAFETY: reads a counter, whose halves fill both registers.
    unsafe {
        asm!("lfence", "rdtsc", out("rax") low, out("rdx") high,
            options(nomem, nostack, preserves_flags));
    }
    high << 32 | low
}

/// Takes the interrupts that are pending: their entries note them (head.s).
#[inline(always)]
pub(super) fn take_interrupts() {
    // SAFETY: the entries of interrupts touch nothing but this CPU's own word. An interrupt is
    // taken after the instruction that follows STI.
    unsafe { asm!("sti", "nop", "cli", options(nostack)) }
}

/// Sleeps until an interrupt comes, and takes it.
#[inline(always)]
pub(super) fn halt() {
    // SAFETY: as above; none is taken between STI and HLT, so none is missed.
    unsafe { asm!("sti", "hlt", "cli", options(nostack)) }
}
