// SPDX-License-Identifier: MIT OR Apache-2.0
//! The memory frames of the distributor and the redistributors: which offset
//! is which register. 32-bit accesses everywhere, bytes for priorities, 64 bits
//! for routes and `GICR_TYPER`; whatever else comes reads zero and is ignored.
//! IHI 0069, "The GIC memory-mapped register interfaces", "The Distributor
//! register map", "The Redistributor register map".

use super::registers::Bitmap;
use super::{ListRegisters, Outcome, REDISTRIBUTOR_STRIDE, Reading, Vgic};
use crate::Size;

/// Implementer Arm, as QEMU's GICv3 says.
const IIDR: u64 = 0x0000_043b;
/// `GICD_TYPER` without ITLinesNumber: ten bits of INTID, Aff3, no 1-of-N.
const TYPER: u64 = 9 << 19 | 1 << 24 | 1 << 25;
/// `GICR_WAKER.ProcessorSleep`.
const PROCESSOR_SLEEP: u64 = 1 << 1;
/// `GICR_WAKER.ChildrenAsleep`.
const CHILDREN_ASLEEP: u64 = 1 << 2;
/// `GICR_TYPER.Last`.
const LAST: u64 = 1 << 4;

impl Vgic {
    /// A guest reads the distributor. `lists` are those of `vcpu`, the reader.
    #[inline(always)]
    pub fn read_distributor(
        &mut self,
        vcpu: usize,
        offset: u64,
        size: Size,
        lists: &impl ListRegisters,
    ) -> Reading {
        if !size.aligned(offset) {
            return Reading::of(0);
        }
        match (size, offset) {
            (Size::Word, 0x0000) => Reading::of(self.control()),
            (Size::Word, 0x0004) => {
                Reading::of(TYPER | u64::from((self.intids >> 5).wrapping_sub(1)))
            }
            (Size::Word, 0x0008) => Reading::of(IIDR),
            (Size::Word, 0x0080..0x0400) => {
                match (Bitmap::at(offset), self.shared_bank(offset >> 2 & 31)) {
                    (Some(map), Some(b)) => self.read_bitmap(vcpu, b, map, lists),
                    _ => Reading::of(0),
                }
            }
            (Size::Byte | Size::Word, 0x0400..0x0800) => Reading::of(
                self.shared_bank(offset >> 5 & 31)
                    .map_or(0, |b| self.read_priority(b, lane(offset), size)),
            ),
            (Size::Word, 0x0c00..0x0d00) => Reading::of(
                self.shared_bank(offset >> 3 & 31)
                    .map_or(0, |b| self.read_config(b, offset & 4 != 0)),
            ),
            (Size::Double, 0x6100..0x8000) => Reading::of(self.read_route(route(offset))),
            (Size::Word, 0x6100..0x8000) => {
                Reading::of(self.read_route(route(offset)).wrapping_shr(half(offset)) & 0xffff_ffff)
            }
            (Size::Word, 0xffd0..0x1_0000) => Reading::of(identification(offset, 0x92)),
            _ => Reading::of(0),
        }
    }

    /// A guest writes the distributor.
    #[inline(always)]
    pub fn write_distributor(
        &mut self,
        vcpu: usize,
        offset: u64,
        size: Size,
        value: u64,
    ) -> Outcome {
        if !size.aligned(offset) {
            return Outcome::default();
        }
        match (size, offset) {
            (Size::Word, 0x0000) => self.set_control(value),
            (Size::Word, 0x0080..0x0400) => {
                match (Bitmap::at(offset), self.shared_bank(offset >> 2 & 31)) {
                    (Some(map), Some(b)) => self.write_bitmap(vcpu, b, map, low(value)),
                    _ => Outcome::default(),
                }
            }
            (Size::Byte | Size::Word, 0x0400..0x0800) => match self.shared_bank(offset >> 5 & 31) {
                Some(b) => self.write_priority(b, lane(offset), size, value),
                None => Outcome::default(),
            },
            (Size::Word, 0x0c00..0x0d00) => match self.shared_bank(offset >> 3 & 31) {
                Some(b) => self.write_config(b, offset & 4 != 0, low(value)),
                None => Outcome::default(),
            },
            (Size::Double, 0x6100..0x8000) => self.write_route(route(offset), u64::MAX, value),
            (Size::Word, 0x6100..0x8000) => {
                let shift = half(offset);
                self.write_route(
                    route(offset),
                    0xffff_ffff_u64.wrapping_shl(shift),
                    value.wrapping_shl(shift),
                )
            }
            _ => Outcome::default(),
        }
    }

    /// A guest reads a redistributor; `offset` counts from the first vCPU's
    /// first frame. `lists` are those of `vcpu`, the reader.
    #[inline(always)]
    pub fn read_redistributor(
        &mut self,
        vcpu: usize,
        offset: u64,
        size: Size,
        lists: &impl ListRegisters,
    ) -> Reading {
        let Some((owner, offset)) = self.redistributor(offset, size) else { return Reading::of(0) };
        match (size, offset) {
            (Size::Word, 0x0_0004) => Reading::of(IIDR),
            (Size::Double, 0x0_0008) => Reading::of(self.redistributor_type(owner)),
            (Size::Word, 0x0_0008) => Reading::of(self.redistributor_type(owner) & 0xffff_ffff),
            (Size::Word, 0x0_000c) => Reading::of(self.redistributor_type(owner) >> 32),
            (Size::Word, 0x0_0014) => Reading::of(if self.cpu(owner).asleep {
                PROCESSOR_SLEEP | CHILDREN_ASLEEP
            } else {
                0
            }),
            (Size::Word, 0x0_ffd0..0x1_0000 | 0x1_ffd0..0x2_0000) => {
                Reading::of(identification(offset, 0x93))
            }
            (Size::Word, 0x1_0080..0x1_0400) => {
                match (Bitmap::at(offset & 0xffff), offset >> 2 & 31) {
                    (Some(map), 0) => self.read_bitmap(vcpu, owner, map, lists),
                    _ => Reading::of(0),
                }
            }
            (Size::Byte | Size::Word, 0x1_0400..0x1_0420) => {
                Reading::of(self.read_priority(owner, lane(offset), size))
            }
            (Size::Word, 0x1_0c00 | 0x1_0c04) => {
                Reading::of(self.read_config(owner, offset & 4 != 0))
            }
            _ => Reading::of(0),
        }
    }

    /// A guest writes a redistributor; `offset` counts from the first vCPU's first frame.
    #[inline(always)]
    pub fn write_redistributor(
        &mut self,
        vcpu: usize,
        offset: u64,
        size: Size,
        value: u64,
    ) -> Outcome {
        let Some((owner, offset)) = self.redistributor(offset, size) else {
            return Outcome::default();
        };
        match (size, offset) {
            (Size::Word, 0x0_0014) => {
                self.cpu_mut(owner).asleep = value & PROCESSOR_SLEEP != 0;
                Outcome::default()
            }
            (Size::Word, 0x1_0080..0x1_0400) => {
                match (Bitmap::at(offset & 0xffff), offset >> 2 & 31) {
                    (Some(map), 0) => self.write_bitmap(vcpu, owner, map, low(value)),
                    _ => Outcome::default(),
                }
            }
            (Size::Byte | Size::Word, 0x1_0400..0x1_0420) => {
                self.write_priority(owner, lane(offset), size, value)
            }
            // GICR_ICFGR0 is that of the SGIs, which are always edge-triggered.
            (Size::Word, 0x1_0c04) => self.write_config(owner, true, low(value)),
            _ => Outcome::default(),
        }
    }

    /// The bank of shared interrupts that word `n` of a distributor's array is
    /// about. Word 0, the private ones, is in the redistributors.
    #[inline(always)]
    const fn shared_bank(&self, n: u64) -> Option<usize> {
        if n != 0 && n < (self.intids >> 5) as u64 {
            Some((n.wrapping_add(7) & 15) as usize)
        } else {
            None
        }
    }

    /// Whose redistributor an offset is in, and the offset there.
    #[inline(always)]
    const fn redistributor(&self, offset: u64, size: Size) -> Option<(usize, u64)> {
        let owner = offset / REDISTRIBUTOR_STRIDE;
        if owner < self.vcpus as u64 && size.aligned(offset) {
            Some(((owner & 7) as usize, offset % REDISTRIBUTOR_STRIDE))
        } else {
            None
        }
    }

    /// `GICR_TYPER`: the affinity, which is the number, and the last one's mark.
    const fn redistributor_type(&self, owner: usize) -> u64 {
        let number = owner as u64 & 7;
        let last = if number.wrapping_add(1) == self.vcpus as u64 { LAST } else { 0 };
        number << 32 | number << 8 | last
    }
}

/// The low half of a written value.
#[inline(always)]
const fn low(value: u64) -> u32 {
    (value & 0xffff_ffff) as u32
}

/// Which of a bank's 32 interrupts the byte at this offset of a priority array is about.
#[inline(always)]
const fn lane(offset: u64) -> u32 {
    (offset & 31) as u32
}

/// The INTID of the `GICD_IROUTER` at this offset; it starts at 0x6000.
#[inline(always)]
const fn route(offset: u64) -> u32 {
    (offset >> 3 & 0x3ff) as u32
}

/// Where the addressed half of a 64-bit register starts.
#[inline(always)]
const fn half(offset: u64) -> u32 {
    if offset & 4 != 0 { 32 } else { 0 }
}

/// `PIDR4` to `PIDR7`, `PIDR0` to `PIDR3`, `CIDR0` to `CIDR3`: architecture revision GICv3, made by Arm.
const fn identification(offset: u64, part: u64) -> u64 {
    match offset & 0x3f {
        0x10 => 0x44,
        0x20 => part,
        0x24 => 0xb4,
        0x28 => 0x3b,
        0x30 => 0x0d,
        0x34 => 0xf0,
        0x38 => 0x05,
        0x3c => 0xb1,
        _ => 0,
    }
}
