// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cache maintenance by set and way, which a hypervisor cannot let through: it
//! reaches other partitions' lines, and misses those of other CPUs.
//!
//! The first such instruction cleans the partition's memory by address instead
//! and traps the registers of virtual memory control. Until the guest turns its
//! caches on or off, further ones have nothing left to do. Then memory is
//! cleaned once more, and the traps end when the caches are on. (Arm ARM,
//! "Data cache maintenance by set/way"; HCR_EL2.TSW and TVM.)

use super::state::Hcr;
use super::vcpu::Vcpu;
use crate::fault::GuestFault;
use crate::run::Next;
use aarch64_cpu::registers::{
    AFSR0_EL1, AFSR1_EL1, AMAIR_EL1, CONTEXTIDR_EL1, ESR_EL1, FAR_EL1, HCR_EL2, MAIR_EL1, Readable,
    SCTLR_EL1, TCR_EL1, TTBR0_EL1, TTBR1_EL1, Writeable,
};
use devices::esr::Register;

const SCTLR: u32 = Register::new(3, 0, 1, 0, 0).number();
const TTBR0: u32 = Register::new(3, 0, 2, 0, 0).number();
const TTBR1: u32 = Register::new(3, 0, 2, 0, 1).number();
const TCR: u32 = Register::new(3, 0, 2, 0, 2).number();
const ESR: u32 = Register::new(3, 0, 5, 2, 0).number();
const FAR: u32 = Register::new(3, 0, 6, 0, 0).number();
const AFSR0: u32 = Register::new(3, 0, 5, 1, 0).number();
const AFSR1: u32 = Register::new(3, 0, 5, 1, 1).number();
const MAIR: u32 = Register::new(3, 0, 10, 2, 0).number();
const AMAIR: u32 = Register::new(3, 0, 10, 3, 0).number();
const CONTEXTIDR: u32 = Register::new(3, 0, 13, 0, 1).number();

/// SCTLR_EL1: MMU and data caches on.
const CACHES_ON: u64 = 1 << 2 | 1;

impl Vcpu {
    /// DC ISW, CSW or CISW.
    pub(super) fn clean_by_way(&mut self) -> Next {
        if self.controls.traps & Hcr::TVM.bits() != 0 {
            return Next::Resume;
        }
        self.trap_virtual_memory(true);
        self.wants_clean = true;
        Next::Yield
    }

    /// A write to a register of virtual memory control, while those trap.
    pub(super) fn set_virtual_memory(
        &mut self,
        number: u32,
        value: u64,
    ) -> Result<Next, GuestFault> {
        match number {
            SCTLR => return Ok(self.set_sctlr(value)),
            TTBR0 => TTBR0_EL1.set(value),
            TTBR1 => TTBR1_EL1.set(value),
            TCR => TCR_EL1.set(value),
            ESR => ESR_EL1.set(value),
            FAR => FAR_EL1.set(value),
            AFSR0 => AFSR0_EL1.set(value),
            AFSR1 => AFSR1_EL1.set(value),
            MAIR => MAIR_EL1.set(value),
            AMAIR => AMAIR_EL1.set(value),
            CONTEXTIDR => CONTEXTIDR_EL1.set(value),
            _ => return Err(GuestFault::Undefined),
        }
        Ok(Next::Resume)
    }

    /// A write to SCTLR_EL1: cleans when the caches go on or off.
    fn set_sctlr(&mut self, value: u64) -> Next {
        let before = SCTLR_EL1.get() & CACHES_ON == CACHES_ON;
        let after = value & CACHES_ON == CACHES_ON;
        SCTLR_EL1.set(value);
        if after {
            self.trap_virtual_memory(false);
        }
        if before == after {
            return Next::Resume;
        }
        self.wants_clean = true;
        Next::Yield
    }

    /// Whether the partition's memory must be cleaned before the vCPU goes on.
    #[must_use]
    pub fn take_clean(&mut self) -> bool {
        core::mem::take(&mut self.wants_clean)
    }

    fn trap_virtual_memory(&mut self, on: bool) {
        let mut traps = Hcr::from_bits_retain(self.controls.traps);
        traps.set(Hcr::TVM, on);
        self.controls.traps = traps.bits();
        HCR_EL2.set(self.controls.traps | HCR_EL2.get() & super::state::SERROR);
    }
}
