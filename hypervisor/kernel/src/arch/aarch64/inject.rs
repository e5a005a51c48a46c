// SPDX-License-Identifier: MIT OR Apache-2.0
//! An exception for a guest, taken to its EL1 as the hardware would take it
//! (Arm ARM, "Exception entry", pseudocode AArch64.TakeException).

use super::{memory, sysreg};
use crate::partition::Partition;
use aarch64_cpu::registers::{
    ELR_EL1, ESR_EL1, FAR_EL1, ID_AA64MMFR1_EL1, ID_AA64MMFR2_EL1, Readable, SCTLR_EL1, SPSR_EL1,
    TCR_EL1, TTBR0_EL1, TTBR1_EL1, VBAR_EL1, Writeable,
};
use devices::esr::{self, Syndrome};
use devices::walk::{self, Regime};
use paging::GuestPhys;

const CURRENT_SP0: u64 = 0x000;
const CURRENT_SPX: u64 = 0x200;
const LOWER_64: u64 = 0x400;
const LOWER_32: u64 = 0x600;
/// ESR: the instruction had 32 bits.
const IL: u64 = 1 << 25;
/// ESR ISS of an abort: synchronous external abort, not on a table walk.
const EXTERNAL: u64 = 0x10;
/// ESR ISS of an abort: the same on a table walk, with the level in the low two bits.
const EXTERNAL_ON_WALK: u64 = 0x14;
/// ESR ISS of a data abort: a store.
const WNR: u64 = 1 << 6;
/// ESR ISS of a data abort: cache maintenance or address translation.
const CM: u64 = 1 << 8;
/// ESR ISS of an abort taken to EL2: on the walk of the guest's own tables.
const S1PTW: u64 = 1 << 7;

/// An undefined instruction. An ID register that is not there has the syndrome
/// of a trapped register, which this exit's is, where the CPU does so (FEAT_IDST).
pub(super) fn undefined(esr: u64) -> u64 {
    let own = ID_AA64MMFR2_EL1.get() >> 36 & 0xf != 0;
    if own && is_identity_read(esr) { esr } else { esr & IL }
}

/// Whether an exit is a trapped read of an ID register: op0 = 3, op1 = 0, 1 or
/// 3, CRn = 0, CRm = 0 to 7 (Arm ARM, "Feature ID space").
fn is_identity_read(esr: u64) -> bool {
    let Syndrome::SystemRegister(access) = esr::decode(esr) else { return false };
    let register = access.register;
    let space = register.op0() == 3 && register.crn() == 0 && register.crm() < 8;
    !access.write && space && matches!(register.op1(), 0 | 1 | 3)
}

/// An external abort on a load, a store or maintenance.
pub(super) fn data_abort(esr: u64, partition: &Partition) -> u64 {
    let class = if from_el1(sysreg::pstate()) { 0x25 } else { 0x24 };
    class << 26 | esr & (IL | CM | WNR) | external(esr, partition)
}

/// An external abort on a fetch.
pub(super) fn instruction_abort(esr: u64, partition: &Partition) -> u64 {
    let class = if from_el1(sysreg::pstate()) { 0x21 } else { 0x20 };
    class << 26 | IL | external(esr, partition)
}

/// The fault status: on the access itself, or on the walk of the guest's own
/// tables, and then on which level.
fn external(esr: u64, partition: &Partition) -> u64 {
    if esr & S1PTW == 0 {
        return EXTERNAL;
    }
    let regime = Regime { tcr: TCR_EL1.get(), tables: [TTBR0_EL1.get(), TTBR1_EL1.get()] };
    let refused = esr::guest_address(0, sysreg::hpfar());
    let level = walk::level(sysreg::far(), regime, refused, |entry| {
        let entry = GuestPhys::new(entry);
        let memory = partition.memory.iter().find(|memory| memory.holds(entry))?;
        memory::read(memory.host.checked_add(entry.offset_from(memory.guest)?)?)
    });
    EXTERNAL_ON_WALK | u64::from(level)
}

/// Whether the guest was at EL1, not EL0.
fn from_el1(pstate: u64) -> bool {
    pstate & 0x1f == 0b00100 || pstate & 0x1f == 0b00101
}

/// Takes an exception with this syndrome and fault address to EL1.
pub(super) fn enter(syndrome: u64, address: Option<u64>) {
    let pstate = sysreg::pstate();
    let vector = match pstate & 0x1f {
        0b00100 => CURRENT_SP0,
        0b00101 => CURRENT_SPX,
        0b00000 => LOWER_64,
        _ => LOWER_32,
    };
    ESR_EL1.set(syndrome);
    if let Some(address) = address {
        FAR_EL1.set(address);
    }
    ELR_EL1.set(sysreg::pc());
    SPSR_EL1.set(pstate);
    sysreg::set_pc(VBAR_EL1.get().wrapping_add(vector));
    sysreg::set_pstate(pstate_at_entry(pstate));
}

/// PSTATE at the entry of an EL1 handler: DAIF set, flags kept, PAN set unless
/// SCTLR_EL1.SPAN, SSBS from SCTLR_EL1.DSSBS, everything else clear.
fn pstate_at_entry(before: u64) -> u64 {
    const FLAGS_DIT_UAO: u64 = 0xf << 28 | 1 << 24;
    const PAN: u64 = 1 << 22;
    const SSBS: u64 = 1 << 12;
    let sctlr = SCTLR_EL1.get();
    let mut pstate = before & (FLAGS_DIT_UAO | PAN) | sysreg::EL1H_MASKED;
    let mmfr1 = ID_AA64MMFR1_EL1.get();
    if mmfr1 >> 20 & 0xf != 0 && sctlr & 1 << 23 == 0 {
        pstate |= PAN;
    }
    if sctlr & 1 << 44 != 0 {
        pstate |= SSBS;
    }
    pstate
}
