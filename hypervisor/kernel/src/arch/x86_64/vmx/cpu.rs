// SPDX-License-Identifier: MIT OR Apache-2.0
//! VT-x on a CPU: turned on once, and what all its guests share.
//!
//! Intel SDM, volume 3: "Enabling and Entering VMX Operation", "MSR-Bitmap
//! Address".

use super::super::map::{self, phys};
use super::super::sysreg::{FEATURE_CONTROL, rdmsr, wrmsr};
use super::{CR0_FIXED_ONES, CR4_VMXE, controls};
use core::arch::asm;
use devices::apic::needs_no_exit;
use devices::x86::Vendor;
use devices::x86::msr::{self, Rule};
use devices::x86::vmx::feature_control;
use spin::Once;

const VMX_BASIC: u32 = 0x480;
const CR4_FIXED_ONES: u32 = 0x488;

/// Turns VT-x on, on this CPU.
///
/// # Errors
/// What it lacks, and the cure.
pub(in super::super) fn start_cpu() -> Result<(), &'static str> {
    if let Some(value) = feature_control(rdmsr(FEATURE_CONTROL))? {
        // SAFETY: allows what is used below; no other bit changes.
        unsafe { wrmsr(FEATURE_CONTROL, value) }
    }
    controls::read()?;
    let page = region().ok_or("no room for a CPU's state")?;
    let (cr0, cr4) = (rdmsr(CR0_FIXED_ONES), rdmsr(CR4_FIXED_ONES) | CR4_VMXE);
    let failed: u8;
    // SAFETY: the bits are those that VMX operation needs; the region is this CPU's alone.
    unsafe {
        asm!("mov {t}, cr0", "or {t}, {cr0}", "mov cr0, {t}", "mov {t}, cr4", "or {t}, {cr4}",
            "mov cr4, {t}", "vmxon [{page}]", "setbe {failed}", t = out(reg) _, cr0 = in(reg) cr0,
            cr4 = in(reg) cr4, page = in(reg) &page, failed = out(reg_byte) failed,
            options(nostack));
    }
    if failed != 0 { Err("VMXON failed") } else { Ok(()) }
}

/// Physical address of a new region with this CPU's revision.
pub(super) fn region() -> Option<u64> {
    let page = map::pages(1)?;
    // SAFETY: a page of its own.
    unsafe { page.write(rdmsr(VMX_BASIC) & 0x7fff_ffff) }
    Some(phys(page as u64))
}

/// Physical address of the bitmap of MSRs: reads low and high, writes low and high. One is for
/// guests whose local APIC is in x2APIC mode and virtualized.
pub(super) fn msrs(x2apic: bool) -> Option<u64> {
    static MSRS: [Once<Option<u64>>; 2] = [const { Once::new() }; 2];
    *MSRS[usize::from(x2apic)].call_once(|| {
        let map = map::pages(1)?.cast::<u8>();
        for (half, first) in [(0, 0), (0x400, 0xc000_0000)] {
            for number in 0..0x2000_u32 {
                let exits = msr::rule(first + number, Vendor::Intel) != Rule::Pass;
                for write in [false, true] {
                    let virtualized = x2apic && needs_no_exit(first + number, write);
                    let byte = half + number as usize / 8 + usize::from(write) * 0x800;
                    let bit = u8::from(exits && !virtualized) << (number % 8);
                    // SAFETY: the byte lies in the page.
                    unsafe { *map.add(byte) |= bit }
                }
            }
        }
        Some(phys(map as u64))
    })
}
