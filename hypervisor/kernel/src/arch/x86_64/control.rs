// SPDX-License-Identifier: MIT OR Apache-2.0
//! Control registers, EFER and XCR0: what a guest may put there. A feature that
//! it does not see in CPUID cannot be turned on.
//!
//! Intel SDM, volume 3: "Control Registers", "Extended Feature Enable Register";
//! AMD APM, volume 2: "CR4 Register".

use super::float;
use super::state::{CR0_PG, CR4_PAE, EFER_LMA, EFER_LME, exception};
use super::sysreg::cpuid;
use super::vcpu::{Vcpu, each};
use crate::exit::Exit;
use devices::apic::GeneralProtection;
use spin::Once;

/// VME, PVI, TSD, DE, PSE, PAE, MCE, PGE, PCE, OSFXSR, OSXMMEXCPT.
const CR4_COMMON: u64 = 0x7ff;
const CR4_UMIP: u64 = 1 << 11;
const CR4_FSGSBASE: u64 = 1 << 16;
const CR4_PCIDE: u64 = 1 << 17;
const CR4_OSXSAVE: u64 = 1 << 18;
const CR4_SMEP: u64 = 1 << 20;
const CR4_SMAP: u64 = 1 << 21;
/// SCE, LME, NXE.
const EFER_WRITABLE: u64 = 1 | EFER_LME | 1 << 11;

/// Bits of CR4 that guests of this machine may set.
pub(super) fn cr4_allowed() -> u64 {
    let (one, seven) = (cpuid(1, 0), cpuid(7, 0));
    let has = |register: u32, bit: u32, cr4: u64| if register & 1 << bit != 0 { cr4 } else { 0 };
    CR4_COMMON
        | has(one.ecx, 17, CR4_PCIDE)
        | has(one.ecx, 26, CR4_OSXSAVE)
        | has(seven.ebx, 0, CR4_FSGSBASE)
        | has(seven.ebx, 7, CR4_SMEP)
        | has(seven.ebx, 20, CR4_SMAP)
        | has(seven.ecx, 2, CR4_UMIP)
}

/// Components of XCR0 that guests of this machine may use.
#[inline]
pub(super) fn components() -> u64 {
    static COMPONENTS: Once<u64> = Once::new();
    *COMPONENTS.call_once(float::components)
}

/// The general register of a MOV to or from a control register, from its bytes: behind the
/// prefixes comes 0F 20 or 0F 22 and a ModRM byte.
pub(super) fn operand(bytes: &[u8]) -> Option<u8> {
    let at = bytes.windows(2).position(|pair| matches!(pair, [0x0f, 0x20 | 0x22]))?;
    let (before, opcode) = bytes.split_at_checked(at)?;
    let rex = before.last().filter(|last| **last & 0xf0 == 0x40).copied().unwrap_or(0);
    opcode.get(2).map(|modrm| modrm & 7 | (rex & 1) << 3)
}

impl Vcpu {
    /// MOV from a control register that is not the guest's own.
    pub(super) fn read_control(&mut self, control: u8, register: u8) -> Exit {
        let value = match control {
            8 => self.apic.cr8(),
            _ => return self.raise(exception::UNDEFINED),
        };
        self.set(register, value);
        self.done()
    }

    /// MOV to one.
    pub(super) fn write_control(&mut self, control: u8, register: u8) -> Exit {
        let value = self.get(register);
        let valid = match control {
            0 => each!(mut self, guest => guest.write_cr0(value)),
            4 => self.write_cr4(value),
            8 => {
                self.look();
                self.apic.set_cr8(value).is_ok()
            }
            _ => return self.raise(exception::UNDEFINED),
        };
        if valid { self.done() } else { self.raise(exception::PROTECTION) }
    }

    fn write_cr4(&mut self, value: u64) -> bool {
        let view = self.view();
        let long = view.efer & EFER_LMA != 0;
        let turns_on = value & !view.cr4;
        if value & !cr4_allowed() != 0
            || long && value & CR4_PAE == 0
            || !long && value & CR4_PCIDE != 0
            || turns_on & CR4_PCIDE != 0 && view.cr3 & 0xfff != 0
        {
            return false;
        }
        each!(mut self, guest => guest.set_cr4(value));
        true
    }

    /// XSETBV.
    pub(super) fn set_components(&mut self) -> Exit {
        let value = self.registers[2] << 32 | self.registers[0] & 0xffff_ffff;
        if self.registers[1] as u32 != 0 || !float::is_valid(value) {
            return self.raise(exception::PROTECTION);
        }
        float::set_xcr0(value);
        self.done()
    }

    /// Writes EFER. LMA follows paging, and is the CPU's.
    pub(super) fn write_efer(&mut self, value: u64) -> Result<(), GeneralProtection> {
        let view = self.view();
        let changes = (value ^ view.efer) & EFER_LME != 0;
        if value & !(EFER_WRITABLE | EFER_LMA) != 0 || changes && view.cr0 & CR0_PG != 0 {
            return Err(GeneralProtection);
        }
        let new = value & EFER_WRITABLE | view.efer & EFER_LMA;
        each!(mut self, guest => guest.set_efer(new));
        Ok(())
    }
}
