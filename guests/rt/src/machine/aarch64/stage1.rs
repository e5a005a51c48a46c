// SPDX-License-Identifier: MIT OR Apache-2.0
//! An identity map in blocks of 1 GiB: below RAM Device-nGnRE, not executable;
//! from RAM up Normal write-back.
//!
//! ```text
//! TTBR0_EL1 -> TABLE (level 1, 512 entries of 1 GiB, 39-bit addresses)
//! ```
//! The walker reads the table uncached, as it was written with the MMU off.
//! Manual: Arm ARM, "VMSAv8-64 translation table format descriptors".

use aarch64_cpu::asm::barrier::{SY, dsb, isb};
use aarch64_cpu::registers::{
    MAIR_EL1, ReadWriteable, Readable, SCTLR_EL1, TCR_EL1, TTBR0_EL1, Writeable,
};
use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

const BLOCK: u64 = 1;
const NORMAL: u64 = 1 << 2;
const INNER_SHAREABLE: u64 = 3 << 8;
const ACCESSED: u64 = 1 << 10;
const NOT_EXECUTABLE: u64 = 3 << 53;
/// GiB of RAM that are mapped.
const RAM_GIB: u64 = 255;

#[repr(C, align(4096))]
struct Table([AtomicU64; 512]);

static TABLE: Table = Table([const { AtomicU64::new(0) }; 512]);

/// Whether this CPU's MMU is on.
#[must_use]
pub fn mmu_is_on() -> bool {
    SCTLR_EL1.is_set(SCTLR_EL1::M)
}

/// Turns this CPU's MMU and caches on.
///
/// CPU 0 does so before it starts another CPU; each further CPU for itself.
pub fn enable_mmu() {
    if super::cpu_index() == 0 {
        for (gib, entry) in (0..).zip(&TABLE.0).take(1 + RAM_GIB as usize) {
            let kind = if gib == 0 { NOT_EXECUTABLE } else { NORMAL | INNER_SHAREABLE };
            entry.store(gib << 30 | kind | ACCESSED | BLOCK, Ordering::Relaxed);
        }
    }
    MAIR_EL1.write(
        MAIR_EL1::Attr0_Device::nonGathering_nonReordering_EarlyWriteAck
            + MAIR_EL1::Attr1_Normal_Outer::WriteBack_NonTransient_ReadWriteAlloc
            + MAIR_EL1::Attr1_Normal_Inner::WriteBack_NonTransient_ReadWriteAlloc,
    );
    TCR_EL1.write(
        TCR_EL1::T0SZ.val(64 - 39)
            + TCR_EL1::TG0::KiB_4
            + TCR_EL1::ORGN0::NonCacheable
            + TCR_EL1::IRGN0::NonCacheable
            + TCR_EL1::EPD1::DisableTTBR1Walks
            + TCR_EL1::IPS::Bits_40,
    );
    TTBR0_EL1.set(TABLE.0.as_ptr() as u64);
    dsb(SY);
    // SAFETY: drops translations only, and none is in use while the MMU is off.
    unsafe { asm!("tlbi vmalle1", "ic iallu", options(nostack, preserves_flags)) };
    dsb(SY);
    isb(SY);
    SCTLR_EL1.modify(SCTLR_EL1::M::Enable + SCTLR_EL1::C::Cacheable + SCTLR_EL1::I::Cacheable);
    isb(SY);
}
