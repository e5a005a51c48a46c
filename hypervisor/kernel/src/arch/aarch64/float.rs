// SPDX-License-Identifier: MIT OR Apache-2.0
//! Floating-point and vector registers. The kernel never uses them (its target
//! is soft-float), so they stay the guest's until another vCPU takes the CPU;
//! then nothing of the earlier one may be left in them.

/// Clears v0 to v31, FPCR and FPSR.
pub(super) fn reset() {
    // SAFETY: the kernel's target is soft-float, so no value of its own is lost; CPTR_EL2
    // (state.rs) does not trap floating point at EL2.
    unsafe {
        core::arch::asm!(
            ".arch_extension fp",
            ".arch_extension simd",
            ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
            "movi v\\n\\().2d, #0",
            ".endr",
            "msr fpcr, xzr",
            "msr fpsr, xzr",
            ".arch_extension nosimd",
            ".arch_extension nofp",
            options(nomem, nostack)
        );
    }
}
