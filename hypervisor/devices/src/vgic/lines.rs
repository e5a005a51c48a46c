// SPDX-License-Identifier: MIT OR Apache-2.0
//! How interrupts come: from devices, from vCPUs, from the machine.
//! IHI 0069, "Interrupt states", "Routing SPIs and SGIs by PE affinity",
//! "ICC_SGI1R_EL1".

use super::bank::{Bits, bit};
use super::{ListRegisters, Outcome, SgiRegister, Vgic, bank_index, lists, vcpu_bit, word};

/// Fields of ICC_SGI1R_EL1 that must be zero to name a vCPU of ours: Aff3, RS, Aff2, Aff1.
const SGI_AFFINITY: u64 = 0x00ff_f0ff_00ff_0000;
/// `IRM`: all but the sender.
const SGI_OTHERS: u64 = 1 << 40;

impl Vgic {
    /// A guest writes `ICC_SGI1R_EL1` or one of its siblings. With one security
    /// state, SGI0R and ASGI1R reach SGIs of group 0 and SGI1R those of group 1.
    #[inline(always)]
    pub fn send_sgi(&mut self, vcpu: usize, register: SgiRegister, value: u64) -> Outcome {
        let sgi = bit((value >> 24 & 15) as u32);
        let everyone = u32::from(self.everyone);
        let targets = match value & (SGI_OTHERS | SGI_AFFINITY) {
            0 => (value & 0xffff_ffff) as u32 & everyone,
            odd if odd & SGI_OTHERS != 0 => everyone & !vcpu_bit(vcpu),
            _ => 0,
        };
        let flip = match register {
            SgiRegister::Sgi1 => 0,
            SgiRegister::Sgi0 | SgiRegister::AliasSgi1 => sgi,
        };
        let mut kick = 0;
        for target in Bits(targets) {
            let bank = self.bank_mut(target as usize & 7);
            let sent = (bank.group ^ flip) & sgi;
            bank.latch |= sent;
            if sent & bank.open != 0 {
                kick |= bit(target);
            }
        }
        Outcome::of(kick)
    }

    /// A device's level line rises. `vcpu` matters for private interrupts only.
    pub fn raise(&mut self, vcpu: usize, intid: u32) -> Outcome {
        let Some(b) = self.locate(vcpu, intid) else { return Outcome::default() };
        let line = bit(intid);
        let bank = self.bank_mut(b);
        if bank.level & line != 0 {
            return Outcome::default();
        }
        bank.level |= line;
        bank.latch |= line & bank.edge;
        let ready = bank.ready() & line;
        Outcome::of(self.announce(b, ready) | self.disturb(b, line))
    }

    /// A device's level line falls.
    pub fn lower(&mut self, vcpu: usize, intid: u32) -> Outcome {
        let Some(b) = self.locate(vcpu, intid) else { return Outcome::default() };
        let bank = self.bank_mut(b);
        let fell = bank.level & bit(intid);
        bank.level &= !fell;
        Outcome::of(self.disturb(b, fell))
    }

    /// A device signals an edge.
    pub fn pulse(&mut self, vcpu: usize, intid: u32) -> Outcome {
        let Some(b) = self.locate(vcpu, intid) else { return Outcome::default() };
        let bank = self.bank_mut(b);
        bank.latch |= bit(intid);
        let ready = bank.ready() & bit(intid);
        Outcome::of(self.announce(b, ready))
    }

    /// A guest's `ICC_DIR_EL1`, which traps while an active interrupt has no list register.
    pub fn deactivate(&mut self, vcpu: usize, intid: u32) -> Outcome {
        let Some(b) = self.locate(vcpu, intid) else { return Outcome::default() };
        Outcome::of(self.clear_active(vcpu, b, bit(intid)))
    }

    /// A physical interrupt came for this partition, with the guest's INTID,
    /// on the CPU where `vcpu` is resident; its priority is dropped and it is
    /// still active. The guest's own deactivation ends it.
    ///
    /// The fast path is that of a timer: this interrupt was the last one in its
    /// list register, which is empty again, and nothing about it has changed.
    #[inline(always)]
    pub fn raise_hardware(
        &mut self,
        vcpu: usize,
        intid: u32,
        lists: &mut impl ListRegisters,
    ) -> Outcome {
        let cpu = self.cpu(vcpu);
        let home = cpu.home(intid);
        let last = cpu.slot(home);
        let same = (last ^ lists::hardware_pending(intid)) & !lists::ATTRIBUTES == 0;
        if same && cpu.special == 0 && lists.empty().wrapping_shr(home) & 1 != 0 {
            lists.write(home as usize, last);
            return Outcome::default();
        }
        self.raise_hardware_slowly(vcpu, intid, lists)
    }

    #[inline(never)]
    fn raise_hardware_slowly(
        &mut self,
        vcpu: usize,
        intid: u32,
        lists: &mut impl ListRegisters,
    ) -> Outcome {
        if intid >= self.intids {
            lists.deactivate(intid);
            return Outcome::default();
        }
        let b = bank_index(vcpu, intid);
        let bank = self.bank_mut(b);
        bank.latch |= bit(intid);
        bank.hardware |= bit(intid);
        let ready = bank.ready() & bit(intid);
        let here = word(b).is_none_or(|w| self.cpu(vcpu).routed(w) & bit(intid) != 0);
        let mut kick = self.announce(b, ready);
        if here && ready != 0 {
            kick &= !vcpu_bit(vcpu);
            kick |= self.refresh(vcpu, lists).kick;
        }
        Outcome::of(kick)
    }
}
