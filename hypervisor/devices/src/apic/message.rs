// SPDX-License-Identifier: MIT OR Apache-2.0
//! An interrupt message: what an interrupt command register, an I/O APIC pin or
//! a device sends, and to whom. Only vCPUs of the same partition exist.
//! Intel SDM volume 3, "Interrupt Command Register (ICR)", "Determining IPI
//! Destination"; "Message Signalled Interrupts".

use super::posted::Posted;

/// What a message does to those it reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// An interrupt, to each.
    Fixed,
    /// An interrupt, to one of them.
    Lowest,
    /// A non-maskable interrupt.
    Nmi,
    /// INIT.
    Init,
    /// Start-up, at the page that the vector names.
    StartUp,
    /// SMI, ExtINT, remote read and what is reserved: nobody answers.
    Nothing,
}

impl Delivery {
    /// Bits 10:8 of an ICR, a local vector table or an I/O APIC's entry.
    #[inline]
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        match bits & 7 {
            0 => Self::Fixed,
            1 => Self::Lowest,
            4 => Self::Nmi,
            5 => Self::Init,
            6 => Self::StartUp,
            _ => Self::Nothing,
        }
    }
}

/// Whom a message goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The local APIC with this id; all ones name everyone.
    Physical(u32),
    /// Those that this logical destination names.
    Logical(u32),
    /// The sender.
    Own,
    /// Everyone.
    All,
    /// Everyone but the sender.
    Others,
}

impl Destination {
    /// A destination field of eight bits.
    #[inline]
    #[must_use]
    pub const fn narrow(field: u8, logical: bool) -> Self {
        match (logical, field) {
            (false, 0xff) => Self::Physical(u32::MAX),
            (false, id) => Self::Physical(id as u32),
            (true, mask) => Self::Logical(mask as u32),
        }
    }
}

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Vector, or the page of a start-up.
    pub vector: u8,
    /// What it does.
    pub delivery: Delivery,
    /// Triggered by level: its end is broadcast.
    pub level: bool,
    /// Whom it goes to.
    pub destination: Destination,
}

impl Message {
    /// The message that a write to an ICR sends, in the form of x2APIC or of
    /// xAPIC; none for INIT's level de-assert, which does nothing.
    #[inline]
    #[must_use]
    pub const fn from_command(icr: u64, x2apic: bool) -> Option<Self> {
        let low = (icr & 0xffff_ffff) as u32;
        let delivery = Delivery::from_bits(low >> 8);
        if matches!(delivery, Delivery::Init) && low & (1 << 14 | 1 << 15) == 1 << 15 {
            return None;
        }
        let high = (icr >> 32) as u32;
        let logical = low & 1 << 11 != 0;
        let destination = match low >> 18 & 3 {
            1 => Destination::Own,
            2 => Destination::All,
            3 => Destination::Others,
            _ if !x2apic => Destination::narrow((high >> 24) as u8, logical),
            _ if logical => Destination::Logical(high),
            _ => Destination::Physical(high),
        };
        // What a local APIC sends is an edge; the level bit is INIT's alone.
        Some(Self { vector: (low & 0xff) as u8, delivery, level: false, destination })
    }

    /// The vCPUs that the message reaches, one bit each.
    #[inline]
    #[must_use]
    pub fn targets(&self, sender: usize, apics: &[Posted]) -> u32 {
        let everyone = ((1u64 << apics.len().min(32)).wrapping_sub(1) & 0xffff_ffff) as u32;
        let own = bit(sender) & everyone;
        let reached = match self.destination {
            _ if self.delivery == Delivery::Nothing => 0,
            Destination::Physical(u32::MAX) | Destination::All => everyone,
            Destination::Physical(id) => 1u32.checked_shl(id).unwrap_or(0) & everyone,
            Destination::Own => own,
            Destination::Others => everyone & !own,
            Destination::Logical(mask) => named(mask, apics),
        };
        if self.delivery == Delivery::Lowest {
            return reached & reached.wrapping_neg();
        }
        reached
    }

    /// Posts the message to all that it reaches; these must be rung.
    #[inline(never)]
    #[must_use]
    pub fn deliver(&self, sender: usize, apics: &[Posted]) -> u32 {
        let targets = self.targets(sender, apics);
        let mut left = targets;
        while left != 0 {
            if let Some(posted) = apics.get(left.trailing_zeros() as usize) {
                match self.delivery {
                    Delivery::Fixed | Delivery::Lowest => posted.post(self.vector, self.level),
                    Delivery::Nmi => posted.post_nmi(),
                    Delivery::Init => posted.post_init(),
                    Delivery::StartUp => posted.post_startup(self.vector),
                    Delivery::Nothing => {}
                }
            }
            left &= left.wrapping_sub(1);
        }
        targets
    }
}

/// The local APICs that a logical destination names.
fn named(destination: u32, apics: &[Posted]) -> u32 {
    let mut reached = 0;
    for (vcpu, posted) in apics.iter().take(32).enumerate() {
        if posted.is_named(destination) {
            reached |= bit(vcpu);
        }
    }
    reached
}

/// A vCPU as a bit.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "five bits remain")]
const fn bit(vcpu: usize) -> u32 {
    1u32.wrapping_shl((vcpu & 31) as u32)
}
