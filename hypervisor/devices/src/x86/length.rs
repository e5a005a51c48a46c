// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lengths of instructions that are intercepted, for AMD-V without nRIP save.

use crate::x86::Mode;

/// An instruction that is intercepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intercepted {
    /// CPUID.
    Cpuid,
    /// VMMCALL or VMCALL.
    Call,
    /// HLT.
    Hlt,
    /// RDMSR or WRMSR.
    Msr,
    /// IN, OUT, INS, OUTS.
    Io,
    /// MOV to or from a control or debug register.
    MovControl,
    /// CLTS.
    Clts,
    /// LMSW or SMSW.
    MachineStatus,
    /// XSETBV.
    Xsetbv,
    /// RDTSC.
    Rdtsc,
    /// RDTSCP.
    Rdtscp,
    /// RDPMC.
    Rdpmc,
    /// INVD.
    Invd,
    /// WBINVD (and WBNOINVD).
    Wbinvd,
    /// PAUSE.
    Pause,
    /// MONITOR.
    Monitor,
    /// MWAIT.
    Mwait,
    /// INVLPG.
    Invlpg,
}

/// Bytes of the instruction, if it is the one that was intercepted.
#[must_use]
pub fn length(_bytes: &[u8], _mode: Mode, _expected: Intercepted) -> Option<u8> {
    None
}
