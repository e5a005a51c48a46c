// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an x86 guest did and what it may see, as pure functions: instructions,
//! exit qualifications, CPUID, MSRs, and what a CPU must be able to do.

mod bytes;
pub mod cpuid;
pub mod decode;
pub mod length;
pub mod msr;
pub mod qualification;
pub mod svm;
pub mod vmx;

/// How the guest's CPU reads instructions: the code segment's L and D bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Real, virtual-8086 or 16-bit protected mode.
    Bits16,
    /// 32-bit protected or compatibility mode.
    Bits32,
    /// 64-bit mode.
    Bits64,
}

/// Who made the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    /// Intel, with VT-x.
    Intel,
    /// AMD, with AMD-V.
    Amd,
}
