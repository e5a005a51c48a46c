// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a guest was stopped: a total decoder of `ESR_EL2`.
//!
//! It lies on the path of every synchronous exit, so it is a few shifts and
//! one match. Whatever it does not know is [`Syndrome::Other`], never a fault.
//! Arm ARM (DDI 0487), "ESR_EL2, Exception Syndrome Register (EL2)".

use crate::Size;

/// An exception taken to EL2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syndrome {
    /// EC 0: an instruction nobody knows, or a trap without a class of its own.
    Unknown,
    /// WFI or WFE, and their forms with a timeout.
    Wait {
        /// WFE or WFET.
        event: bool,
        /// WFIT or WFET: the register holds a deadline.
        timeout: bool,
    },
    /// Advanced SIMD or floating point (`CPTR_EL2.TFP`).
    FloatingPoint,
    /// SVE (`CPTR_EL2.TZ`).
    Sve,
    /// SME (`CPTR_EL2.TSM`).
    Sme,
    /// A pointer authentication instruction (`HCR_EL2.API`).
    PointerAuthentication,
    /// HVC with its immediate.
    Hvc(u16),
    /// SMC with its immediate.
    Smc(u16),
    /// MSR, MRS or a system instruction.
    SystemRegister(SystemAccess),
    /// A load or store (stage 2, or external).
    DataAbort(DataAbort),
    /// An instruction fetch.
    InstructionAbort(InstructionAbort),
    /// `PSTATE.IL` was set.
    IllegalState,
    /// PC or SP not aligned.
    Alignment,
    /// A debug exception routed to EL2: breakpoint, watchpoint, step or BRK.
    Debug,
    /// SError.
    SError,
    /// Any other exception class, by its number.
    Other(u8),
}

/// The name of a system register: `S<op0>_<op1>_C<n>_C<m>_<op2>`, packed as ESR
/// packs it, so that a `match` on constants compares once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Register(u32);

impl Register {
    /// Bits of the ISS that name the register.
    const MASK: u32 = 0x003f_fc1e;

    /// The register with these operands; operand bits beyond a field's width are dropped.
    #[must_use]
    pub const fn new(op0: u8, op1: u8, crn: u8, crm: u8, op2: u8) -> Self {
        Self(
            ((op0 as u32 & 3) << 20)
                | ((op2 as u32 & 7) << 17)
                | ((op1 as u32 & 7) << 14)
                | ((crn as u32 & 15) << 10)
                | ((crm as u32 & 15) << 1),
        )
    }

    /// The packed operands as a number.
    #[inline]
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The register with these packed operands; bits that are no operand's are dropped.
    #[inline]
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        Self(number & Self::MASK)
    }

    /// Operand op0.
    #[must_use]
    pub const fn op0(self) -> u8 {
        (self.0 >> 20 & 3) as u8
    }

    /// Operand op1.
    #[must_use]
    pub const fn op1(self) -> u8 {
        (self.0 >> 14 & 7) as u8
    }

    /// Operand CRn.
    #[must_use]
    pub const fn crn(self) -> u8 {
        (self.0 >> 10 & 15) as u8
    }

    /// Operand CRm.
    #[must_use]
    pub const fn crm(self) -> u8 {
        (self.0 >> 1 & 15) as u8
    }

    /// Operand op2.
    #[must_use]
    pub const fn op2(self) -> u8 {
        (self.0 >> 17 & 7) as u8
    }
}

/// A trapped MSR, MRS or system instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemAccess {
    /// Which register or instruction.
    pub register: Register,
    /// General-purpose register 0 to 30 that is the source or the target; 31 is XZR.
    pub transfer: u8,
    /// MSR or a system instruction, not MRS.
    pub write: bool,
}

/// A load or store that ESR describes completely (ISV = 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Bytes moved.
    pub size: Size,
    /// A load extends the sign.
    pub sign_extend: bool,
    /// General-purpose register 0 to 30; 31 is XZR.
    pub register: u8,
    /// A load fills 64 bits of its register, not 32.
    pub sixty_four: bool,
}

/// What stopped a memory access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing is mapped there, or the address is too large.
    Translation,
    /// The access flag is clear.
    AccessFlag,
    /// It is mapped without this right.
    Permission,
    /// The bus answered with an error, here or on a table walk.
    External,
    /// Anything else: alignment, TLB conflict, lockdown, unsupported atomic.
    Other(u8),
}

/// A load or store that did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataAbort {
    /// What it wanted to move, where ESR tells; otherwise see [`crate::loadstore`].
    pub access: Option<Access>,
    /// A store (also what cache maintenance and atomics report).
    pub write: bool,
    /// The walk of the guest's own tables went wrong, not the access itself.
    pub walk: bool,
    /// Cache maintenance or address translation, not a load or store.
    pub cache_maintenance: bool,
    /// What stopped it.
    pub status: Status,
    /// `FAR_EL2` holds the address.
    pub address_valid: bool,
}

impl DataAbort {
    /// Whether `HPFAR_EL2` holds the page (Arm ARM, "HPFAR_EL2"): not for a
    /// permission fault on the access itself, nor for an external abort on it.
    #[inline]
    #[must_use]
    pub const fn page_valid(&self) -> bool {
        self.walk || matches!(self.status, Status::Translation | Status::AccessFlag)
    }
}

/// A fetch that did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstructionAbort {
    /// The walk of the guest's own tables went wrong, not the fetch itself.
    pub walk: bool,
    /// What stopped it.
    pub status: Status,
    /// `FAR_EL2` holds the address.
    pub address_valid: bool,
}

/// Decodes `ESR_EL2`. Total: any value has a meaning.
#[inline(always)]
#[must_use]
pub const fn decode(esr: u64) -> Syndrome {
    let ec = (esr >> 26 & 0x3f) as u8;
    match ec {
        0x00 => Syndrome::Unknown,
        0x01 => Syndrome::Wait { event: bit(esr, 0), timeout: bit(esr, 1) },
        0x07 => Syndrome::FloatingPoint,
        0x09 => Syndrome::PointerAuthentication,
        0x0e => Syndrome::IllegalState,
        0x16 => Syndrome::Hvc((esr & 0xffff) as u16),
        0x17 => Syndrome::Smc((esr & 0xffff) as u16),
        0x18 => Syndrome::SystemRegister(system_access(esr)),
        0x19 => Syndrome::Sve,
        0x1d => Syndrome::Sme,
        0x20 => Syndrome::InstructionAbort(InstructionAbort {
            walk: bit(esr, 7),
            status: status(esr),
            address_valid: !bit(esr, 10),
        }),
        0x22 | 0x26 => Syndrome::Alignment,
        0x24 => Syndrome::DataAbort(data_abort(esr)),
        0x2f => Syndrome::SError,
        0x30 | 0x32 | 0x34 | 0x38 | 0x3c => Syndrome::Debug,
        other => Syndrome::Other(other),
    }
}

/// Exception classes below the aborts that a guest causes on purpose and often.
pub mod class {
    /// HVC.
    pub const HVC: u64 = 0x16;
    /// SMC.
    pub const SMC: u64 = 0x17;
    /// MSR, MRS or a system instruction.
    pub const SYSTEM_REGISTER: u64 = 0x18;
}

/// The exception class, if it lies below those of the aborts.
#[inline(always)]
#[must_use]
pub const fn low_class(esr: u64) -> Option<u64> {
    if bit(esr, 31) { None } else { Some(esr >> 26 & 0x1f) }
}

/// The load or store of a plain stage-2 translation fault that ESR describes
/// completely, and whether it is a store: what an emulated device is for. One
/// comparison, because it is the commonest exit of all.
#[inline(always)]
#[must_use]
pub const fn described(esr: u64) -> Option<(Access, bool)> {
    // EC, ISV, CM, S1PTW, DFSC without its level.
    const FIELDS: u64 = 0x3f << 26 | 1 << 24 | 1 << 8 | 1 << 7 | 0x3c;
    const PLAIN: u64 = 0x24 << 26 | 1 << 24 | 0b0001 << 2;
    if esr & FIELDS == PLAIN { Some((access(esr), bit(esr, 6))) } else { None }
}

/// The register access of an exception of class [`class::SYSTEM_REGISTER`].
#[inline(always)]
#[must_use]
pub const fn system_access(esr: u64) -> SystemAccess {
    SystemAccess {
        register: Register(Register::MASK & (esr & 0xffff_ffff) as u32),
        transfer: (esr >> 5 & 31) as u8,
        write: !bit(esr, 0),
    }
}

#[inline(always)]
const fn access(esr: u64) -> Access {
    Access {
        size: Size::from_log2(esr >> 22),
        sign_extend: bit(esr, 21),
        register: (esr >> 16 & 31) as u8,
        sixty_four: bit(esr, 15),
    }
}

/// Bytes of the instruction that trapped: 4, or 2 for a T32 instruction at EL0.
#[inline]
#[must_use]
pub const fn instruction_bytes(esr: u64) -> u64 {
    if bit(esr, 25) { 4 } else { 2 }
}

/// The guest-physical address of a stage-2 fault, where [`DataAbort::page_valid`]
/// holds: the page from `HPFAR_EL2`, the offset from `FAR_EL2`.
#[inline]
#[must_use]
pub const fn guest_address(far: u64, hpfar: u64) -> u64 {
    (hpfar & 0x0000_0fff_ffff_fff0) << 8 | far & 0xfff
}

#[inline]
const fn bit(value: u64, n: u32) -> bool {
    value.wrapping_shr(n) & 1 != 0
}

/// The data abort that `ESR_EL2` tells of, where its class says that it is one.
#[inline]
#[must_use]
pub const fn data_abort(esr: u64) -> DataAbort {
    let access = if bit(esr, 24) { Some(access(esr)) } else { None };
    DataAbort {
        access,
        write: bit(esr, 6),
        walk: bit(esr, 7),
        cache_maintenance: bit(esr, 8),
        status: status(esr),
        address_valid: !bit(esr, 10),
    }
}

/// Fault status codes, "DFSC" and "IFSC". Address size faults count as
/// translation faults: nothing can be mapped there.
#[inline]
const fn status(esr: u64) -> Status {
    let code = (esr & 0x3f) as u8;
    match code {
        0x00..=0x07 | 0x29 | 0x2b => Status::Translation,
        0x08..=0x0b => Status::AccessFlag,
        0x0c..=0x0f => Status::Permission,
        0x10 | 0x13..=0x17 | 0x18 | 0x1b..=0x1f => Status::External,
        other => Status::Other(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const IL: u64 = 1 << 25;

    #[test]
    fn calls_carry_their_immediate() {
        assert_eq!(decode(0x5a00_0000), Syndrome::Hvc(0));
        assert_eq!(decode(0x5e00_beef), Syndrome::Smc(0xbeef));
    }

    #[test]
    fn waits_tell_their_kind() {
        assert_eq!(decode(0x01 << 26 | IL), Syndrome::Wait { event: false, timeout: false });
        assert_eq!(decode(0x01 << 26 | IL | 1), Syndrome::Wait { event: true, timeout: false });
        assert_eq!(decode(0x01 << 26 | IL | 2), Syndrome::Wait { event: false, timeout: true });
    }

    #[test]
    fn a_trapped_register_is_named() {
        // msr icc_sgi1r_el1, x0, as QEMU reports it.
        let expected =
            SystemAccess { register: Register::new(3, 0, 12, 11, 5), transfer: 0, write: true };
        assert_eq!(decode(0x623a_3016), Syndrome::SystemRegister(expected));
        // mrs x7, id_aa64mmfr0_el1
        let iss = 3 << 20 | 7 << 5 | 7 << 1 | 1;
        let expected =
            SystemAccess { register: Register::new(3, 0, 0, 7, 0), transfer: 7, write: false };
        assert_eq!(decode(0x18 << 26 | IL | iss), Syndrome::SystemRegister(expected));
    }

    #[test]
    fn a_store_to_a_device_is_described() {
        // str w5, [x6]: ISV, SAS = 10, SRT = 5, WnR, translation fault level 3.
        let esr = 0x24 << 26 | IL | 1 << 24 | 2 << 22 | 5 << 16 | 1 << 6 | 0x07;
        let access =
            Access { size: Size::Word, sign_extend: false, register: 5, sixty_four: false };
        let Syndrome::DataAbort(abort) = decode(esr) else { panic!("a data abort") };
        assert_eq!(abort.access, Some(access));
        assert!(abort.write && abort.address_valid && abort.page_valid());
        assert_eq!(abort.status, Status::Translation);
        assert_eq!(instruction_bytes(esr), 4);
    }

    #[test]
    fn a_page_is_known_unless_the_access_itself_lacked_the_right() {
        let abort = |low: u64| {
            let Syndrome::DataAbort(abort) = decode(0x24 << 26 | low) else {
                panic!("a data abort")
            };
            (abort.status, abort.page_valid())
        };
        assert_eq!(abort(0x0f), (Status::Permission, false));
        assert_eq!(abort(0x0f | 1 << 7), (Status::Permission, true));
        assert_eq!(abort(0x09), (Status::AccessFlag, true));
        assert_eq!(abort(0x10), (Status::External, false));
        assert_eq!(abort(0x21), (Status::Other(0x21), false));
        assert_eq!(guest_address(0xffff_8000_1234_5678, 0x0000_0000_0009_0000), 0x0900_0678);
    }

    #[test]
    fn a_register_gives_back_its_operands() {
        let register = Register::new(3, 6, 14, 9, 5);
        let operands =
            (register.op0(), register.op1(), register.crn(), register.crm(), register.op2());
        assert_eq!(operands, (3, 6, 14, 9, 5));
    }

    /// The access of a plain translation fault, level 0 to 3, on a load or store.
    fn plain(esr: u64, abort: &DataAbort) -> Option<(Access, bool)> {
        let access = abort.access?;
        let plain = !abort.walk && !abort.cache_maintenance && (4..8).contains(&(esr & 0x3f));
        plain.then_some((access, abort.write))
    }

    proptest! {
        #[test]
        fn every_class_with_any_syndrome_has_a_meaning(iss: u32, high: u32) {
            for ec in 0..64u64 {
                let esr = u64::from(high) << 32 | ec << 26 | u64::from(iss) & 0x03ff_ffff;
                let found = decode(esr);
                if let Syndrome::Other(other) = found {
                    prop_assert_eq!(u64::from(other), ec);
                }
                prop_assert_eq!(low_class(esr), (ec < 0x20).then_some(ec));
                prop_assert_eq!(ec == class::HVC, matches!(found, Syndrome::Hvc(_)));
                prop_assert_eq!(ec == class::SMC, matches!(found, Syndrome::Smc(_)));
                let register = Syndrome::SystemRegister(system_access(esr));
                prop_assert_eq!(ec == class::SYSTEM_REGISTER, found == register);
                let plain =
                    if let Syndrome::DataAbort(abort) = found { plain(esr, &abort) } else { None };
                prop_assert_eq!(described(esr), plain);
                if let Syndrome::SystemRegister(access) = found {
                    let r = access.register;
                    prop_assert_eq!(r, Register::new(r.op0(), r.op1(), r.crn(), r.crm(), r.op2()));
                    prop_assert!(access.transfer < 32);
                }
                if let Syndrome::DataAbort(DataAbort { access: Some(access), .. }) = found {
                    prop_assert!(access.register < 32);
                }
            }
        }
    }
}
