// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every I/O port at every size, in and out, and strings of them.

use crate::Setting;
use crate::hostile::{Instruction, scratch, window};
use crate::tally::Tally;
use guest_rt::machine::call::under_bulkhead;
use guest_rt::{console, println};

const PORTS: u64 = 0x1_0000;
/// The console; what resets or switches off: keyboard controller, port 0x92, 0xCF9, PM1a control.
const CONSOLE: (u64, u64) = (0x3f8, 0x400);
const FINAL: [(u64, u64); 4] = [(0x64, 0x65), (0x92, 0x93), (0xcf8, 0xcfa), (0x604, 0x606)];
/// Ports that strings go to: a delay port, the console's status, no device.
const STRING_PORTS: [u64; 4] = [0x80, 0x3fd, 0x60, 0x1234];

pub(super) fn run(setting: &mut Setting, tally: &mut Tally) {
    for (read, size) in Instruction::READ_PORT.iter().zip([1, 2, 4]) {
        for port in (0..PORTS).filter(|&port| !touches(port, size, CONSOLE)) {
            tally.count(read.run([port, 0, 0, 0]));
        }
        tally.part(format_args!("{size} bytes in"));
    }
    strings(tally);
    if !under_bulkhead() {
        println!("mischief: ports are not written on a bare machine, whose disks are behind some");
        return;
    }
    for (write, size) in Instruction::WRITE_PORT.iter().zip([1, 2, 4]) {
        for port in (0..PORTS).filter(|&port| harmless(port, size)) {
            for value in [0, u64::MAX, setting.random.next()] {
                tally.count(write.run([port, value, 0, 0]));
            }
        }
        tally.part(format_args!("{size} bytes out"));
    }
    console_registers(setting, tally);
}

fn touches(port: u64, size: u64, (from, to): (u64, u64)) -> bool {
    port < to && port + size > from
}

fn harmless(port: u64, size: u64) -> bool {
    !touches(port, size, CONSOLE) && !FINAL.iter().any(|&range| touches(port, size, range))
}

/// The console's own registers, at every size, which afterwards has to be a console again.
fn console_registers(setting: &mut Setting, tally: &mut Tally) {
    for (shift, (read, write)) in
        Instruction::READ_PORT.iter().zip(Instruction::WRITE_PORT).enumerate()
    {
        for port in CONSOLE.0 - (1 << shift) + 1..CONSOLE.1 {
            tally.count(read.run([port, 0, 0, 0]));
            for value in [0, u64::MAX, setting.random.next()] {
                tally.count(write.run([port, value, 0, 0]));
            }
        }
    }
    console::init();
    println!();
    tally.part(format_args!("console"));
}

fn strings(tally: &mut Tally) {
    // Memory of ours, across the end of what is mapped, nothing, and an address that is none.
    let ours = scratch() + 0x4000;
    for memory in [ours, window(ours) + 0x1ff8, 3 << 39, 1 << 63] {
        // Bare QEMU ends at more than a byte from its UART.
        let ports =
            STRING_PORTS.into_iter().filter(|&port| under_bulkhead() || !touches(port, 1, CONSOLE));
        for port in ports {
            for string in Instruction::PORT_STRINGS {
                for count in [0, 1, 7, 0x40] {
                    tally.count(string.run([port, memory, 0, count]));
                }
            }
        }
    }
    tally.part(format_args!("strings"));
}
