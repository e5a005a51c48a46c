// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every offset of the local APIC and of the I/O APIC at every size, read and
//! written with zero, ones and a random value, in forms that are hard to
//! decode, and as an x2APIC's registers.

use super::interrupts::level;
use crate::Setting;
use crate::hostile::Instruction;
use crate::tally::Tally;
use guest_rt::interrupts;
use guest_rt::machine::call::under_bulkhead;
use guest_rt::machine::ports;

const LOCAL: u64 = 0xfee0_0000;
const IO: u64 = 0xfec0_0000;
const PAGE: u64 = 0x1000;
/// The interrupt command, which can send an INIT to this very CPU.
const COMMAND: (u64, u64) = (0x300, 0x310);
/// What bare QEMU takes for an interrupt message when a CPU writes there, an INIT among them.
const MESSAGE: (u64, u64) = (0, 0x10);
/// The I/O APIC's window, and the mask bit of what it shows: an unmasked random entry could be an INIT.
const WINDOW: (u64, u64) = (0x10, 0x20);
const MASKED: u64 = 1 << 16;
/// The register that enables a local APIC, and what does.
const SPURIOUS: (u64, u32) = (0xf0, 0x1ff);
/// First MSR of an x2APIC, one past the last, and its interrupt command.
const X2APIC: (u64, u64) = (0x800, 0x900);
const X2APIC_COMMAND: u64 = 0x830;

pub(super) fn run(setting: &mut Setting, tally: &mut Tally) {
    // A local vector that a random value makes an INIT must not meet the timer of the 8259s.
    ports::PIC_MASKS.iter().for_each(|mask| mask.write8(0xff));
    if !interrupts::has_wide_ids() {
        interrupts::write(SPURIOUS.0, SPURIOUS.1);
        level("xAPIC", tally);
    }
    sweep("local APIC", LOCAL, setting, tally);
    sweep("I/O APIC", IO, setting, tally);
    odd_forms("local APIC", LOCAL + 0x80, tally);
    odd_forms("I/O APIC", IO, tally);
    odd_forms("local APIC's end", LOCAL + PAGE - 8, tally);
    interrupts::init();
    level("x2APIC", tally);
    for number in X2APIC.0..X2APIC.1 {
        tally.count(Instruction::READ_MSR.run([number, 0, 0, 0]));
        for value in [0, u64::MAX, setting.random.next(), setting.random.next() & 0xffff_ffff] {
            if number != X2APIC_COMMAND {
                tally.count(Instruction::WRITE_MSR.run([number, value, 0, 0]));
            }
        }
    }
    tally.part(format_args!("x2APIC"));
    sweep("local APIC after x2APIC", LOCAL, setting, tally);
    interrupts::init();
}

fn sweep(name: &str, base: u64, setting: &mut Setting, tally: &mut Tally) {
    for (shift, (load, store)) in
        Instruction::LOADS.iter().zip(Instruction::STORES).take(4).enumerate()
    {
        for offset in (0..PAGE).step_by(1 << shift) {
            let at = base + offset;
            let size = 1 << shift;
            tally.count(load.run([at, 0, 0, 0]));
            let message = !under_bulkhead() && touches(offset, size, MESSAGE);
            if base == LOCAL && (touches(offset, size, COMMAND) || message) {
                continue;
            }
            let masked = if base == IO && touches(offset, size, WINDOW) { MASKED } else { 0 };
            for value in [0, u64::MAX, setting.random.next()] {
                tally.count(store.run([at, value | masked, 0, 0]));
            }
        }
    }
    tally.part(format_args!("{name}"));
}

fn touches(offset: u64, size: u64, (from, to): (u64, u64)) -> bool {
    offset < to && offset + size > from
}

/// Every instruction of the tables, also unaligned and across the registers' borders.
fn odd_forms(name: &str, at: u64, tally: &mut Tally) {
    for offset in 0..8 {
        for access in Instruction::LOADS.iter().chain(Instruction::STORES) {
            tally.count(access.run([at + offset, MASKED, 0, 0]));
        }
        for access in Instruction::MOVES {
            let memory = crate::hostile::scratch() + 0x4000;
            tally.count(access.run([at + offset, memory, 0, 0]));
        }
    }
    tally.part(format_args!("odd forms at {name}"));
}
