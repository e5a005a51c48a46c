// SPDX-License-Identifier: MIT OR Apache-2.0
//! The answer to a guest's fault: the exception that the architecture
//! prescribes, delivered when the guest is entered.

use super::state::exception;
use super::vcpu::Vcpu;
use crate::fault::{GuestFault, Why};
use core::arch::asm;

/// Debug registers as after reset; DR6 and DR7 are in the control block, or written there too.
pub(super) fn reset_debug() {
    // SAFETY: breakpoints are off: DR7 is written first.
    unsafe {
        asm!("mov dr7, {seven}", "mov dr0, {zero}", "mov dr1, {zero}", "mov dr2, {zero}",
            "mov dr3, {zero}", "mov dr6, {six}", zero = in(reg) 0_u64, six = in(reg) 0xffff_0ff0_u64,
            seven = in(reg) 0x400_u64, options(nomem, nostack, preserves_flags));
    }
}

/// Bits of DR6 that say why #DB comes.
pub(super) fn add_debug_status(bits: u64) {
    // SAFETY: the guest's own register.
    unsafe {
        asm!("mov {t}, dr6", "or {t}, {bits}", "mov dr6, {t}", t = out(reg) _, bits = in(reg) bits,
            options(nomem, nostack));
    }
}

impl Vcpu {
    /// Answers a fault, or tells why the partition must stop. A register that is not there is
    /// #GP on this architecture, and so is an instruction that is not served on a device's
    /// registers. Where nothing answers, a PC reads ones, which are no instruction.
    #[cold]
    pub(super) fn answer_fault(&mut self, fault: GuestFault) -> Result<(), Why> {
        self.step = None;
        self.string = None;
        let event = match fault {
            GuestFault::Undefined | GuestFault::NoDevice => exception::PROTECTION,
            GuestFault::NoCode => exception::UNDEFINED,
            GuestFault::Stop(why) => return Err(why),
        };
        let _ = self.raise(event);
        Ok(())
    }
}
