// SPDX-License-Identifier: MIT OR Apache-2.0
//! The I/O APICs. A line is named by its global system interrupt, as ACPI
//! counts them; every line is masked until somebody owns it.
//!
//! Intel 82093AA, "I/O APIC Registers"; ACPI, "I/O APIC Structure".

use super::super::map::Frame;
use alloc::vec::Vec;
use spin::Mutex;

/// Global system interrupts that the hypervisor serves: one bit of a CPU's word each.
pub(in super::super) const LINES: u32 = 56;

const MASKED: u32 = 1 << 16;
const FIRST_ENTRY: u32 = 0x10;

/// How a line tells that it wants something, as bits of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Trigger(u32);

impl Trigger {
    /// Active high, level: it comes again as long as the line is high.
    pub(in super::super) const LEVEL: Self = Self(1 << 15);

    /// What a flags word of ACPI's MADT says; what it leaves to the bus is ISA's: high, edge.
    pub(in super::super) const fn from_acpi(flags: u16) -> Self {
        let low = if flags & 3 == 3 { 1 << 13 } else { 0 };
        let level = if flags >> 2 & 3 == 3 { 1 << 15 } else { 0 };
        Self(low | level)
    }

    /// Whether the line stays raised until its device is served.
    pub(in super::super) const fn is_level(self) -> bool {
        self.0 & 1 << 15 != 0
    }
}

/// One I/O APIC.
#[derive(Debug)]
struct IoApic {
    frame: Frame,
    first: u32,
    lines: u32,
}

impl IoApic {
    fn read(&self, register: u32) -> u32 {
        self.frame.write32(0, register);
        self.frame.read32(0x10)
    }

    fn write(&self, register: u32, value: u32) {
        self.frame.write32(0, register);
        self.frame.write32(0x10, value);
    }
}

/// All of the machine's. One lock: a register is reached through an index.
#[derive(Debug)]
pub(in super::super) struct IoApics(Mutex<Vec<IoApic>>);

impl IoApics {
    /// Those with these frames and first lines, all lines masked.
    pub(in super::super) fn new(frames: impl Iterator<Item = (Frame, u32)>) -> Self {
        let mut all = Vec::new();
        for (frame, first) in frames {
            let mut one = IoApic { frame, first, lines: 0 };
            one.lines = (one.read(1) >> 16 & 0xff) + 1;
            for line in 0..one.lines {
                one.write(FIRST_ENTRY + 2 * line, MASKED);
            }
            all.push(one);
        }
        Self(Mutex::new(all))
    }

    fn with(&self, line: u32, work: impl FnOnce(&IoApic, u32)) {
        let all = self.0.lock();
        let owner = all.iter().find(|one| line.wrapping_sub(one.first) < one.lines);
        if let Some(one) = owner {
            work(one, FIRST_ENTRY + 2 * (line - one.first));
        }
    }

    /// The line interrupts a CPU by this vector.
    pub(in super::super) fn route(&self, line: u32, vector: u8, cpu: u32, trigger: Trigger) {
        self.with(line, |one, entry| {
            one.write(entry, MASKED);
            one.write(entry + 1, cpu << 24);
            one.write(entry, u32::from(vector) | trigger.0);
        });
    }

    /// The line is masked, or not any more.
    pub(in super::super) fn mask(&self, line: u32, masked: bool) {
        self.with(line, |one, entry| {
            let value = one.read(entry) & !MASKED;
            one.write(entry, if masked { value | MASKED } else { value });
        });
    }
}
