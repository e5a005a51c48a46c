// SPDX-License-Identifier: MIT OR Apache-2.0
//! Control, debug and extended control registers and EFER, with each bit
//! turned over, and with hostile values; put back after each.
//! Manual: Intel SDM, "Control Registers", "Extended Control Registers".

use crate::Setting;
use crate::hostile::{Instruction, generated};
use crate::tally::Tally;
use guest_rt::machine::call::{is_amd, under_bulkhead};

const EFER: u64 = 0xc000_0080;
/// Places among the registers.
const CR3: usize = 2;
const CR4: usize = 3;
const CR0_PE: u64 = 1 << 0;
const CR0_PG: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
/// CR4.OSXSAVE.
const OSXSAVE: u64 = 1 << 18;
const VALUES: [u64; 6] = [0, u64::MAX, 1 << 63, 0xffff_ffff, 0x8000_0000, 1];
const RANDOM: usize = 100;

pub(super) fn run(setting: &mut Setting, tally: &mut Tally) {
    let registers = Instruction::READ_CONTROL.iter().zip(Instruction::WRITE_CONTROL);
    for (number, (read, write)) in registers.enumerate() {
        // A first table elsewhere is not hostile but fatal: only reserved bits are tried.
        // Bare QEMU never comes back from a CR4 with a bit that its CPU lacks.
        if number == CR4 && !under_bulkhead() {
            continue;
        }
        // QEMU leaves 64-bit mode, or mangles it, where the manual prescribes #GP.
        let kept = match number {
            0 if is_amd() => CR0_PE | CR0_PG,
            CR3 if is_amd() => !0xfff,
            CR3 => 0x000f_ffff_ffff_f000,
            CR4 if is_amd() => CR4_PAE,
            _ => 0,
        };
        turn_over(read, write, kept, setting, tally);
        tally.part(format_args!("{}", write.text));
    }
    for (read, write) in Instruction::READ_DEBUG.iter().zip(Instruction::WRITE_DEBUG) {
        turn_over(read, write, 0, setting, tally);
        tally.part(format_args!("{}", write.text));
    }
    absent(tally);
    efer(setting, tally);
    extended(setting, tally);
}

/// Turns each bit over but those kept, then writes whole values.
fn turn_over(
    read: &Instruction,
    write: &Instruction,
    kept: u64,
    setting: &mut Setting,
    tally: &mut Tally,
) {
    let Some(old) = read.run([0; 4]).value() else { return };
    let mut put = |value: u64| {
        tally.count(write.run([0, value, 0, 0]));
        let _ = write.run([0, old, 0, 0]);
    };
    for bit in (0..64).map(|bit| 1 << bit).filter(|bit| kept & bit == 0) {
        put(old ^ bit);
    }
    for value in VALUES {
        put(old & kept | value & !kept);
    }
    for _ in 0..RANDOM {
        put(old & kept | setting.random.next() & !kept);
    }
}

/// Control and debug registers that do not exist, to and from RAX.
fn absent(tally: &mut Tally) {
    for opcode in [0x20, 0x21, 0x22, 0x23] {
        for prefix in [&[][..], &[0x44], &[0xf0]] {
            for register in [1u8, 4, 5, 6, 7] {
                let mut bytes = [0; 4];
                bytes[..prefix.len()].copy_from_slice(prefix);
                bytes[prefix.len()..][..3].copy_from_slice(&[0x0f, opcode, 0xc0 | register << 3]);
                let writes = opcode >= 0x22;
                let real = prefix.is_empty() && (!writes || register != 7);
                if !writes || !real {
                    tally.count(generated(&bytes[..prefix.len() + 3], [0; 4]));
                }
            }
        }
    }
    tally.part(format_args!("absent registers"));
}

fn efer(setting: &mut Setting, tally: &mut Tally) {
    let read = || Instruction::READ_MSR.run([EFER, 0, 0, 0]).value().unwrap_or(0xd00);
    let old = read();
    let values = (0..64).map(|bit| old ^ 1 << bit).chain(VALUES);
    for value in values.chain((0..RANDOM).map(|_| setting.random.next())) {
        tally.count(Instruction::WRITE_MSR.run([EFER, value, 0, 0]));
        let _ = Instruction::WRITE_MSR.run([EFER, old, 0, 0]);
    }
    tally.part(format_args!("EFER"));
}

/// XCR0 with every combination of its low bits, and each other one; other XCRs.
fn extended(setting: &mut Setting, tally: &mut Tally) {
    let [read, write] = [&Instruction::READ_CONTROL[CR4], &Instruction::WRITE_CONTROL[CR4]];
    let Some(old) = read.run([0; 4]).value() else { return };
    tally.count(write.run([0, old | OSXSAVE, 0, 0]));
    let before = Instruction::READ_XCR.run([0; 4]).value().unwrap_or(1);
    let whole = (0..0x400).chain((10..64).map(|bit| 1 << bit | 1)).chain(VALUES);
    for value in whole.chain((0..RANDOM).map(|_| setting.random.next())) {
        tally.count(Instruction::WRITE_XCR.run([0, value, 0, 0]));
    }
    let _ = Instruction::WRITE_XCR.run([0, before, 0, 0]);
    tally.part(format_args!("XCR0"));
    for number in [1, 2, 3, 0x10, 0xffff_ffff] {
        tally.count(Instruction::READ_XCR.run([number, 0, 0, 0]));
        tally.count(Instruction::WRITE_XCR.run([number, 1, 0, 0]));
    }
    let _ = write.run([0, old, 0, 0]);
    tally.part(format_args!("other XCRs"));
}
