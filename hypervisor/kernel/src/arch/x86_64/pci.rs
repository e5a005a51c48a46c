// SPDX-License-Identifier: MIT OR Apache-2.0
//! Devices that firmware left running: no PCI function may write to memory any
//! more, because no partition is granted one.
//!
//! PCI Local Bus Specification, "Configuration Space Access Mechanism #1",
//! "Command Register"; PCI-to-PCI Bridge Architecture Specification, "Secondary
//! Bus Number Register".

use super::sysreg::{inl, outl};

const ADDRESS: u16 = 0xcf8;
const DATA: u16 = 0xcfc;
const ENABLE: u32 = 1 << 31;
/// Registers, as offsets of their 32 bits.
const IDENTITY: u32 = 0x00;
const COMMAND: u32 = 0x04;
const HEADER: u32 = 0x0c;
const BUSES: u32 = 0x18;
/// Command: it may write to memory.
const MASTER: u32 = 1 << 2;
/// The upper half, status, whose bits are cleared by ones.
const STATUS: u32 = 0xffff_0000;
const NOBODY: u32 = u32::MAX;

/// A function by bus, device and function number, as the address register has them.
#[derive(Clone, Copy)]
struct Function(u32);

impl Function {
    fn read(self, register: u32) -> u32 {
        outl(ADDRESS, ENABLE | self.0 << 8 | register);
        inl(DATA)
    }

    fn write(self, register: u32, value: u32) {
        outl(ADDRESS, ENABLE | self.0 << 8 | register);
        outl(DATA, value);
    }
}

/// Clears bus mastering on every function of every bus that firmware has numbered.
pub(super) fn silence() {
    let mut known = [0_u64; 4];
    known[0] = 1;
    let mut next = Some(0);
    while let Some(bus) = next {
        silence_bus(bus, &mut known);
        next = (bus + 1..256).find(|bus| known[*bus as usize / 64] >> (bus % 64) & 1 != 0);
    }
}

/// The same on one bus; the buses behind its bridges have higher numbers, and become known.
fn silence_bus(bus: u32, known: &mut [u64; 4]) {
    const MANY_FUNCTIONS: u32 = 1 << 23;
    const KIND: u32 = 0x7f;
    for device in 0..32 {
        let first = Function(bus << 8 | device << 3);
        let functions = if first.read(HEADER) & MANY_FUNCTIONS != 0 { 8 } else { 1 };
        for function in (0..functions).map(|number| Function(first.0 | number)) {
            if function.read(IDENTITY) == NOBODY {
                continue;
            }
            let bridge = function.read(HEADER) >> 16 & KIND == 1;
            if bridge {
                let secondary = function.read(BUSES) >> 8 & 0xff;
                known[secondary as usize / 64] |= 1 << (secondary % 64);
            }
            let command = function.read(COMMAND) & !STATUS;
            function.write(COMMAND, command & !MASTER);
        }
    }
}
