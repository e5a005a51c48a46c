// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two windows in this guest's own map, in parts that the runtime leaves
//! empty: one onto any physical address, one whose tables may lie.
//!
//! ```text
//! PML4[1] -> three tables in scratch memory -> pages 0 and 1: `window`
//! PML4[2] -> one lie, or up to three tables and then a lie:    `lie`
//! ```
//! Manual: Intel SDM, "4-Level Paging and 5-Level Paging".

use super::Instruction;
use super::scratch;
use core::arch::asm;

/// First addresses of the windows.
const WINDOW: u64 = 1 << 39;
const LIE: u64 = 2 << 39;
/// Offsets of the tables in the scratch memory.
const TABLES: u64 = 0x8000;
const LYING: u64 = 0xb000;
/// Present, writable, accessible to CPL 3.
const ENTRY: u64 = 7;
/// What a physical address in an entry may have.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// Which level's entry is a lie.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// The PML4's: 512 GiB.
    Fourth,
    /// 1 GiB.
    Third,
    /// 2 MiB.
    Second,
    /// 4 KiB.
    First,
}

/// Where physical address `at` is in the window; the page behind it follows.
pub(crate) fn window(at: u64) -> u64 {
    let [third, second, first] = [0, 0x1000, 0x2000].map(|offset| scratch() + TABLES + offset);
    write(root() + 8, third | ENTRY);
    write(third, second | ENTRY);
    write(second, first | ENTRY);
    write(first, at & ADDRESS | ENTRY);
    write(first + 8, at.wrapping_add(0x1000) & ADDRESS | ENTRY);
    flush();
    WINDOW + (at & 0xfff)
}

/// Whether the entry at `level` is `value`; the address that is translated by it.
pub(crate) fn lie(level: Level, value: u64) -> u64 {
    let [third, second, first] = [0, 0x1000, 0x2000].map(|offset| scratch() + LYING + offset);
    let true_to = |own: Level, table: u64| if own == level { value } else { table | ENTRY };
    write(root() + 16, true_to(Level::Fourth, third));
    write(third, true_to(Level::Third, second));
    write(second, true_to(Level::Second, first));
    write(first, true_to(Level::First, scratch()));
    flush();
    LIE
}

/// An entry that points at `address`.
pub(crate) fn entry(address: u64) -> u64 {
    address & ADDRESS | ENTRY
}

/// Physical and own address of this CPU's first table.
fn root() -> u64 {
    let root: u64;
    // SAFETY: reads CR3.
    unsafe { asm!("mov {}, cr3", out(reg) root, options(nomem, nostack, preserves_flags)) };
    root & ADDRESS
}

fn write(address: u64, value: u64) {
    // SAFETY: the callers above write entries 1 and 2 of the first table, which the runtime leaves empty, and tables in
    // the scratch memory, which nothing else uses. The runtime maps the first 4 GiB where they are.
    unsafe { (address as *mut u64).write_volatile(value) };
}

fn flush() {
    let _ = Instruction::FLUSH.run([0; 4]);
}
