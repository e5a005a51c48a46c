// SPDX-License-Identifier: MIT OR Apache-2.0
//! What CPUID tells a guest.

/// What one execution of CPUID gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leaf {
    /// EAX.
    pub eax: u32,
    /// EBX.
    pub ebx: u32,
    /// ECX.
    pub ecx: u32,
    /// EDX.
    pub edx: u32,
}

/// What the answer depends on beside the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Number of the vCPU: its APIC id.
    pub vcpu: u8,
    /// vCPUs of the partition.
    pub vcpus: u8,
    /// Frequency of the TSC as the hypervisor calibrated it.
    pub tsc_hz: u64,
    /// Components of XCR0 that are saved (or, of a vCPU that owns its CPU, reset).
    pub components: u64,
    /// The guest's CR4.OSXSAVE.
    pub os_xsave: bool,
    /// The guest's local APIC is enabled in `IA32_APIC_BASE`.
    pub apic: bool,
}

/// What a guest sees in a leaf; `host` executes CPUID on this CPU, with the guest's XCR0.
#[inline]
#[must_use]
pub fn visible(_leaf: u32, _subleaf: u32, _view: &View, _host: impl Fn(u32, u32) -> Leaf) -> Leaf {
    Leaf::default()
}
