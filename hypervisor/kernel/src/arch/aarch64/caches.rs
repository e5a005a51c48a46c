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
use super::sysreg::{mrs, msr};
use super::vcpu::Vcpu;
use crate::fault::GuestFault;
use crate::run::Next;
use devices::esr::Register;

const SCTLR_EL1: u32 = Register::new(3, 0, 1, 0, 0).number();
const TTBR0_EL1: u32 = Register::new(3, 0, 2, 0, 0).number();
const TTBR1_EL1: u32 = Register::new(3, 0, 2, 0, 1).number();
const TCR_EL1: u32 = Register::new(3, 0, 2, 0, 2).number();
const ESR_EL1: u32 = Register::new(3, 0, 5, 2, 0).number();
const FAR_EL1: u32 = Register::new(3, 0, 6, 0, 0).number();
const AFSR0_EL1: u32 = Register::new(3, 0, 5, 1, 0).number();
const AFSR1_EL1: u32 = Register::new(3, 0, 5, 1, 1).number();
const MAIR_EL1: u32 = Register::new(3, 0, 10, 2, 0).number();
const AMAIR_EL1: u32 = Register::new(3, 0, 10, 3, 0).number();
const CONTEXTIDR_EL1: u32 = Register::new(3, 0, 13, 0, 1).number();

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
            SCTLR_EL1 => return Ok(self.set_sctlr(value)),
            TTBR0_EL1 => msr!("ttbr0_el1", value),
            TTBR1_EL1 => msr!("ttbr1_el1", value),
            TCR_EL1 => msr!("tcr_el1", value),
            ESR_EL1 => msr!("esr_el1", value),
            FAR_EL1 => msr!("far_el1", value),
            AFSR0_EL1 => msr!("afsr0_el1", value),
            AFSR1_EL1 => msr!("afsr1_el1", value),
            MAIR_EL1 => msr!("mair_el1", value),
            AMAIR_EL1 => msr!("amair_el1", value),
            CONTEXTIDR_EL1 => msr!("contextidr_el1", value),
            _ => return Err(GuestFault::Undefined),
        }
        Ok(Next::Resume)
    }

    /// A write to SCTLR_EL1: cleans when the caches go on or off.
    fn set_sctlr(&mut self, value: u64) -> Next {
        let before = mrs!("sctlr_el1") & CACHES_ON == CACHES_ON;
        let after = value & CACHES_ON == CACHES_ON;
        msr!("sctlr_el1", value);
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
        msr!("hcr_el2", self.controls.traps);
    }
}
