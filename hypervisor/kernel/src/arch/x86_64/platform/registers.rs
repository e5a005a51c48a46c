// SPDX-License-Identifier: MIT OR Apache-2.0
//! Model-specific registers that exit, beside x2APIC's: what they read and what
//! a write does, as the table in `devices::x86::msr` says.

use super::super::features::{self, Maker};
use super::super::sysreg::rdmsr;
use super::super::time;
use super::super::vcpu::{Vcpu, each};
use super::{Platform, arm};
use crate::exit::{Direction, RegisterAccess};
use crate::fault::GuestFault;
use crate::partition::Partition;
use crate::run::Next;
use devices::x86::Vendor;
use devices::x86::msr::{self, Register, Rule};

impl Platform {
    /// An access to such a register.
    #[inline(never)]
    pub(super) fn rare_register(
        &self,
        access: RegisterAccess,
        vcpu: &mut Vcpu,
        partition: &Partition,
    ) -> Result<(u64, Next), GuestFault> {
        let vendor = match features::maker() {
            Some(Maker::Intel) => Vendor::Intel,
            _ => Vendor::Amd,
        };
        let writes = matches!(access.direction, Direction::Write(_));
        let value = match msr::rule(access.number, vendor) {
            Rule::Constant(value) => value,
            Rule::ReadOnly(value) if !writes => value,
            Rule::Emulate(register) => match access.direction {
                Direction::Read => self.read(register, vcpu),
                Direction::Write(value) => {
                    self.write(register, value, vcpu, partition)?;
                    0
                }
            },
            Rule::Pass | Rule::ReadOnly(_) | Rule::Fault => return Err(GuestFault::Undefined),
        };
        Ok((value, Next::Resume))
    }

    /// What an emulated register reads.
    fn read(&self, register: Register, vcpu: &mut Vcpu) -> u64 {
        match register {
            Register::Tsc => time::now().wrapping_add(each!(vcpu, guest => guest.tsc_offset())),
            Register::TscAdjust => each!(vcpu, guest => guest.tsc_offset()),
            Register::ApicBase => vcpu.apic.base(),
            Register::TscDeadline => vcpu.apic.tsc_deadline(),
            Register::Apic => 0,
            Register::Efer => each!(vcpu, guest => guest.efer()),
            Register::Pat => each!(vcpu, guest => guest.pat()),
            Register::MiscEnable => msr::misc_enable(rdmsr(msr::MISC_ENABLE)),
        }
    }

    /// A write to one.
    fn write(
        &self,
        register: Register,
        value: u64,
        vcpu: &mut Vcpu,
        partition: &Partition,
    ) -> Result<(), GuestFault> {
        let undefined = |_| GuestFault::Undefined;
        match register {
            Register::Tsc => set_tsc_offset(value.wrapping_sub(time::now()), vcpu),
            Register::TscAdjust => set_tsc_offset(value, vcpu),
            Register::ApicBase => {
                let effect = vcpu.apic.set_base(value).map_err(undefined)?;
                vcpu.apic_changed();
                self.carry_out(effect, vcpu, partition);
            }
            Register::TscDeadline => {
                let effect = vcpu.apic.set_tsc_deadline(value);
                self.carry_out(effect, vcpu, partition);
            }
            Register::Apic | Register::MiscEnable => {}
            Register::Efer => vcpu.write_efer(value).map_err(undefined)?,
            Register::Pat if is_pat(value) => each!(mut vcpu, guest => guest.set_pat(value)),
            Register::Pat => return Err(GuestFault::Undefined),
        }
        Ok(())
    }
}

/// The guest's TSC is ahead of the machine's by this.
fn set_tsc_offset(offset: u64, vcpu: &mut Vcpu) {
    each!(mut vcpu, guest => guest.set_tsc_offset(offset));
    vcpu.apic.set_tsc_offset(offset);
    arm(vcpu);
}

/// Whether each byte is a memory type (Intel SDM, "IA32_PAT MSR").
fn is_pat(value: u64) -> bool {
    value.to_le_bytes().iter().all(|kind| matches!(kind, 0 | 1 | 4..=7))
}
