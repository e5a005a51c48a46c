// SPDX-License-Identifier: MIT OR Apache-2.0
//! Counts what an operation costs, in instructions, and prints one line a row:
//! `bench: NAME SMALLEST MEDIAN LARGEST` of sixteen, or `bench: NAME none` where
//! the operation is undefined.
//!
//! It runs alone at EL1 (the reference) and under any hypervisor that shows a
//! GICv3, PSCI and a PL011: their addresses come from the device tree. Meant
//! for QEMU's `-icount shift=0` with a counter of 1 GHz, where one tick of the
//! virtual counter is one instruction; the rows `self-*` say whether that
//! holds. All figures but those and `entry` are net of the empty bracket.
//!
//! Manual: Arm ARM, "The Generic Timer in AArch64 state"; GIC architecture
//! specification v3, "Programmers' Model"; Power State Coordination Interface.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

#[allow(unsafe_code, reason = "assembly, registers and the raw device tree are fenced here")]
mod machine;
mod print;
mod rows;
mod spread;
mod tree;

use machine::Entry;

/// Measures and prints every row, then turns the partition off.
fn main(entry: Entry) -> ! {
    let addresses = tree::addresses(entry.tree());
    let mut out = print::Printer::new(addresses.uart);
    rows::measure(&entry, &addresses, &mut out);
    machine::system_off()
}
