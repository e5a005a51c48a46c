// SPDX-License-Identifier: MIT OR Apache-2.0
//! Channels: memory that two partitions share, with a doorbell each. The kernel
//! never touches the memory; it serves the register page and the bell.
//!
//! Ringing a pending bell is free. A bell that is not pending becomes an
//! interrupt at the receiver at once, or when the interval since its last one
//! is over, so a sender cannot make a receiver busier than the manifest allows.

use crate::arch::time;
use crate::log::{self, Seldom};
use crate::partition::Partition;
use abi::mailbox::event::Kind;
use abi::platform::channel as register;
use abi::records::{ChannelEnd, ChannelRecord};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use spin::Once;

/// One partition's end of a channel.
#[derive(Debug)]
pub struct Port {
    /// Guest address of the register page.
    pub registers: u64,
    /// Bytes of the shared memory.
    pub size: u64,
    /// INTID of this end's bell.
    pub interrupt: u32,
    /// Side, 0 or 1.
    pub side: u32,
    /// Place of the channel in the manifest.
    pub row: u32,
    /// Ticks between two interrupts at this end.
    pub interval: u64,
    /// The other end: its partition, and the place of its port there.
    pub peer: Once<(&'static Partition, usize)>,
    rung: AtomicBool,
    status: AtomicU32,
    mask: AtomicU32,
    next: AtomicU64,
    rings: AtomicU64,
    interrupts: AtomicU64,
    merged: AtomicU64,
    told: Seldom,
}

impl Port {
    /// An end whose peer is not known yet.
    #[must_use]
    pub fn new(channel: &ChannelRecord, row: usize, side: usize, end: &ChannelEnd) -> Self {
        Self {
            registers: end.registers.get(),
            size: channel.size.get(),
            interrupt: end.interrupt.get(),
            side: side as u32,
            row: row as u32,
            interval: time::ticks(channel.interval_ns.get()),
            peer: Once::new(),
            rung: AtomicBool::new(false),
            status: AtomicU32::new(0),
            mask: AtomicU32::new(1),
            next: AtomicU64::new(0),
            rings: AtomicU64::new(0),
            interrupts: AtomicU64::new(0),
            merged: AtomicU64::new(0),
            told: Seldom::never(),
        }
    }

    /// How often this end rang since its partition's last start, and how often it was interrupted.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.rings.load(Ordering::Relaxed), self.interrupts.load(Ordering::Relaxed))
    }

    /// Tells the other end's partition what became of this one.
    pub fn tell_peer(&self, kind: Kind) {
        if let Some((partition, _)) = self.peer.get() {
            log::tell(kind, Some(partition.index), 0, 0, self.row.into());
        }
    }

    /// The partition starts afresh.
    pub fn reset(&self) {
        self.rings.store(0, Ordering::Relaxed);
        self.interrupts.store(0, Ordering::Relaxed);
        self.rung.store(false, Ordering::Relaxed);
        self.status.store(0, Ordering::Relaxed);
        self.mask.store(1, Ordering::Relaxed);
    }

    /// Reads a register.
    #[must_use]
    pub fn read(&self, offset: u64) -> u64 {
        match offset {
            register::MASK => self.mask.load(Ordering::Relaxed).into(),
            register::STATUS => self.status.swap(0, Ordering::AcqRel).into(),
            register::POSITION => self.side.into(),
            register::SIZE => self.size,
            _ => 0,
        }
    }

    /// Writes a register.
    pub fn write(&self, offset: u64, value: u64) {
        match offset {
            register::MASK => self.mask.store(u32::from(value & 1 != 0), Ordering::Relaxed),
            register::DOORBELL if value >> 16 & 0xffff == u64::from(self.side ^ 1) => {
                self.ring_peer()
            }
            _ => {}
        }
    }

    /// Rings the peer's bell.
    fn ring_peer(&self) {
        let Some((partition, place)) = self.peer.get() else { return };
        let Some(port) = partition.channels.get(*place) else { return };
        self.rings.fetch_add(1, Ordering::Relaxed);
        // Release: what the sender wrote to the shared memory comes before the bell.
        port.status.fetch_or(1, Ordering::Release);
        if port.mask.load(Ordering::Relaxed) == 0 {
            return;
        }
        if port.rung.swap(true, Ordering::AcqRel) {
            port.merged.fetch_add(1, Ordering::Relaxed);
        } else {
            partition.ring(1, crate::bell::Wish::CHANNEL);
        }
    }

    /// Every so often an event tells how many rings made no interrupt of their own.
    #[cold]
    #[inline(never)]
    fn overflow(&self, merged: u64) {
        if let (Some((partition, _)), Some(since)) = (self.peer.get(), self.told.due(merged)) {
            log::tell(Kind::Doorbell, Some(partition.index), 0, since, self.row.into());
        }
    }

    /// Whether this end's interrupt is due now. If it is due later, this CPU
    /// will be interrupted then, to ask again.
    #[must_use]
    pub fn is_due(&self) -> bool {
        if !self.rung.load(Ordering::Acquire) {
            return false;
        }
        let now = time::now();
        let next = self.next.load(Ordering::Relaxed);
        if now < next {
            time::arm(next);
            return false;
        }
        // Of two CPUs that ask, one is told.
        if !self.rung.swap(false, Ordering::AcqRel) {
            return false;
        }
        self.next.store(now.saturating_add(self.interval), Ordering::Relaxed);
        self.interrupts.fetch_add(1, Ordering::Relaxed);
        let merged = self.merged.load(Ordering::Relaxed);
        if merged != 0 {
            self.overflow(merged);
        }
        true
    }
}
