// SPDX-License-Identifier: MIT OR Apache-2.0
//! System registers that trap: what they read, what a write does. A register
//! that is not here is undefined to the guest.

use super::hide;
use super::sysreg::mrs;
use super::vcpu::Vcpu;
use crate::fault::GuestFault;
use crate::run::{Answer, Next};
use aarch64_cpu::registers::{ACTLR_EL1, Readable};
use devices::esr::Register;
use devices::idregs;

pub(super) const ICC_SGI1R: u32 = Register::new(3, 0, 12, 11, 5).number();
pub(super) const ICC_ASGI1R: u32 = Register::new(3, 0, 12, 11, 6).number();
pub(super) const ICC_SGI0R: u32 = Register::new(3, 0, 12, 11, 7).number();
pub(super) const ICC_DIR: u32 = Register::new(3, 0, 12, 11, 1).number();
const CPACR: u32 = Register::new(3, 0, 1, 0, 2).number();
const REVIDR: u32 = Register::new(3, 0, 0, 0, 6).number();
const AIDR: u32 = Register::new(3, 1, 0, 0, 7).number();
const ACTLR: u32 = Register::new(3, 0, 1, 0, 1).number();
const DC_ISW: u32 = Register::new(1, 0, 7, 6, 2).number();
const DC_CSW: u32 = Register::new(1, 0, 7, 10, 2).number();
const DC_CISW: u32 = Register::new(1, 0, 7, 14, 2).number();

/// What a register of the CPU itself reads.
#[inline(never)]
pub(super) fn read(number: u32) -> Result<u64, GuestFault> {
    let register = Register::from_number(number);
    match number {
        ACTLR => Ok(ACTLR_EL1.get()),
        CPACR => Ok(hide::coprocessors()),
        REVIDR => Ok(mrs!("revidr_el1")),
        AIDR => Ok(mrs!("aidr_el1")),
        _ if is_identity(register) => Ok(idregs::visible(register, host(register))),
        _ => Err(GuestFault::Undefined),
    }
}

/// A write to one, or a system instruction.
#[inline(never)]
pub(super) fn write(number: u32, value: u64, vcpu: &mut Vcpu) -> Answer {
    match number {
        DC_ISW | DC_CSW | DC_CISW => Ok(vcpu.clean_by_way()),
        ACTLR => Ok(Next::Resume),
        CPACR => {
            hide::set_coprocessors(value);
            Ok(Next::Resume)
        }
        number => vcpu.set_virtual_memory(number, value),
    }
}

/// Whether a register is one of those that identify the CPU's features
/// (Arm ARM, "System register encoding", op0 = 3, op1 = 0, CRn = 0, CRm = 1 to 7).
fn is_identity(register: Register) -> bool {
    (register.op0(), register.op1(), register.crn()) == (3, 0, 0)
        && (1..=7).contains(&register.crm())
}

/// What such a register reads on this CPU; reserved ones read zero there too.
fn host(register: Register) -> u64 {
    match (register.crm(), register.op2()) {
        (1, 0) => mrs!("s3_0_c0_c1_0"),
        (1, 1) => mrs!("s3_0_c0_c1_1"),
        (1, 2) => mrs!("s3_0_c0_c1_2"),
        (1, 3) => mrs!("s3_0_c0_c1_3"),
        (1, 4) => mrs!("s3_0_c0_c1_4"),
        (1, 5) => mrs!("s3_0_c0_c1_5"),
        (1, 6) => mrs!("s3_0_c0_c1_6"),
        (1, 7) => mrs!("s3_0_c0_c1_7"),
        (2, 0) => mrs!("s3_0_c0_c2_0"),
        (2, 1) => mrs!("s3_0_c0_c2_1"),
        (2, 2) => mrs!("s3_0_c0_c2_2"),
        (2, 3) => mrs!("s3_0_c0_c2_3"),
        (2, 4) => mrs!("s3_0_c0_c2_4"),
        (2, 5) => mrs!("s3_0_c0_c2_5"),
        (2, 6) => mrs!("s3_0_c0_c2_6"),
        (2, 7) => mrs!("s3_0_c0_c2_7"),
        (3, 0) => mrs!("s3_0_c0_c3_0"),
        (3, 1) => mrs!("s3_0_c0_c3_1"),
        (3, 2) => mrs!("s3_0_c0_c3_2"),
        (3, 3) => mrs!("s3_0_c0_c3_3"),
        (3, 4) => mrs!("s3_0_c0_c3_4"),
        (3, 5) => mrs!("s3_0_c0_c3_5"),
        (3, 6) => mrs!("s3_0_c0_c3_6"),
        (3, 7) => mrs!("s3_0_c0_c3_7"),
        (4, 0) => mrs!("s3_0_c0_c4_0"),
        (4, 1) => mrs!("s3_0_c0_c4_1"),
        (4, 2) => mrs!("s3_0_c0_c4_2"),
        (4, 3) => mrs!("s3_0_c0_c4_3"),
        (4, 4) => mrs!("s3_0_c0_c4_4"),
        (4, 5) => mrs!("s3_0_c0_c4_5"),
        (4, 6) => mrs!("s3_0_c0_c4_6"),
        (4, 7) => mrs!("s3_0_c0_c4_7"),
        (5, 0) => mrs!("s3_0_c0_c5_0"),
        (5, 1) => mrs!("s3_0_c0_c5_1"),
        (5, 2) => mrs!("s3_0_c0_c5_2"),
        (5, 3) => mrs!("s3_0_c0_c5_3"),
        (5, 4) => mrs!("s3_0_c0_c5_4"),
        (5, 5) => mrs!("s3_0_c0_c5_5"),
        (5, 6) => mrs!("s3_0_c0_c5_6"),
        (5, 7) => mrs!("s3_0_c0_c5_7"),
        (6, 0) => mrs!("s3_0_c0_c6_0"),
        (6, 1) => mrs!("s3_0_c0_c6_1"),
        (6, 2) => mrs!("s3_0_c0_c6_2"),
        (6, 3) => mrs!("s3_0_c0_c6_3"),
        (6, 4) => mrs!("s3_0_c0_c6_4"),
        (6, 5) => mrs!("s3_0_c0_c6_5"),
        (6, 6) => mrs!("s3_0_c0_c6_6"),
        (6, 7) => mrs!("s3_0_c0_c6_7"),
        (7, 0) => mrs!("s3_0_c0_c7_0"),
        (7, 1) => mrs!("s3_0_c0_c7_1"),
        (7, 2) => mrs!("s3_0_c0_c7_2"),
        (7, 3) => mrs!("s3_0_c0_c7_3"),
        (7, 4) => mrs!("s3_0_c0_c7_4"),
        (7, 5) => mrs!("s3_0_c0_c7_5"),
        (7, 6) => mrs!("s3_0_c0_c7_6"),
        (7, 7) => mrs!("s3_0_c0_c7_7"),
        _ => 0,
    }
}
