// SPDX-License-Identifier: MIT OR Apache-2.0
//! The state of 32 interrupts, one bit or byte each, and of one vCPU's list
//! registers as they were last written.
//!
//! An interrupt is *resident* while a list register holds it; then the truth
//! about its pending and active state is in that register, and the words here
//! say what it was when it was placed. The pending latch moves with it:
//! `latch` is what waits here, `placed` what the list register took along.
//! So an edge that comes meanwhile is not lost, and one that the guest clears
//! meanwhile is not revived.

use super::vcpu_bit;

/// Iterates over the numbers of the ones in a word, lowest first.
pub(super) struct Bits(pub(super) u32);

impl Iterator for Bits {
    type Item = u32;

    #[inline(always)]
    fn next(&mut self) -> Option<u32> {
        if self.0 == 0 {
            return None;
        }
        let n = self.0.trailing_zeros();
        self.0 &= self.0.wrapping_sub(1);
        Some(n)
    }
}

/// A word with one bit set; `n` counts modulo 32.
#[inline(always)]
pub(super) const fn bit(n: u32) -> u32 {
    1u32.wrapping_shl(n)
}

/// Which groups the distributor forwards, as whole words (`GICD_CTLR`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Groups {
    /// All ones if `EnableGrp0`.
    pub(super) zero: u32,
    /// All ones if `EnableGrp1`.
    pub(super) one: u32,
}

/// 32 interrupts, in cache lines of their own: most are one vCPU's.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(super) struct Bank {
    /// Group 1 (ones) or group 0.
    pub(super) group: u32,
    /// Enabled.
    pub(super) enabled: u32,
    /// Enabled, and of a group that is forwarded; see [`Self::reopen`].
    pub(super) open: u32,
    /// Pending until acknowledged: an edge, a write to ISPENDR, a physical interrupt.
    pub(super) latch: u32,
    /// The level lines of devices.
    pub(super) level: u32,
    /// Edge-triggered (ones) or level-sensitive.
    pub(super) edge: u32,
    /// Active; while resident, as last folded.
    pub(super) active: u32,
    /// A physical interrupt is active that no list register will deactivate.
    pub(super) hardware: u32,
    /// In a list register of some vCPU.
    pub(super) resident: u32,
    /// The part of the latch that the list register took along.
    pub(super) placed: u32,
    /// Resident, and to become active when folded (a write to ISACTIVER).
    pub(super) activate: u32,
    /// Resident, and to become inactive when folded (a write to ICACTIVER).
    pub(super) deactivate: u32,
    /// Priorities; the low three bits are not implemented.
    pub(super) priority: [u8; 32],
}

impl Bank {
    /// After reset: group 0, disabled, idle, priority 0. `edge` as the bank's kind has it.
    pub(super) const fn new(edge: u32) -> Self {
        Self {
            group: 0,
            enabled: 0,
            open: 0,
            latch: 0,
            level: 0,
            edge,
            active: 0,
            hardware: 0,
            resident: 0,
            placed: 0,
            activate: 0,
            deactivate: 0,
            priority: [0; 32],
        }
    }

    /// Pending, apart from what list registers hold.
    #[inline(always)]
    pub(super) const fn pending(&self) -> u32 {
        self.latch | self.level & !self.edge
    }

    /// To be called after `enabled`, `group` or what is forwarded changed.
    #[inline(always)]
    pub(super) const fn reopen(&mut self, groups: Groups) {
        self.open = self.enabled & (self.group & groups.one | !self.group & groups.zero);
    }

    /// Pending and open: to be delivered if it is neither resident nor active.
    #[inline(always)]
    pub(super) const fn ready(&self) -> u32 {
        self.pending() & self.open
    }

    /// Physical interrupts that stay active though nothing here needs them any more.
    #[inline(always)]
    pub(super) const fn orphans(&self) -> u32 {
        self.hardware & !(self.latch | self.active | self.resident)
    }

    /// Priority of interrupt `n`, modulo 32.
    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "the index is masked to the array's length")]
    pub(super) const fn priority(&self, n: u32) -> u8 {
        self.priority[n as usize & 31]
    }

    /// Sets the priority of interrupt `n`, modulo 32.
    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "the index is masked to the array's length")]
    pub(super) const fn set_priority(&mut self, n: u32, value: u8) {
        self.priority[n as usize & 31] = value;
    }
}

/// In [`Cpu::special`]: a resident interrupt changed, so fold all before choosing.
pub(super) const DIRTY: u32 = 1 << 31;
/// In [`Cpu::special`]: a physical interrupt may be active for nothing.
pub(super) const ORPHANS: u32 = 1 << 30;

/// Where each INTID goes first: most machines have four list registers, and
/// where there are fewer the lowest empty one serves.
const HOMES: [u8; 32] = [
    0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3,
];

/// What the controller knows of one vCPU, in cache lines of its own.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(super) struct Cpu {
    /// What each list register was last given; zero if it is free.
    slots: [u64; 16],
    /// For an INTID modulo 32, the list register it was last in. At first they
    /// are spread, so that interrupts that take turns do not share one.
    home: [u8; 32],
    /// Shared interrupts routed here.
    routed: [u32; 8],
    /// Shared interrupts that are resident here, or active by this vCPU's doing.
    held: [u32; 8],
    /// List registers that were given an interrupt and not folded since.
    pub(super) used: u32,
    /// Words of [`Self::held`] that are not zero.
    pub(super) holding: u32,
    /// Words of shared interrupts in which something may be ready.
    pub(super) shared: u32,
    /// Not zero if the list registers need more than filling up: bits of
    /// `ICH_HCR_EL2` beyond En while something does not fit, [`DIRTY`], [`ORPHANS`].
    pub(super) special: u32,
    /// `GICR_WAKER.ProcessorSleep`.
    pub(super) asleep: bool,
}

#[expect(clippy::indexing_slicing, reason = "every index is masked to its array's length")]
impl Cpu {
    /// After reset; `routed` is each word of [`Self::routed`].
    pub(super) const fn new(routed: u32) -> Self {
        Self {
            slots: [0; 16],
            home: HOMES,
            routed: [routed; 8],
            held: [0; 8],
            used: 0,
            holding: 0,
            shared: 0,
            special: 0,
            asleep: true,
        }
    }

    /// What list register `n` was given.
    #[inline(always)]
    pub(super) const fn slot(&self, n: u32) -> u64 {
        self.slots[n as usize & 15]
    }

    /// Remembers what list register `n` is given.
    #[inline(always)]
    pub(super) const fn set_slot(&mut self, n: u32, value: u64) {
        self.slots[n as usize & 15] = value;
        self.used |= bit(n & 15);
    }

    /// Forgets it.
    #[inline(always)]
    pub(super) const fn clear_slot(&mut self, n: u32) {
        self.slots[n as usize & 15] = 0;
        self.used &= !bit(n & 15);
    }

    /// The list register that an INTID was last in.
    #[inline(always)]
    pub(super) const fn home(&self, intid: u32) -> u32 {
        self.home[intid as usize & 31] as u32 & 15
    }

    /// Remembers where an INTID is.
    #[inline(always)]
    pub(super) const fn set_home(&mut self, intid: u32, n: u32) {
        self.home[intid as usize & 31] = (n & 15) as u8;
    }

    /// Shared interrupts of word `w` that are routed here.
    #[inline(always)]
    pub(super) const fn routed(&self, w: usize) -> u32 {
        self.routed[w & 7]
    }

    /// The word to change routes in.
    #[inline(always)]
    pub(super) const fn routed_mut(&mut self, w: usize) -> &mut u32 {
        &mut self.routed[w & 7]
    }

    /// Shared interrupts of word `w` that this vCPU holds.
    #[inline(always)]
    pub(super) const fn held(&self, w: usize) -> u32 {
        self.held[w & 7]
    }

    /// This vCPU takes shared interrupts of word `w`.
    #[inline(always)]
    pub(super) const fn hold(&mut self, w: usize, mask: u32) {
        self.held[w & 7] |= mask;
        self.holding |= vcpu_bit(w);
    }

    /// It gives them back.
    #[inline(always)]
    pub(super) const fn drop_held(&mut self, w: usize, mask: u32) {
        self.held[w & 7] &= !mask;
        if self.held[w & 7] == 0 {
            self.holding &= !vcpu_bit(w);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_lowest_first() {
        let mut bits = Bits(0x8000_0005);
        assert_eq!(
            [bits.next(), bits.next(), bits.next(), bits.next()],
            [Some(0), Some(2), Some(31), None]
        );
    }

    #[test]
    fn a_level_line_is_pending_only_where_level_sensitive() {
        let mut bank = Bank::new(0b01);
        bank.level = 0b11;
        assert_eq!(bank.pending(), 0b10);
        bank.latch = 0b01;
        assert_eq!(bank.pending(), 0b11);
    }

    #[test]
    fn only_enabled_interrupts_of_forwarded_groups_are_ready() {
        let mut bank = Bank::new(0);
        bank.latch = 0b1111;
        bank.enabled = 0b0111;
        bank.group = 0b0011;
        for (groups, ready) in [
            (Groups { zero: 0, one: !0 }, 0b0011),
            (Groups { zero: !0, one: 0 }, 0b0100),
            (Groups::default(), 0),
        ] {
            bank.reopen(groups);
            assert_eq!(bank.ready(), ready);
        }
    }
}
