// SPDX-License-Identifier: MIT OR Apache-2.0
//! A virtual GICv3: the distributor, the redistributors and the pending state
//! of one partition's interrupts, and what of it lies in list registers.

use crate::Size;

/// vCPUs of one partition at most.
pub const VCPUS: usize = 8;
/// INTIDs at most: 32 private ones of each vCPU and 256 shared ones.
pub const INTIDS: u32 = 288;
/// Bytes of the distributor's frame.
pub const DISTRIBUTOR_SIZE: u64 = 0x1_0000;
/// Bytes of one vCPU's two redistributor frames.
pub const REDISTRIBUTOR_STRIDE: u64 = 0x2_0000;

/// `ICH_HCR_EL2.En`: the virtual CPU interface works. What the register holds after reset of a vCPU.
pub const ICH_HCR_ENABLE: u64 = 1;

/// The virtual CPU interface of the vCPU that the call is about: the machine's
/// own registers while the vCPU is resident, a saved copy otherwise.
/// GIC architecture (IHI 0069), "Virtualization".
pub trait ListRegisters {
    /// List registers there are, 1 to 16 (`ICH_VTR_EL2.ListRegs + 1`).
    fn count(&self) -> usize;
    /// `ICH_LR<n>_EL2`.
    fn read(&self, n: usize) -> u64;
    /// Sets `ICH_LR<n>_EL2`.
    fn write(&mut self, n: usize, value: u64);
    /// `ICH_ELRSR_EL2`: a one for each list register without an interrupt.
    fn empty(&self) -> u32;
    /// `ICH_HCR_EL2.EOIcount`.
    fn eoi_count(&self) -> u32;
    /// Sets `ICH_HCR_EL2` (which also clears EOIcount).
    fn control(&mut self, hcr: u64);
    /// Deactivates a physical interrupt on this CPU (`ICC_DIR_EL1`).
    fn deactivate(&mut self, intid: u32);
}

/// What the caller must do after a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Outcome {
    /// vCPUs, one bit each, for which [`Vgic::refresh`] must run before their
    /// guest runs on; the caller's own may be among them.
    pub kick: u32,
    /// A shared interrupt whose route changed (see [`Vgic::route`]), or zero.
    pub rerouted: u32,
}

/// What a register read gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Reading {
    /// The value.
    pub value: u64,
    /// As [`Outcome::kick`]: vCPUs that hold a newer state of what was read.
    pub kick: u32,
}

/// Which register sent a software generated interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SgiRegister {
    /// `ICC_SGI0R_EL1`.
    Sgi0,
    /// `ICC_SGI1R_EL1`.
    Sgi1,
    /// `ICC_ASGI1R_EL1`.
    AliasSgi1,
}

/// The interrupt controller of one partition.
#[derive(Clone, Debug)]
pub struct Vgic {
    vcpus: usize,
    intids: u32,
}

impl Vgic {
    /// A controller after reset, for 1 to 8 vCPUs and up to `intids` INTIDs
    /// (a multiple of 32 from 64 to 288); values out of range are brought into it.
    #[must_use]
    pub const fn new(vcpus: usize, intids: u32) -> Self {
        Self { vcpus, intids }
    }

    /// Back to the state after reset. The caller clears the list registers and
    /// the active state of the physical interrupts that the partition owns.
    pub fn reset(&mut self) {
        *self = Self::new(self.vcpus, self.intids);
    }

    /// A guest reads the distributor. `lists` are those of `vcpu`.
    pub fn read_distributor(
        &self,
        vcpu: usize,
        offset: u64,
        size: Size,
        lists: &impl ListRegisters,
    ) -> Reading {
        let _ = (vcpu, offset, size, lists.count());
        Reading { value: 0, kick: 0 }
    }

    /// A guest writes the distributor.
    pub fn write_distributor(
        &mut self,
        vcpu: usize,
        offset: u64,
        size: Size,
        value: u64,
    ) -> Outcome {
        let _ = (vcpu, offset, size, value);
        Outcome::default()
    }

    /// A guest reads a redistributor; `offset` counts from the first vCPU's
    /// first frame. `lists` are those of `vcpu`, the reader.
    pub fn read_redistributor(
        &self,
        vcpu: usize,
        offset: u64,
        size: Size,
        lists: &impl ListRegisters,
    ) -> Reading {
        let _ = (vcpu, offset, size, lists.count());
        Reading { value: 0, kick: 0 }
    }

    /// A guest writes a redistributor; `offset` counts from the first vCPU's first frame.
    pub fn write_redistributor(
        &mut self,
        vcpu: usize,
        offset: u64,
        size: Size,
        value: u64,
    ) -> Outcome {
        let _ = (vcpu, offset, size, value);
        Outcome::default()
    }

    /// A guest writes `ICC_SGI1R_EL1` or one of its siblings.
    #[inline]
    pub fn send_sgi(&mut self, vcpu: usize, register: SgiRegister, value: u64) -> Outcome {
        let _ = (vcpu, register, value);
        Outcome::default()
    }

    /// A guest's `ICC_DIR_EL1`, which traps while an active interrupt has no list register.
    pub fn deactivate(&mut self, vcpu: usize, intid: u32) -> Outcome {
        let _ = (vcpu, intid);
        Outcome::default()
    }

    /// A device's level line rises. `vcpu` matters for private interrupts only.
    pub fn raise(&mut self, vcpu: usize, intid: u32) -> Outcome {
        let _ = (vcpu, intid);
        Outcome::default()
    }

    /// A device's level line falls.
    pub fn lower(&mut self, vcpu: usize, intid: u32) -> Outcome {
        let _ = (vcpu, intid);
        Outcome::default()
    }

    /// A device signals an edge.
    pub fn pulse(&mut self, vcpu: usize, intid: u32) -> Outcome {
        let _ = (vcpu, intid);
        Outcome::default()
    }

    /// A physical interrupt came for this partition, with the guest's INTID,
    /// on the CPU where `vcpu` is resident; its priority is dropped and it is
    /// still active. The guest's own deactivation ends it.
    #[inline]
    pub fn raise_hardware(
        &mut self,
        vcpu: usize,
        intid: u32,
        lists: &mut impl ListRegisters,
    ) -> Outcome {
        let _ = (vcpu, intid, lists.count());
        Outcome::default()
    }

    /// Brings the list registers of a vCPU up to date. Runs on its CPU: for a
    /// kick, for the maintenance interrupt, and before the vCPU first runs.
    pub fn refresh(&mut self, vcpu: usize, lists: &mut impl ListRegisters) -> Outcome {
        let _ = (vcpu, lists.count());
        Outcome::default()
    }

    /// Takes everything out of the list registers, because the vCPU goes off.
    pub fn park(&mut self, vcpu: usize, lists: &mut impl ListRegisters) -> Outcome {
        let _ = (vcpu, lists.count());
        Outcome::default()
    }

    /// The vCPU that a shared interrupt is routed to; `None` for one that is absent.
    #[must_use]
    pub fn route(&self, intid: u32) -> Option<usize> {
        let _ = intid;
        None
    }
}
