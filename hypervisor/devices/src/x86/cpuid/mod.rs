// SPDX-License-Identifier: MIT OR Apache-2.0
//! What CPUID tells a guest: feature bits by `table.rs`, the topology of the
//! partition, the TSC's frequency, and otherwise what the CPU says. A leaf that
//! is not named here reads zero.
//!
//! Each vCPU is a core of its own in one package, and its APIC id is its number.
//! The local APIC's timer counts the TSC's ticks, which leaf 0x15 says by giving
//! the TSC as its own crystal.
//! Intel SDM volume 2, "CPUID - CPU Identification"; AMD manual volume 3,
//! "Obtaining Processor Information Via the CPUID Instruction".

mod table;

use table::{
    EXTENDED_1_ECX, EXTENDED_1_EDX, EXTENDED_7_EDX, EXTENDED_8_EBX, LEAF_1_ECX, LEAF_1_EDX,
    LEAF_7_1_EAX, LEAF_7_EBX, LEAF_7_ECX, LEAF_7_EDX, LEAF_D_1_EAX,
};

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

/// Highest leaves.
const MAX: u32 = 0x1f;
const EXTENDED_MAX: u32 = 0x8000_001e;
const HYPERVISOR: u32 = 0x4000_0000;
/// Bits of leaf 1 that follow the guest's state.
const OSXSAVE: u32 = 1 << 27;
const APIC: u32 = 1 << 9;
const HTT: u32 = 1 << 28;
/// Leaf 6, EAX: the local APIC's timer never stops.
const ALWAYS_RUNNING_TIMER: u32 = 1 << 2;

/// What a guest sees in a leaf; `view` tells what few leaves depend on, `host` executes CPUID on
/// this CPU, with the guest's XCR0.
#[inline]
#[must_use]
pub fn visible(
    leaf: u32,
    subleaf: u32,
    view: impl Fn() -> View,
    host: impl Fn(u32, u32) -> Leaf,
) -> Leaf {
    match leaf {
        0 => Leaf { eax: MAX, ..host(0, 0) },
        1 => version(&view(), host(1, 0)),
        // Caches by descriptor; the processor's brand; AMD's caches and TLBs.
        2 | 0x8000_0002..=0x8000_0006 | 0x8000_0019 | 0x8000_001a => host(leaf, 0),
        HYPERVISOR => Leaf {
            eax: HYPERVISOR,
            ebx: u32::from_le_bytes(*b"Bulk"),
            ecx: u32::from_le_bytes(*b"head"),
            edx: u32::from_le_bytes(*b"Bulk"),
        },
        _ => rare(leaf, subleaf, &view(), &host),
    }
}

/// The leaves that are asked for while a guest starts.
#[inline(never)]
fn rare(leaf: u32, subleaf: u32, view: &View, host: &impl Fn(u32, u32) -> Leaf) -> Leaf {
    match leaf {
        4 => cache(view, host(4, subleaf), true),
        0x8000_001d => cache(view, host(leaf, subleaf), false),
        6 => Leaf { eax: ALWAYS_RUNNING_TIMER, ..Leaf::default() },
        7 => features(subleaf, host),
        0xb | 0x1f => topology(view, subleaf),
        0xd => extended_state(view, subleaf, host),
        0x15 | 0x16 => frequency(view, leaf),
        0x8000_0000.. => extended(leaf, view, host),
        _ => Leaf::default(),
    }
}

#[inline]
fn version(view: &View, host: Leaf) -> Leaf {
    // APIC id, logical processors, size of a cache line; no brand index.
    let ebx = u32::from(view.vcpu) << 24 | u32::from(view.vcpus) << 16 | host.ebx & 0xff00;
    let mut ecx = LEAF_1_ECX.apply(host.ecx);
    let mut edx = LEAF_1_EDX.apply(host.edx);
    if view.os_xsave {
        ecx |= OSXSAVE;
    }
    if view.apic {
        edx |= APIC;
    }
    if view.vcpus > 1 {
        edx |= HTT;
    }
    Leaf { eax: host.eax, ebx, ecx, edx }
}

/// Bits of an APIC id that tell the cores of the package apart.
const fn core_bits(view: &View) -> u32 {
    u32::BITS.wrapping_sub((view.vcpus.saturating_sub(1) as u32).leading_zeros())
}

/// A cache: the first two levels belong to a core, the others to the package, whose number
/// of cores Intel tells here.
fn cache(view: &View, host: Leaf, tells_cores: bool) -> Leaf {
    if host.eax & 0x1f == 0 {
        return Leaf::default();
    }
    let cores = 1u32.wrapping_shl(core_bits(view)).wrapping_sub(1);
    let sharing = if host.eax >> 5 & 7 < 3 { 0 } else { cores };
    let packaged = if tells_cores { cores << 26 } else { 0 };
    Leaf { eax: host.eax & 0x3ff | sharing << 14 | packaged, ..host }
}

fn features(subleaf: u32, host: &impl Fn(u32, u32) -> Leaf) -> Leaf {
    let found = host(7, subleaf);
    match subleaf {
        0 => Leaf {
            eax: found.eax.min(1),
            ebx: LEAF_7_EBX.apply(found.ebx),
            ecx: LEAF_7_ECX.apply(found.ecx),
            edx: LEAF_7_EDX.apply(found.edx),
        },
        1 => Leaf { eax: LEAF_7_1_EAX.apply(found.eax), ..Leaf::default() },
        _ => Leaf::default(),
    }
}

/// One thread in each core, `vcpus` cores.
fn topology(view: &View, subleaf: u32) -> Leaf {
    let (eax, ebx, kind) = match subleaf {
        0 => (0, 1, 1 << 8),
        1 => (core_bits(view), view.vcpus.into(), 2 << 8),
        _ => (0, 0, 0),
    };
    Leaf { eax, ebx, ecx: subleaf & 0xff | kind, edx: view.vcpu.into() }
}

/// XSAVE's components, as far as they are the guest's.
fn extended_state(view: &View, subleaf: u32, host: &impl Fn(u32, u32) -> Leaf) -> Leaf {
    let found = host(0xd, subleaf);
    match subleaf {
        0 => {
            let own = u64::from(found.edx) << 32 | u64::from(found.eax);
            let own = own & view.components;
            Leaf {
                eax: (own & 0xffff_ffff) as u32,
                edx: (own >> 32) as u32,
                ebx: found.ebx,
                ecx: area(own, host),
            }
        }
        1 => Leaf { eax: LEAF_D_1_EAX.apply(found.eax), ebx: found.ebx, ..Leaf::default() },
        2..64 if view.components >> subleaf & 1 != 0 => {
            Leaf { ecx: found.ecx & 2, edx: 0, ..found }
        }
        _ => Leaf::default(),
    }
}

/// Bytes of an area that holds all these components.
fn area(components: u64, host: &impl Fn(u32, u32) -> Leaf) -> u32 {
    /// The legacy region and the header.
    const LEAST: u32 = 576;
    let mut left = components & !3;
    let mut bytes = LEAST;
    while left != 0 {
        let component = host(0xd, left.trailing_zeros());
        bytes = bytes.max(component.ebx.saturating_add(component.eax));
        left &= left.wrapping_sub(1);
    }
    bytes
}

/// The TSC is its own crystal; one beyond 32 bits is told in megahertz alone.
fn frequency(view: &View, leaf: u32) -> Leaf {
    let mhz = ((view.tsc_hz / 1_000_000) & 0xffff) as u32;
    if leaf == 0x16 {
        return Leaf { eax: mhz, ebx: mhz, ecx: 100, edx: 0 };
    }
    Leaf { eax: 1, ebx: 1, ecx: u32::try_from(view.tsc_hz).unwrap_or(0), edx: 0 }
}

fn extended(leaf: u32, view: &View, host: &impl Fn(u32, u32) -> Leaf) -> Leaf {
    // "Genu" begins Intel's name; all others do as AMD does.
    let amd = host(0, 0).ebx != u32::from_le_bytes(*b"Genu");
    let host = host(leaf, 0);
    let cores = u32::from(view.vcpus).saturating_sub(1);
    match leaf {
        0x8000_0000 => Leaf { eax: host.eax.min(EXTENDED_MAX), ..host },
        0x8000_0001 => Leaf {
            eax: host.eax,
            ebx: 0,
            ecx: EXTENDED_1_ECX.apply(host.ecx),
            edx: EXTENDED_1_EDX.apply(host.edx) | if amd && view.apic { APIC } else { 0 },
        },
        0x8000_0007 => Leaf { edx: EXTENDED_7_EDX.apply(host.edx), ..Leaf::default() },
        // Sizes of addresses; on AMD the number of cores, and bits of the APIC id that tell them apart.
        0x8000_0008 => Leaf {
            eax: host.eax & 0xffff,
            ebx: EXTENDED_8_EBX.apply(host.ebx),
            ecx: if amd { core_bits(view) << 12 | cores } else { 0 },
            edx: 0,
        },
        0x8000_001e if amd => Leaf { eax: view.vcpu.into(), ebx: view.vcpu.into(), ecx: 0, edx: 0 },
        _ => Leaf::default(),
    }
}

#[cfg(test)]
mod tests;
