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
    let [third, second, first] = tables();
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

/// Maps frame 0 or 1 of the scratch memory through the first window, where `level` has no entry;
/// nothing is flushed, as no CPU remembers an entry that was not there.
pub(crate) fn give(level: Level, frame: u64) {
    let [third, second, first] = tables();
    write(first, entry(frame_at(frame)));
    match level {
        Level::Fourth => write(root() + 8, third | ENTRY),
        Level::Third => write(third, second | ENTRY),
        Level::Second => write(second, first | ENTRY),
        Level::First => {}
    }
}

/// Takes the first window away by its entry of `level`; each CPU must [`forget`] it.
pub(crate) fn take_away(level: Level) {
    let [third, second, first] = tables();
    let place = match level {
        Level::Fourth => root() + 8,
        Level::Third => third,
        Level::Second => second,
        Level::First => first,
    };
    write(place, 0);
}

/// Drops this CPU's translation of the first window.
pub(crate) fn forget() {
    // SAFETY: drops what the CPU can find anew.
    unsafe { asm!("invlpg [{}]", in(reg) WINDOW, options(nostack, preserves_flags)) };
}

/// What the first window shows; where it is away, #PF until it is back.
pub(crate) fn look() -> u64 {
    // SAFETY: [`give`] maps nothing there but frames of the scratch memory.
    unsafe { (WINDOW as *const u64).read_volatile() }
}

/// Writes the number that [`look`] finds in a frame.
pub(crate) fn fill(frame: u64, value: u64) {
    write(frame_at(frame), value);
}

fn frame_at(frame: u64) -> u64 {
    scratch() + (frame & 1) * 0x1000
}

/// The first window's tables, of the third level down.
fn tables() -> [u64; 3] {
    [0, 0x1000, 0x2000].map(|offset| scratch() + TABLES + offset)
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
    // SAFETY: the callers above write entries 1 and 2 of the first table, which the runtime leaves empty, and
    // the scratch memory, which nothing else uses. The runtime maps the first 4 GiB where they are.
    unsafe { (address as *mut u64).write_volatile(value) };
}

fn flush() {
    let _ = Instruction::FLUSH.run([0; 4]);
}
