// SPDX-License-Identifier: MIT OR Apache-2.0
//! What another CPU may do to a vCPU: set bits in its doorbell word and kick
//! the CPU it lives on. Nobody but that CPU touches the vCPU itself.

use crate::arch;
use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

bitflags::bitflags! {
    /// Wishes of other CPUs.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Wish: u32 {
        /// The virtual interrupt controller has something new for it.
        const REFRESH = 1 << 0;
        /// A channel of its partition was rung.
        const CHANNEL = 1 << 1;
        /// Start at [`Bell::start`]'s addresses.
        const START = 1 << 2;
        /// Stop, and say so by [`crate::partition::Partition::parked`].
        const STOP = 1 << 3;
        /// Wipe or fill the partition's memory, as its state says.
        const WORK = 1 << 4;
        /// The partition's state changed: it is paused or runs again, or its life has a new deadline.
        const STATE = 1 << 5;
        /// Its mailbox has requests, or there are events for it.
        const MAILBOX = 1 << 6;
        /// Make the guest dump itself.
        const DUMP = 1 << 7;
    }
}

impl Wish {
    /// Those that the CPU's loop answers, with the vCPU not entered.
    pub const CONTROL: Self = Self::START.union(Self::STOP).union(Self::WORK).union(Self::RARE);
    /// Of those, what comes rarely.
    pub const RARE: Self = Self::STATE.union(Self::MAILBOX).union(Self::DUMP);
}

/// A vCPU's doorbell word, with what goes with [`Wish::START`]; a cache line of
/// its own, because two CPUs write to it.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Bell {
    word: AtomicU32,
    cpu: u32,
    kick: arch::Kick,
    power: AtomicU8,
    entry: AtomicU64,
    argument: AtomicU64,
}

const OFF: u8 = 0;
const PENDING: u8 = 1;
const ON: u8 = 2;
/// Off, and not to be started: the partition ends.
const CLOSED: u8 = 3;

/// Why [`Bell::start`] did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotOff {
    /// The vCPU runs, or its partition ends.
    On,
    /// The vCPU is being started.
    Pending,
}

impl Bell {
    /// The bell of a vCPU that lives on `cpu` and is off.
    #[must_use]
    pub fn new(cpu: u32) -> Self {
        Self {
            word: AtomicU32::new(0),
            cpu,
            kick: arch::Kick::new(cpu),
            power: AtomicU8::new(OFF),
            entry: AtomicU64::new(0),
            argument: AtomicU64::new(0),
        }
    }

    /// The CPU that the vCPU lives on.
    #[must_use]
    pub const fn cpu(&self) -> u32 {
        self.cpu
    }

    /// Leaves a wish and kicks the CPU. Release: what the wish is about was
    /// written before; [`Bell::take`] acquires it.
    #[inline(always)]
    pub fn ring(&self, wish: Wish) {
        if self.word.fetch_or(wish.bits(), Ordering::Release) & wish.bits() != wish.bits() {
            self.kick.send();
        }
    }

    /// Whether any of these wishes waits. Relaxed: [`Bell::take`] follows.
    #[must_use]
    pub fn waits(&self, wish: Wish) -> bool {
        self.word.load(Ordering::Relaxed) & wish.bits() != 0
    }

    /// Takes these wishes away, and tells all that waited. Acquire: pairs with [`Bell::ring`].
    #[inline(always)]
    #[must_use]
    pub fn take(&self, of: Wish) -> Wish {
        Wish::from_bits_retain(self.word.fetch_and(!of.bits(), Ordering::Acquire))
    }

    /// Takes this wish away if it alone waits, and tells whether; it may fail to for no reason, and
    /// [`Bell::take`] is to follow then. Acquire: pairs with [`Bell::ring`].
    #[inline(always)]
    #[must_use]
    pub fn take_alone(&self, wish: Wish) -> bool {
        self.word
            .compare_exchange_weak(wish.bits(), 0, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// Asks for a start, unless the vCPU is on or about to be.
    ///
    /// # Errors
    /// [`NotOff`], and nothing happened.
    pub fn start(&self, entry: u64, argument: u64) -> Result<(), NotOff> {
        // Acquire and release: of two CPUs that ask, one wins and alone writes the addresses.
        match self.power.compare_exchange(OFF, PENDING, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => {
                self.entry.store(entry, Ordering::Relaxed);
                self.argument.store(argument, Ordering::Relaxed);
                self.ring(Wish::START);
                Ok(())
            }
            Err(PENDING) => Err(NotOff::Pending),
            Err(_) => Err(NotOff::On),
        }
    }

    /// Called by its CPU on [`Wish::START`]: the vCPU is on from now; entry and argument.
    /// None if its partition has begun to end since somebody asked.
    #[must_use]
    pub fn started(&self) -> Option<(u64, u64)> {
        let power = &self.power;
        power.compare_exchange(PENDING, ON, Ordering::AcqRel, Ordering::Acquire).ok()?;
        Some((self.entry.load(Ordering::Relaxed), self.argument.load(Ordering::Relaxed)))
    }

    /// Called by its CPU: the vCPU is off from now.
    pub fn stopped(&self) {
        self.power.store(OFF, Ordering::Release);
    }

    /// Called by its CPU when its partition ends: the vCPU is off, and stays off.
    pub fn close(&self) {
        self.power.store(CLOSED, Ordering::Release);
    }

    /// Called when every vCPU of the partition was closed: it may be started
    /// again, and a start that came too late is forgotten.
    pub fn open(&self) {
        // Acquire: whoever left that wish has parked.
        self.word.fetch_and(!Wish::START.bits(), Ordering::Acquire);
        self.power.store(OFF, Ordering::Release);
    }

    /// On, being started, or neither.
    #[must_use]
    pub fn state(&self) -> Option<NotOff> {
        match self.power.load(Ordering::Acquire) {
            ON => Some(NotOff::On),
            PENDING => Some(NotOff::Pending),
            _ => None,
        }
    }
}
