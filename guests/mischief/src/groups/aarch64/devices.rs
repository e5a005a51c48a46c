// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every offset of every frame at every size, read and written with zero, ones and a random value.

use crate::Setting;
use crate::hostile::Instruction;
use crate::tally::Tally;
use abi::platform;
use guest_rt::console;

/// Redistributors that are swept: one more than a partition with two vCPUs has.
const REDISTRIBUTORS: u64 = 3;
const FRAME: u64 = 0x1_0000;

pub(super) fn gic(setting: &mut Setting, tally: &mut Tally) {
    sweep("distributor", platform::GICD, platform::GICD_SIZE, setting, tally);
    for cpu in 0..REDISTRIBUTORS {
        let base = platform::GICR + cpu * platform::GICR_STRIDE;
        sweep("redistributor", base, FRAME, setting, tally);
        sweep("private interrupts", base + FRAME, FRAME, setting, tally);
    }
    unaligned(platform::GICD, tally);
    unaligned(platform::GICR, tally);
}

pub(super) fn others(setting: &mut Setting, tally: &mut Tally) {
    sweep("gpio", platform::GPIO, platform::GPIO_SIZE, setting, tally);
    let channels = setting.facts.map(|facts| facts.channels()).unwrap_or_default();
    for number in 0..channels.len() as u64 {
        let base = platform::CHANNEL_REGISTERS + number * platform::CHANNEL_REGISTERS_STRIDE;
        sweep("channel", base, platform::CHANNEL_REGISTERS_STRIDE, setting, tally);
    }
    sweep_silently(platform::UART, platform::UART_SIZE, setting, tally);
    console::init();
    guest_rt::println!();
    tally.part(format_args!("uart"));
}

fn sweep(name: &str, base: u64, size: u64, setting: &mut Setting, tally: &mut Tally) {
    sweep_silently(base, size, setting, tally);
    tally.part(format_args!("{name} {base:#x}"));
}

fn sweep_silently(base: u64, size: u64, setting: &mut Setting, tally: &mut Tally) {
    for (shift, (load, store)) in
        Instruction::LOADS.iter().zip(Instruction::STORES).take(4).enumerate()
    {
        for address in (base..base + size).step_by(1 << shift) {
            tally.count(load.run([address, 0, 0, 0]));
            for value in [0, u64::MAX, setting.random.next()] {
                tally.count(store.run([address, value, 0, 0]));
            }
        }
    }
}

/// Accesses across the registers' borders, and in forms that carry no syndrome.
fn unaligned(base: u64, tally: &mut Tally) {
    for offset in 0..0x100 {
        for access in Instruction::LOADS.iter().chain(Instruction::STORES) {
            tally.count(access.run([base + 0x80 + offset, 0, 0, 0]));
        }
    }
    tally.part(format_args!("odd forms at {base:#x}"));
}
