// SPDX-License-Identifier: MIT OR Apache-2.0
//! Instructions of VMX and SVM, and others that belong to monitors and
//! firmware; software interrupts through every vector.

use super::places;
use crate::Setting;
use crate::hostile::{Instruction, generated, scratch};
use crate::tally::Tally;
use guest_rt::machine::call::under_bulkhead;

/// SVM's enable bit in EFER, and VMX's in CR4.
const EFER: u64 = 0xc000_0080;
const EFER_SVME: u64 = 1 << 12;
const CR4_VMXE: u64 = 1 << 13;

pub(super) fn run(setting: &mut Setting, tally: &mut Tally) {
    let far = places::far(setting);
    let efer = Instruction::READ_MSR.run([EFER, 0, 0, 0]).value().unwrap_or(0);
    let [read, write] = [&Instruction::READ_CONTROL[3], &Instruction::WRITE_CONTROL[3]];
    let cr4 = read.run([0; 4]).value().unwrap_or(0);
    if under_bulkhead() {
        tally.count(Instruction::WRITE_MSR.run([EFER, efer | EFER_SVME, 0, 0]));
        tally.count(write.run([0, cr4 | CR4_VMXE, 0, 0]));
        tally.part(format_args!("turning them on"));
    }
    for instruction in Instruction::MONITORS {
        if waits(instruction.text) && !under_bulkhead() {
            continue;
        }
        let own = [0, 1, 2, 0x1000, scratch() + 0x4000, u64::MAX, 1 << 63];
        for argument in own.into_iter().chain(far.iter().map(|place| place.address)) {
            tally.count(instruction.run([argument, setting.random.next(), 0, 0]));
        }
        tally.part(format_args!("{}", instruction.text));
    }
    for vector in (0..=0xff_u8).filter(|&vector| !has_error_code(vector)) {
        tally.count(generated(&[0xcd, vector], [0; 4]));
    }
    tally.part(format_args!("int n"));
}

/// Whether it waits for an interrupt where nobody forbids it.
fn waits(text: &str) -> bool {
    text.contains("mwait") || text.contains("vmrun") || text.contains("skinit")
}

/// Whether the runtime's entry expects an error code, which INT n does not push.
fn has_error_code(vector: u8) -> bool {
    matches!(vector, 8 | 10..=14 | 17 | 21 | 29 | 30)
}
