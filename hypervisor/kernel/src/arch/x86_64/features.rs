// SPDX-License-Identifier: MIT OR Apache-2.0
//! What this CPU has, read from CPUID, and which of the two ways to virtualize
//! it knows.

use super::sysreg::cpuid;

/// Who makes the virtualization that this CPU has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Maker {
    /// VT-x.
    Intel,
    /// AMD-V.
    Amd,
}

/// Facts that change what the kernel does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Features {
    /// Bits of a physical address.
    pub physical_bits: u32,
    /// Pages of 1 GiB in ordinary tables, and in AMD's nested ones.
    pub gigabyte_pages: bool,
}

/// Reads them.
#[must_use]
pub(super) fn features() -> Features {
    let most = cpuid(0x8000_0000, 0).eax;
    let physical_bits = if most >= 0x8000_0008 { cpuid(0x8000_0008, 0).eax & 0xff } else { 36 };
    Features { physical_bits, gigabyte_pages: cpuid(0x8000_0001, 0).edx & 1 << 26 != 0 }
}

/// How this CPU virtualizes, if it does.
#[must_use]
pub(super) fn maker() -> Option<Maker> {
    if cpuid(1, 0).ecx & 1 << 5 != 0 {
        return Some(Maker::Intel);
    }
    (cpuid(0x8000_0001, 0).ecx & 1 << 2 != 0).then_some(Maker::Amd)
}

/// Bits of a local APIC id that tell the threads of one core apart (Intel SDM, volume 3:
/// "Detecting Hardware Multi-Threading Support and Topology"; AMD APM, volume 3: "CPUID
/// Fn8000_001E").
#[must_use]
pub(super) fn thread_bits() -> u32 {
    const THREADS: u32 = 1;
    if cpuid(0, 0).eax >= 0xb {
        let level = cpuid(0xb, 0);
        if level.ecx >> 8 & 0xff == THREADS {
            // A core that was made with one thread; Bochs 3.0 gives its id a bit all the same,
            // and then counts ids without a gap.
            let single = level.ebx & 0xffff == 1;
            return if single { 0 } else { level.eax & 0x1f };
        }
    }
    if maker() == Some(Maker::Amd) && cpuid(0x8000_0000, 0).eax >= 0x8000_001e {
        return (cpuid(0x8000_001e, 0).ebx >> 8 & 0xff).checked_ilog2().map_or(0, |bits| bits + 1);
    }
    0
}
