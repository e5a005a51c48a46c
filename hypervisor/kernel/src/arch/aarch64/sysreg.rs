// SPDX-License-Identifier: MIT OR Apache-2.0
//! System registers: the few that the exit path touches, by name, and two
//! macros for the rest of this folder.
//!
//! aarch64-cpu's registers serve where a field is set; these serve where a
//! whole register is read or written, and for names it does not have.
use aarch64_cpu::registers::{
    ELR_EL2, ESR_EL2, FAR_EL2, HPFAR_EL2, Readable, SP_EL0, SP_EL1, SPSR_EL2, Writeable,
};

/// Reads a system register. Reading the registers used in this folder has no
/// effect on memory; each exists on the CPU it is read on (`features` checked).
macro_rules! mrs {
    ($name:literal) => {{
        let value: u64;
        // SAFETY: reads a register that exists here (features.rs) and changes nothing.
        unsafe {
            core::arch::asm!(concat!("mrs {}, ", $name), out(reg) value, options(nomem, nostack, preserves_flags));
        }
        value
    }};
}

/// Writes a system register that governs guests or interrupts, never the
/// hypervisor's own map or stack. It counts as touching memory, so that the
/// compiler keeps it in order with what the guest will see.
macro_rules! msr {
    ($name:literal, $value:expr) => {{
        let value: u64 = $value;
        // SAFETY: the register exists here (features.rs) and governs EL1 and EL0, the
        // interrupt interface or a timer; the hypervisor's own code does not depend on it.
        unsafe {
            core::arch::asm!(concat!("msr ", $name, ", {}"), in(reg) value, options(nostack, preserves_flags));
        }
    }};
}

pub(super) use {mrs, msr};

/// PSTATE of a CPU that starts: EL1 with its own stack pointer, all exceptions masked.
pub(super) const EL1H_MASKED: u64 = 0x3c5;

/// Exception syndrome of the last exit.
#[inline(always)]
pub(super) fn esr() -> u64 {
    ESR_EL2.get()
}

/// Guest virtual address of the last abort.
#[inline(always)]
pub(super) fn far() -> u64 {
    FAR_EL2.get()
}

/// Page of the guest physical address of the last stage-2 abort.
#[inline(always)]
pub(super) fn hpfar() -> u64 {
    HPFAR_EL2.get()
}

/// The guest's program counter.
#[inline(always)]
pub(super) fn pc() -> u64 {
    ELR_EL2.get()
}

/// Sets the guest's program counter.
#[inline(always)]
pub(super) fn set_pc(pc: u64) {
    ELR_EL2.set(pc);
}

/// The guest's PSTATE.
#[inline(always)]
pub(super) fn pstate() -> u64 {
    SPSR_EL2.get()
}

/// Sets the guest's PSTATE.
#[inline(always)]
pub(super) fn set_pstate(pstate: u64) {
    SPSR_EL2.set(pstate);
}

/// SPSR_EL2: the guest steps, and this instruction was still to be done; it was AArch32.
const STEPPING: u64 = 1 << 21;
const AARCH32: u64 = 1 << 4;
const STEPPING_TO_AARCH32: u32 = STEPPING.trailing_zeros() - AARCH32.trailing_zeros();

/// Moves the guest past an instruction that was carried out for it.
#[inline(always)]
pub(super) fn skip_instruction() {
    let pstate = pstate();
    // Both bits in one test: this is on the path of every emulated access.
    if (pstate | pstate >> STEPPING_TO_AARCH32) & AARCH32 == 0 {
        set_pc(pc().wrapping_add(4));
    } else {
        skip_rarely(pstate);
    }
}

/// The same for an instruction that was a step (Arm ARM, "Software Step
/// exceptions": it is done), or one of AArch32, which may have 2 bytes (IL of
/// the syndrome is 0) and be one of an IT block ("Conditional execution").
#[cold]
fn skip_rarely(pstate: u64) {
    let mut after = pstate & !STEPPING;
    let mut length = 4;
    if pstate & AARCH32 != 0 {
        length = if esr() & 1 << 25 == 0 { 2 } else { 4 };
        after = after_it_block_step(after);
    }
    set_pc(pc().wrapping_add(length));
    set_pstate(after);
}

/// PSTATE.IT, in bits 15:10 and 26:25, behind one more instruction.
fn after_it_block_step(pstate: u64) -> u64 {
    const IT: u64 = 0x3f << 10 | 0b11 << 25;
    let it = pstate >> 8 & 0xfc | pstate >> 25 & 0b11;
    let next = if it & 0b111 == 0 { 0 } else { it & 0xe0 | it << 1 & 0x1f };
    pstate & !IT | (next & 0xfc) << 8 | (next & 0b11) << 25
}

/// All earlier stores and maintenance are complete everywhere.
#[inline(always)]
pub(super) fn dsb_sy() {
    // SAFETY: a barrier.
    unsafe { core::arch::asm!("dsb sy", options(nostack, preserves_flags)) }
}

/// Later instructions see earlier register writes.
#[inline(always)]
pub(super) fn isb() {
    // SAFETY: a barrier.
    unsafe { core::arch::asm!("isb", options(nostack, preserves_flags)) }
}

/// Adds to the stack pointer that the guest's PSTATE selects.
pub(super) fn add_to_stack_pointer(add: u64) {
    if pstate() & 1 == 0 {
        SP_EL0.set(SP_EL0.get().wrapping_add(add));
    } else {
        SP_EL1.set(SP_EL1.get().wrapping_add(add));
    }
}
