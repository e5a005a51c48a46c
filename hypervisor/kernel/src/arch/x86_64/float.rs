// SPDX-License-Identifier: MIT OR Apache-2.0
//! Floating-point and vector state. The hypervisor never uses it, so a guest's
//! stays in the CPU; a vCPU that starts finds the state after reset, whatever
//! the CPU was used for before.
//!
//! Intel SDM, volume 1: "Operation of XRSTOR", "Standard Form of XRSTOR".

use super::sysreg::cpuid;
use core::arch::asm;

/// Components of XCR0 that a guest may use: x87, SSE, AVX, and AVX-512's three.
const KNOWN: u64 = 0b1110_0111;
const CR4_OSFXSR: u64 = 1 << 9;
const CR4_OSXMMEXCPT: u64 = 1 << 10;
const CR4_OSXSAVE: u64 = 1 << 18;
const XSAVE: u32 = 1 << 26;

/// An area that says: everything as after reset. Nothing behind the header is read.
#[repr(C, align(64))]
struct Area([u32; 256]);

impl Area {
    /// On the stack: 1 KiB of zeros would be a hundredth of the program.
    #[inline(never)]
    fn reset() -> Self {
        let mut area = [0; 256];
        area[0] = 0x37f; // FCW
        area[6] = 0x1f80; // MXCSR
        Self(area)
    }
}

/// Lets this CPU use the instructions below.
pub(super) fn start_cpu() {
    let mut bits = CR4_OSFXSR | CR4_OSXMMEXCPT;
    if has_xsave() {
        bits |= CR4_OSXSAVE;
    }
    // SAFETY: the bits exist: SSE on every 64-bit CPU, the last as CPUID says.
    unsafe {
        asm!("mov {t}, cr4", "or {t}, {bits}", "mov cr4, {t}", t = out(reg) _, bits = in(reg) bits,
            options(nostack));
    }
}

/// Whether the CPU has XSAVE.
fn has_xsave() -> bool {
    cpuid(1, 0).ecx & XSAVE != 0
}

/// Components of XCR0 that a guest may use on this CPU.
pub(super) fn components() -> u64 {
    if !has_xsave() {
        return 0;
    }
    let leaf = cpuid(0xd, 0);
    (u64::from(leaf.edx) << 32 | u64::from(leaf.eax)) & KNOWN
}

/// Puts the state after reset into this CPU, and XCR0's value after reset.
pub(super) fn reset() {
    if !has_xsave() {
        // SAFETY: the area is aligned and says nothing that faults.
        unsafe { asm!("fxrstor64 [{}]", in(reg) &Area::reset(), options(nostack)) }
        return;
    }
    set_xcr0(components());
    // SAFETY: as above; a header of zeros resets each component that XCR0 has.
    unsafe {
        asm!("xrstor64 [{}]", in(reg) &Area::reset(), in("eax") u32::MAX, in("edx") u32::MAX,
            options(nostack));
    }
    set_xcr0(1);
}

/// Whether a guest may have this XCR0 (Intel SDM, volume 1: "Enabling the XSAVE Feature Set").
pub(super) fn is_valid(xcr0: u64) -> bool {
    const X87: u64 = 1;
    const SSE: u64 = 1 << 1;
    const AVX: u64 = 1 << 2;
    const AVX512: u64 = 7 << 5;
    let wide = xcr0 & AVX512;
    xcr0 & !components() == 0
        && xcr0 & X87 != 0
        && (xcr0 & AVX == 0 || xcr0 & SSE != 0)
        && (wide == 0 || wide == AVX512 && xcr0 & AVX != 0)
}

/// Writes XCR0 with a value that [`is_valid`].
pub(super) fn set_xcr0(value: u64) {
    // SAFETY: the hypervisor uses none of what it governs.
    unsafe {
        asm!("xsetbv", in("ecx") 0, in("eax") value as u32, in("edx") (value >> 32) as u32,
            options(nomem, nostack, preserves_flags));
    }
}
