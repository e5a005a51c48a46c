// SPDX-License-Identifier: MIT OR Apache-2.0
//! A virtual GICv3: the distributor, the redistributors and the pending state
//! of one partition's interrupts, and which of them lie in list registers.
//!
//! ```text
//!  devices, SGIs ──> banks: latch, level ──refresh──> list registers ──> guest acknowledges
//!  physical IRQ ───────────raise_hardware (fast) ────────^   │
//!  guest's GICD, GICR accesses <──> banks <──────fold────────┘ empty, active, still pending
//! ```
//! The guest sees one security state with affinity routing (`GICD_CTLR` DS and
//! ARE always one), five bits of priority, no LPIs, no 1-of-N. Reserved
//! registers and sizes the architecture does not permit read zero and ignore
//! writes. List registers are live in the machine while their vCPU runs: only
//! [`Vgic::refresh`], [`Vgic::raise_hardware`] and [`Vgic::park`] write them, on that CPU.
//!
//! Invariants: an interrupt is in at most one list register; whatever is ready
//! and not resident has been announced in [`Outcome::kick`] or is covered by a
//! maintenance interrupt; if any ready interrupt does not fit, at least one
//! list register is pending, so that "no pending" comes late, not at once.
//!
//! Two things the model leaves to the guest: a shared interrupt is deactivated
//! by the vCPU that acknowledged it, and a group disabled at the CPU interface
//! while more of its interrupts wait than there are list registers delays the
//! other group. GIC architecture (IHI 0069), "Distribution and routing of
//! interrupts", "Virtual interrupt handling and prioritization".

mod bank;
mod choose;
mod frames;
mod lines;
mod lists;
mod registers;

use bank::{Bank, Bits, Cpu, DIRTY, Groups, bit};

/// vCPUs of one partition at most.
pub const VCPUS: usize = 8;
/// INTIDs at most: 32 private ones of each vCPU and 256 shared ones.
pub const INTIDS: u32 = 288;
/// Bytes of the distributor's frame.
pub const DISTRIBUTOR_SIZE: u64 = 0x1_0000;
/// Bytes of one vCPU's two redistributor frames.
pub const REDISTRIBUTOR_STRIDE: u64 = 0x2_0000;

/// `ICH_HCR_EL2.En`: what the register holds while all interrupts fit.
pub const ICH_HCR_ENABLE: u64 = 1;

/// The virtual CPU interface of the vCPU that a call is about: the machine's
/// own registers while it is resident, a saved copy otherwise.
/// IHI 0069, "Virtual interface control system registers".
pub trait ListRegisters {
    /// List registers there are, 1 to 16 (`ICH_VTR_EL2.ListRegs + 1`).
    fn count(&self) -> usize;
    /// `ICH_LR<n>_EL2`.
    fn read(&self, n: usize) -> u64;
    /// Sets `ICH_LR<n>_EL2`.
    fn write(&mut self, n: usize, value: u64);
    /// `ICH_ELRSR_EL2`: a one for each list register without an interrupt.
    fn empty(&self) -> u32;
    /// `ICH_EISR_EL2`: a one for each list register whose interrupt ended with notice.
    fn ended(&self) -> u32;
    /// `ICH_HCR_EL2.EOIcount`.
    fn eoi_count(&self) -> u32;
    /// Sets `ICH_HCR_EL2`, whose EOIcount becomes zero.
    fn control(&mut self, hcr: u64);
    /// Deactivates a physical interrupt on this CPU (`ICC_DIR_EL1`).
    fn deactivate(&mut self, intid: u32);
}

/// Whether an interrupt waits in a list register: what ends a wait for
/// interrupts, once [`Vgic::refresh`] has run.
#[must_use]
pub fn has_pending(lists: &impl ListRegisters) -> bool {
    (0..lists.count().min(16)).any(|n| lists::is_pending(lists.read(n)))
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

impl Outcome {
    #[inline(always)]
    const fn of(kick: u32) -> Self {
        Self { kick, rerouted: 0 }
    }
}

/// What a register read gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Reading {
    /// The value.
    pub value: u64,
    /// As [`Outcome::kick`]: vCPUs that hold a newer state of what was read.
    /// The value is the last one known; a guest that polls sees the new one soon.
    pub kick: u32,
}

impl Reading {
    #[inline(always)]
    const fn of(value: u64) -> Self {
        Self { value, kick: 0 }
    }
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
    vcpus: u32,
    /// All vCPUs, one bit each.
    everyone: u8,
    intids: u32,
    groups: Groups,
    /// Private interrupts of vCPU 0 to 7, then shared ones from INTID 32 on.
    banks: [Bank; 16],
    cpus: [Cpu; VCPUS],
    /// `GICD_IROUTER<n>` from n = 32 on.
    routes: [u64; 256],
}

impl Vgic {
    /// A controller after reset, for 1 to 8 vCPUs and up to `intids` INTIDs
    /// (a multiple of 32 from 64 to 288); values out of range are brought into it.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "at most 8")]
    pub const fn new(vcpus: usize, intids: u32) -> Self {
        let vcpus = match vcpus {
            0 => 1,
            1..=VCPUS => vcpus as u32,
            _ => VCPUS as u32,
        };
        let intids = match intids & !31 {
            0..=63 => 64,
            rounded @ 64..=INTIDS => rounded,
            _ => INTIDS,
        };
        // SGIs are edge-triggered; all else starts level-sensitive.
        const P: Bank = Bank::new(0x0000_ffff);
        const S: Bank = Bank::new(0);
        // A route of zero names vCPU 0.
        const FIRST: Cpu = Cpu::new(u32::MAX);
        const OTHER: Cpu = Cpu::new(0);
        Self {
            vcpus,
            everyone: everyone(vcpus),
            intids,
            groups: Groups { zero: 0, one: 0 },
            banks: [P, P, P, P, P, P, P, P, S, S, S, S, S, S, S, S],
            cpus: [FIRST, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER],
            routes: [0; 256],
        }
    }

    /// Back to the state after reset. The caller clears the list registers and
    /// the active state of the physical interrupts that the partition owns.
    pub fn reset(&mut self) {
        *self = Self::new(self.vcpus as usize, self.intids);
    }

    /// The vCPU that a shared interrupt is routed to; `None` for one that is absent.
    #[must_use]
    pub fn route(&self, intid: u32) -> Option<usize> {
        let b = self.locate(0, intid)?;
        let w = word(b)?;
        (0..self.vcpus as usize).find(|&v| self.cpu(v).routed(w) & bit(intid) != 0)
    }

    /// The bank of an INTID as `vcpu` sees it, if the INTID exists.
    #[inline(always)]
    const fn locate(&self, vcpu: usize, intid: u32) -> Option<usize> {
        if intid < self.intids { Some(bank_index(vcpu, intid)) } else { None }
    }

    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "the index is masked to the array's length")]
    const fn bank(&self, b: usize) -> &Bank {
        &self.banks[b & 15]
    }

    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "the index is masked to the array's length")]
    const fn bank_mut(&mut self, b: usize) -> &mut Bank {
        &mut self.banks[b & 15]
    }

    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "the index is masked to the array's length")]
    const fn cpu(&self, v: usize) -> &Cpu {
        &self.cpus[v & 7]
    }

    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "the index is masked to the array's length")]
    const fn cpu_mut(&mut self, v: usize) -> &mut Cpu {
        &mut self.cpus[v & 7]
    }

    /// Interrupts `mask` of bank `b` may have become deliverable: names the
    /// vCPUs that must look, those they are routed to and those that hold them.
    fn announce(&mut self, b: usize, mask: u32) -> u32 {
        if mask == 0 {
            return 0;
        }
        let Some(w) = word(b) else { return vcpu_bit(b) };
        let mut kick = 0;
        for v in Bits(self.everyone.into()) {
            let cpu = self.cpu_mut(v as usize);
            if (cpu.routed(w) | cpu.held(w)) & mask != 0 {
                cpu.shared |= vcpu_bit(w);
                kick |= bit(v);
            }
        }
        kick
    }

    /// Something about interrupts `mask` of bank `b` changed: those that are
    /// resident must be folded by the vCPUs that hold them.
    fn disturb(&mut self, b: usize, mask: u32) -> u32 {
        let mask = mask & self.bank(b).resident;
        if mask == 0 {
            return 0;
        }
        let Some(w) = word(b) else {
            self.cpu_mut(b).special |= DIRTY;
            return vcpu_bit(b);
        };
        let mut kick = 0;
        for v in Bits(self.everyone.into()) {
            let cpu = self.cpu_mut(v as usize);
            if cpu.held(w) & mask != 0 {
                cpu.special |= DIRTY;
                kick |= bit(v);
            }
        }
        kick
    }
}

/// So many vCPUs, one bit each.
#[expect(clippy::cast_possible_truncation, reason = "vCPUs are at most eight")]
const fn everyone(vcpus: u32) -> u8 {
    bit(vcpus).wrapping_sub(1) as u8
}

/// The word of shared interrupts that bank `b` is, unless it is private.
#[inline(always)]
const fn word(b: usize) -> Option<usize> {
    if b & 8 != 0 { Some(b & 7) } else { None }
}

/// A number below eight.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "three bits remain")]
const fn low_three(n: usize) -> u32 {
    (n & 7) as u32
}

/// A vCPU, or the vCPU whose private bank this is, as a bit.
#[inline(always)]
const fn vcpu_bit(b: usize) -> u32 {
    1u32.wrapping_shl(low_three(b))
}

/// The bank of an INTID below [`INTIDS`] as `vcpu` sees it.
#[inline(always)]
const fn bank_index(vcpu: usize, intid: u32) -> usize {
    if intid < 32 { vcpu & 7 } else { (intid >> 5).wrapping_add(7) as usize & 15 }
}

/// The INTID of a bank's first interrupt.
#[inline(always)]
const fn first_intid(b: usize) -> u32 {
    match word(b) {
        Some(w) => low_three(w).wrapping_add(1) << 5,
        None => 0,
    }
}
