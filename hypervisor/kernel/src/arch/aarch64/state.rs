// SPDX-License-Identifier: MIT OR Apache-2.0
//! The part of a vCPU that stays in the CPU: what governs it, and the values
//! its registers have after reset.
//!
//! Everything an EL1 guest can change is listed in [`reset`]; a register that
//! is not listed there must trap or be absent (hide.rs; ARCHITECTURE.md, "Hidden
//! features"). Sections of the Arm ARM are the registers' own.

use super::features::{Features, features};
use super::sysreg::{dsb_sy, isb, msr};
use aarch64_cpu::registers::{
    AFSR0_EL1, AFSR1_EL1, AMAIR_EL1, CNTHCTL_EL2, CNTKCTL_EL1, CNTP_CTL_EL0, CNTP_CVAL_EL0,
    CNTV_CTL_EL0, CNTV_CVAL_EL0, CNTVOFF_EL2, CONTEXTIDR_EL1, CSSELR_EL1, ELR_EL1, ESR_EL1,
    FAR_EL1, HCR_EL2, MAIR_EL1, MIDR_EL1, PAR_EL1, Readable, SCTLR_EL1, SP_EL0, SP_EL1, SPSR_EL1,
    TCR_EL1, TPIDR_EL0, TPIDR_EL1, TPIDRRO_EL0, TTBR0_EL1, TTBR1_EL1, VBAR_EL1, VMPIDR_EL2,
    VTCR_EL2, VTTBR_EL2, Writeable,
};

/// Registers that govern one vCPU.
#[derive(Clone, Copy, Debug)]
pub struct Controls {
    /// HCR_EL2.
    pub traps: u64,
    /// VTTBR_EL2: VMID and root of stage 2.
    pub stage2: u64,
    /// VTCR_EL2.
    pub stage2_format: u64,
    /// VMPIDR_EL2: the vCPU's own name.
    pub identity: u64,
}

/// HCR_EL2.VSE: a virtual SError waits; the CPU clears it when the guest takes that.
pub(super) const SERROR: u64 = 1 << 8;

bitflags::bitflags! {
    /// HCR_EL2, Hypervisor Configuration Register.
    #[derive(Clone, Copy, Debug)]
    pub struct Hcr: u64 {
        /// Stage 2 translates.
        const VM = 1 << 0;
        /// Data cache invalidation by set/way also cleans.
        const SWIO = 1 << 1;
        /// A table walk through Device memory faults.
        const PTW = 1 << 2;
        /// Physical FIQ, IRQ and SError go to EL2; virtual ones to EL1.
        const FMO = 1 << 3;
        /// See FMO.
        const IMO = 1 << 4;
        /// See FMO.
        const AMO = 1 << 5;
        /// Barriers reach at least the inner shareable domain.
        const BSU_INNER = 1 << 10;
        /// Maintenance is broadcast.
        const FB = 1 << 9;
        /// WFI traps.
        const TWI = 1 << 13;
        /// ID registers of group 1 (REVIDR_EL1, AIDR_EL1, SMIDR_EL1) trap.
        const TID1 = 1 << 16;
        /// ID registers of group 3 (AArch64 features) trap.
        const TID3 = 1 << 18;
        /// SMC traps.
        const TSC = 1 << 19;
        /// Implementation-defined registers trap.
        const TIDCP = 1 << 20;
        /// ACTLR_EL1 traps.
        const TACR = 1 << 21;
        /// Maintenance by set/way traps.
        const TSW = 1 << 22;
        /// Writes to the registers of virtual memory control trap.
        const TVM = 1 << 26;
        /// EL1 is AArch64.
        const RW = 1 << 31;
        /// LORegions registers trap.
        const TLOR = 1 << 35;
        /// RAS error records trap.
        const TERR = 1 << 36;
        /// Stage 2 may force write-back (FEAT_S2FWB).
        const FWB = 1 << 46;
        /// MTE's GMID_EL1 traps; tags are off because ATA is 0.
        const TID5 = 1 << 58;
    }
}

/// The traps of a guest on CPUs with these features; `idle` traps WFI.
#[must_use]
pub(super) fn traps(features: &Features, idle: bool) -> Hcr {
    let mut hcr = Hcr::VM
        | Hcr::SWIO
        | Hcr::PTW
        | Hcr::FMO
        | Hcr::IMO
        | Hcr::AMO
        | Hcr::BSU_INNER
        | Hcr::FB
        | Hcr::TID3
        | Hcr::TSC
        | Hcr::TIDCP
        | Hcr::TACR
        | Hcr::TSW
        | Hcr::RW;
    hcr.set(Hcr::TWI, idle);
    hcr.set(Hcr::TID1, features.sme);
    hcr.set(Hcr::TLOR, features.lor);
    hcr.set(Hcr::TERR, features.ras);
    hcr.set(Hcr::FWB, features.forced_write_back);
    hcr.set(Hcr::TID5, features.mte);
    hcr
}

/// CNTHCTL_EL2: the physical counter and timer are the guest's.
const CNTHCTL: u64 = 0b11;
/// SCTLR_EL1 after reset: its RES1 bits, MMU and caches off.
const SCTLR: u64 = 0x30d0_0800;

/// Puts these controls and the state after reset into this CPU.
pub(super) fn reset(controls: &Controls) {
    quiet();
    VTCR_EL2.set(controls.stage2_format);
    VTTBR_EL2.set(controls.stage2);
    VMPIDR_EL2.set(controls.identity);
    msr!("vpidr_el2", MIDR_EL1.get());
    HCR_EL2.set(controls.traps);
    super::hide::hide(&features());
    CNTHCTL_EL2.set(CNTHCTL);
    CNTVOFF_EL2.set(0);
    system();
    super::debug::reset();
    super::float::reset();
    // A vCPU of this partition may have left translations of an earlier life.
    dsb_sy();
    // SAFETY: drops cached translations of the current VMID, nothing else.
    unsafe { core::arch::asm!("tlbi vmalls12e1is", options(nostack)) }
    dsb_sy();
    isb();
}

/// Every EL1 and EL0 system register that a guest can write. EL1 is AArch64
/// (HCR_EL2.RW), so the registers of an AArch32 EL1 cannot be reached.
fn system() {
    SCTLR_EL1.set(SCTLR);
    TTBR0_EL1.set(0);
    TTBR1_EL1.set(0);
    TCR_EL1.set(0);
    MAIR_EL1.set(0);
    AMAIR_EL1.set(0);
    VBAR_EL1.set(0);
    ESR_EL1.set(0);
    FAR_EL1.set(0);
    AFSR0_EL1.set(0);
    AFSR1_EL1.set(0);
    ELR_EL1.set(0);
    SPSR_EL1.set(0);
    SP_EL0.set(0);
    SP_EL1.set(0);
    TPIDR_EL0.set(0);
    TPIDRRO_EL0.set(0);
    TPIDR_EL1.set(0);
    CONTEXTIDR_EL1.set(0);
    CSSELR_EL1.set(0);
    PAR_EL1.set(0);
    CNTKCTL_EL1.set(0);
}

/// Timers and list registers of this CPU are off: nothing acts for a vCPU that is off.
pub(super) fn quiet() {
    CNTV_CTL_EL0.set(0);
    CNTP_CTL_EL0.set(0);
    CNTV_CVAL_EL0.set(0);
    CNTP_CVAL_EL0.set(0);
    super::gic::quiet();
}
