// SPDX-License-Identifier: MIT OR Apache-2.0
//! The instruction that a guest was stopped at, read from its own memory.
//!
//! The guest's tables and the partition's stage 2 translate the program
//! counter, so nothing but the partition's own memory can be read; a result
//! that is not normal memory is refused. While the guest's MMU is off all is a
//! device's to stage 1, but then no other vCPU can have moved the page either:
//! stage 2 never changes, and lets nothing but memory be executed.

use super::memory;
use super::sysreg::{self, isb};
use aarch64_cpu::registers::{PAR_EL1, Readable, SCTLR_EL1, Writeable};
use paging::HostPhys;

/// The instruction; none if its page has gone, is a device's, or the guest is AArch32.
pub(super) fn instruction() -> Option<u32> {
    let pstate = sysreg::pstate();
    let pc = sysreg::pc();
    if pstate & 1 << 4 != 0 || pc & 3 != 0 {
        return None;
    }
    let own = PAR_EL1.get();
    // SAFETY: translates the guest's address by stages 1 and 2, which are in the CPU since
    // Vcpu::load; only PAR_EL1 changes, which is put back.
    unsafe {
        if pstate & 0xf == 0 {
            core::arch::asm!("at s12e0r, {}", in(reg) pc, options(nostack, preserves_flags));
        } else {
            core::arch::asm!("at s12e1r, {}", in(reg) pc, options(nostack, preserves_flags));
        }
    }
    isb();
    let par = PAR_EL1.get();
    PAR_EL1.set(own);
    let failed = par & 1 != 0;
    let translated = SCTLR_EL1.is_set(SCTLR_EL1::M);
    let device = par >> 56 & 0xf0 == 0;
    if failed || device && translated {
        return None;
    }
    let page = HostPhys::new(par & 0x0000_ffff_ffff_f000);
    let pair = memory::read(page.checked_add(pc & 0xff8)?)?;
    // Instructions are little-endian whatever data is.
    Some((pair >> (8 * (pc & 4))) as u32)
}
