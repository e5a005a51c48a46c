// SPDX-License-Identifier: MIT OR Apache-2.0
//! Channels: memory that two partitions share, with a doorbell each. The kernel
//! never touches the memory; it serves the register page and the bell.
//!
//! Ringing a pending bell is free. A bell that is not pending becomes an
//! interrupt at the receiver at once, or when the interval since its last one
//! is over, so a sender cannot make a receiver busier than the manifest allows.

use crate::arch::time;
use crate::partition::Partition;
use abi::platform::channel as register;
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
    /// Ticks between two interrupts at this end.
    pub interval: u64,
    /// The other end: its partition, and the place of its port there.
    pub peer: Once<(&'static Partition, usize)>,
    rung: AtomicBool,
    status: AtomicU32,
    mask: AtomicU32,
    next: AtomicU64,
}

impl Port {
    /// An end whose peer is not known yet.
    #[must_use]
    pub const fn new(registers: u64, size: u64, interrupt: u32, side: u32, interval: u64) -> Self {
        Self {
            registers,
            size,
            interrupt,
            side,
            interval,
            peer: Once::new(),
            rung: AtomicBool::new(false),
            status: AtomicU32::new(0),
            mask: AtomicU32::new(1),
            next: AtomicU64::new(0),
        }
    }

    /// The partition starts afresh.
    pub fn reset(&self) {
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
        // Release: what the sender wrote to the shared memory comes before the bell.
        port.status.fetch_or(1, Ordering::Release);
        if port.mask.load(Ordering::Relaxed) != 0 && !port.rung.swap(true, Ordering::AcqRel) {
            partition.ring(1, crate::bell::Wish::CHANNEL);
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
        true
    }
}
