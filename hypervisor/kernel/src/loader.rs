// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a PC's boot loader tells: the map of memory and where ACPI's root
//! pointer is. PVH (QEMU's `-kernel`) and multiboot2 (GRUB) are understood.
//!
//! Xen, `xen/include/public/arch-x86/hvm/start_info.h`; Multiboot2
//! Specification, "Boot information format".

use crate::acpi::Memory;
use abi::range::{PAGE, Range};
use alloc::vec::Vec;

/// What EAX holds when multiboot2 enters.
const MULTIBOOT2: u32 = 0x36d7_6289;
/// First word of PVH's start info.
const PVH: u64 = 0x336e_c578;
/// Type of usable memory, for both.
const USABLE: u64 = 1;
/// Most bytes that are read.
const LONGEST: u64 = 1 << 16;

/// What it told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Usable memory, in whole pages.
    pub ram: Vec<Range>,
    /// Where ACPI's root pointer is.
    pub root: Option<u64>,
}

/// A little-endian number within bytes; zero where they end.
fn number<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    let field = at.checked_add(N).and_then(|end| bytes.get(at..end)).unwrap_or(&[]);
    field.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Reads what the loader left at `info`, with `magic` in EAX.
///
/// # Errors
/// When it is neither of both, or lists no memory.
pub fn read(memory: &dyn Memory, magic: u32, info: u64) -> Result<Told, &'static str> {
    let unknown = "the boot loader spoke neither PVH nor multiboot2";
    let told = if magic == MULTIBOOT2 {
        let len = number::<4>(memory.bytes(info, 8).ok_or(unknown)?, 0);
        multiboot2(memory.bytes(info, len.min(LONGEST)).ok_or(unknown)?, info)
    } else {
        let start = memory.bytes(info, 56).filter(|start| number::<4>(start, 0) == PVH);
        pvh(memory, start.ok_or(unknown)?)
    };
    if told.ram.is_empty() { Err("the boot loader lists no memory") } else { Ok(told) }
}

/// PVH's start info.
fn pvh(memory: &dyn Memory, start: &[u8]) -> Told {
    const ENTRY: u64 = 24;
    let root = number::<8>(start, 32);
    let len = number::<4>(start, 48) * ENTRY;
    let map = memory.bytes(number::<8>(start, 40), len.min(LONGEST)).unwrap_or(&[]);
    let mut told = Told { root: (root != 0).then_some(root), ..Told::default() };
    map.chunks_exact(ENTRY as usize).for_each(|entry| told.memory(entry));
    told
}

/// Multiboot2's tags. The root pointer is a copy within its tag, the newer one if there are two.
fn multiboot2(info: &[u8], address: u64) -> Told {
    const MEMORY_MAP: u64 = 6;
    const OLD_ROOT: u64 = 14;
    const NEW_ROOT: u64 = 15;
    let mut told = Told::default();
    let mut at = 8;
    while let Some(tag) = info.get(at..).filter(|tag| tag.len() >= 8) {
        let len = number::<4>(tag, 4) as usize;
        let Some(tag) = tag.get(..len).filter(|_| len >= 8) else { break };
        match number::<4>(tag, 0) {
            MEMORY_MAP => {
                let size = number::<4>(tag, 8).max(24) as usize;
                tag.get(16..)
                    .unwrap_or(&[])
                    .chunks_exact(size)
                    .for_each(|entry| told.memory(entry));
            }
            OLD_ROOT => told.root = told.root.or(Some(address + at as u64 + 8)),
            NEW_ROOT => told.root = Some(address + at as u64 + 8),
            _ => {}
        }
        at += len.next_multiple_of(8);
    }
    told
}

impl Told {
    /// One entry of a map: address, length, type.
    fn memory(&mut self, entry: &[u8]) {
        let range = Range::new(number::<8>(entry, 0), number::<8>(entry, 8));
        let Some(start) = range.start.checked_next_multiple_of(PAGE) else { return };
        let end = range.end() & !(PAGE - 1);
        if number::<4>(entry, 16) == USABLE && start < end {
            self.ram.push(Range::new(start, end - start));
        }
    }
}
