// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every system register and system instruction that an encoding can name:
//! read, written with zero, ones and a random value, and put back; and returns to
//! states that are not this guest's to enter.
//! Manual: Arm ARM, "System instruction class encoding overview".

use crate::Setting;
use crate::hostile::{Instruction, generated, scratch, write};
use crate::tally::Tally;

/// MRS x0 and MSR x0 (op0 2 or 3), SYS x0 and SYSL x0 (op0 1).
const MRS: u32 = 0xd530_0000;
const MSR: u32 = 0xd510_0000;
const SYS: u32 = 0xd508_0000;
const SYSL: u32 = 0xd528_0000;

/// SVC in A32, for where AArch32 exists at EL0.
const SVC_A32: u64 = 0xef00_0000;
/// States to return to, interrupts masked: EL2, EL3, AArch32 in every mode, reserved ones, IL.
const STATES: [u64; 16] = [
    0x3c8,
    0x3c9,
    0x3cc,
    0x3cd,
    0x1d0,
    0x1d1,
    0x1d2,
    0x1d3,
    0x1d6,
    0x1d7,
    0x1da,
    0x1db,
    0x1df,
    0x3c2,
    0x3c6,
    1 << 20 | 0x3c9,
];

/// An encoding: op0 - 2, op1, CRn, CRm, op2.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Name(u32, u32, u32, u32, u32);

impl Name {
    fn bits(self) -> u32 {
        self.0 << 19 | self.1 << 16 | self.2 << 12 | self.3 << 8 | self.4 << 5
    }

    /// Registers that this guest itself stands on: changing them harms only the next probe.
    fn stands_on(self) -> bool {
        matches!(
            self,
            Name(1, 0, 1, 0, 0 | 2)  // SCTLR_EL1, CPACR_EL1
            | Name(1, 0, 4, 2, 0)    // SPSel
            | Name(1, 0, 12, 0, 0) // VBAR_EL1
        )
    }
}

fn names() -> impl Iterator<Item = Name> {
    (0..2).flat_map(|op0| {
        (0..8).flat_map(move |op1| {
            (0..16).flat_map(move |crn| {
                (0..16).flat_map(move |crm| (0..8).map(move |op2| Name(op0, op1, crn, crm, op2)))
            })
        })
    })
}

pub(super) fn run(setting: &mut Setting, tally: &mut Tally) {
    for name in names() {
        tally.count(generated(MRS | name.bits(), [0; 4]));
    }
    tally.part(format_args!("read"));
    for name in names().filter(|name| !name.stands_on()) {
        let old = generated(MRS | name.bits(), [0; 4]).value();
        for value in [0, u64::MAX, setting.random.next()] {
            tally.count(generated(MSR | name.bits(), [value, 0, 0, 0]));
            let _ = old.map(|old| generated(MSR | name.bits(), [old, 0, 0, 0]));
        }
    }
    tally.part(format_args!("write"));
    // Addresses no guest has, so that a destructive instruction finds nothing of ours.
    for name in names().filter(|name| name.0 == 0) {
        for argument in [0, 0xff_ffff_f000, 1 << 63 | 7 << 1] {
            tally.count(generated(SYS | name.bits(), [argument, 0, 0, 0]));
        }
        tally.count(generated(SYSL | name.bits(), [0; 4]));
    }
    tally.part(format_args!("instructions"));
    write(scratch(), SVC_A32);
    for state in STATES {
        tally.count(Instruction::RETURNS[0].run([scratch(), state, 0, 0]));
    }
    tally.part(format_args!("returns"));
}
