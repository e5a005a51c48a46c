// SPDX-License-Identifier: MIT OR Apache-2.0
//! A partition: what belongs together and to nobody else, and its life.
//!
//! ```text
//!            prepared                 end(how)              all CPUs parked
//!  Filling ------------> Running ------------------> Ending ----------------+
//!     ^                                                                     |
//!     +---------------- restart, or as its policy says ---------------------+
//!                                                                           |
//!                            Ended <--------- Wiping <---- off or fault ----+
//! ```
//! A partition ends once: the first to ask says how. Each of its CPUs then
//! parks its vCPU; the last one hands the memory to vCPU 0's CPU, which wipes
//! or fills it in steps (work.rs). Nothing is allocated: a restart uses the
//! same tables, locks and bells again.

use crate::arch::{self, Platform, Stage2};
use crate::bell::{Bell, NotOff, Wish};
use crate::channel::Port;
use crate::fault::Why;
use crate::restart::Restart;
use abi::mailbox::policy::Fate;
use alloc::boxed::Box;
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use paging::{GuestPhys, HostPhys};

/// How a partition ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It asked to be started afresh.
    Restart,
    /// It asked to be switched off.
    Off,
    /// It could not go on.
    Fault(Why),
}

/// Where a partition is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Its memory is being zeroed and its image copied.
    Filling = 0,
    /// Its vCPUs run.
    Running = 1,
    /// Its vCPUs are being parked.
    Ending = 2,
    /// Its memory is being zeroed for the last time.
    Wiping = 3,
    /// It has ended.
    Ended = 4,
}

/// Memory of a partition: the same bytes in guest and host addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// First guest address.
    pub guest: GuestPhys,
    /// First host address.
    pub host: HostPhys,
    /// Bytes; may be zero.
    pub size: u64,
}

impl Memory {
    /// Whether a guest address lies in it.
    #[must_use]
    pub fn holds(&self, guest: GuestPhys) -> bool {
        guest.offset_from(self.guest).is_some_and(|offset| offset < self.size)
    }
}

/// Bytes copied from the bundle before the partition starts.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// Where they go.
    pub host: HostPhys,
    /// What they are.
    pub bytes: &'static [u8],
}

/// One partition. It lives as long as the machine runs.
#[derive(Debug)]
pub struct Partition {
    /// Its name, and its console's tag.
    pub name: &'static str,
    /// Row in the manifest.
    pub index: usize,
    /// RAM and read-only flash.
    pub memory: [Memory; 2],
    /// What is copied there at every start.
    pub segments: Box<[Segment]>,
    /// First instruction and first argument of vCPU 0.
    pub entry: (u64, u64),
    /// Second translation.
    pub stage2: Stage2,
    /// The devices that the kernel emulates for it.
    pub platform: Platform,
    /// Its ends of channels.
    pub channels: Box<[Port]>,
    /// What other CPUs may do to its vCPUs.
    pub bells: Box<[Bell]>,
    /// Whether it is started again when it has ended.
    pub restart: Restart,
    phase: AtomicU8,
    how: AtomicU8,
    parked: AtomicU32,
    running: AtomicU32,
    restarts: AtomicU32,
}

/// Numbers of [`End`] in `how`; above them are those of [`Why`].
const RESTART: u8 = 0;
const OFF: u8 = 1;
const FAULT: u8 = 0x80;
/// It has not ended yet.
const NEVER: u8 = 0x7f;

/// What a partition is made of.
#[derive(Debug)]
pub struct Parts {
    /// See [`Partition::name`].
    pub name: &'static str,
    /// See [`Partition::index`].
    pub index: usize,
    /// See [`Partition::memory`].
    pub memory: [Memory; 2],
    /// See [`Partition::segments`].
    pub segments: Box<[Segment]>,
    /// See [`Partition::entry`].
    pub entry: (u64, u64),
    /// See [`Partition::stage2`].
    pub stage2: Stage2,
    /// See [`Partition::platform`].
    pub platform: Platform,
    /// See [`Partition::channels`].
    pub channels: Box<[Port]>,
    /// See [`Partition::bells`].
    pub bells: Box<[Bell]>,
    /// See [`Partition::restart`].
    pub restart: Restart,
}

impl Partition {
    /// A partition whose memory is to be filled.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        arch::shared().alive.fetch_add(1, Ordering::Relaxed);
        let Parts {
            name,
            index,
            memory,
            segments,
            entry,
            stage2,
            platform,
            channels,
            bells,
            restart,
        } = parts;
        Self {
            name,
            index,
            memory,
            segments,
            entry,
            stage2,
            platform,
            channels,
            bells,
            restart,
            phase: AtomicU8::new(Phase::Filling as u8),
            how: AtomicU8::new(NEVER),
            parked: AtomicU32::new(0),
            running: AtomicU32::new(0),
            restarts: AtomicU32::new(0),
        }
    }

    /// Where it is in its life.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Filling,
            1 => Phase::Running,
            2 => Phase::Ending,
            3 => Phase::Wiping,
            _ => Phase::Ended,
        }
    }

    /// How it ends or ended.
    #[must_use]
    pub fn how(&self) -> End {
        match self.how.load(Ordering::Acquire) {
            RESTART => End::Restart,
            OFF => End::Off,
            number => Why::from_number(number & !FAULT).map_or(End::Off, End::Fault),
        }
    }

    /// Times it was started afresh.
    #[must_use]
    pub fn restarts(&self) -> u32 {
        self.restarts.load(Ordering::Relaxed)
    }

    /// Leaves a wish at each of these vCPUs, one bit each.
    #[inline]
    pub fn ring(&self, mut vcpus: u32, wish: Wish) {
        while vcpus != 0 {
            if let Some(bell) = self.bells.get(vcpus.trailing_zeros() as usize) {
                bell.ring(wish);
            }
            vcpus &= vcpus.wrapping_sub(1);
        }
    }

    /// One bit for each vCPU.
    fn everyone(&self) -> u32 {
        u32::MAX.checked_shr(32 - self.bells.len().clamp(1, 32) as u32).unwrap_or(u32::MAX)
    }

    /// Ends it, unless it is ending already. False if it was.
    pub fn end(&self, how: End) -> bool {
        // The winner's `how` follows; it is looked at only once every CPU has parked.
        if !self.advance(Phase::Running, Phase::Ending) {
            return false;
        }
        let how = match how {
            End::Restart => RESTART,
            End::Off => OFF,
            End::Fault(why) => FAULT | why as u8,
        };
        self.how.store(how, Ordering::Release);
        self.ring(self.everyone(), Wish::STOP);
        true
    }

    /// Called by the CPU of vCPU `vcpu` when it has parked it. The last one
    /// hands the memory over, and is told what becomes of the partition.
    pub fn parked(&self, vcpu: usize) -> Option<Fate> {
        let mine = 1u32.checked_shl(vcpu as u32).unwrap_or(0);
        // Acquire and release: the last to park sees what all others did to the partition.
        let before = self.parked.fetch_or(mine, Ordering::AcqRel);
        if before | mine != self.everyone() || before & mine != 0 {
            return None;
        }
        self.parked.store(0, Ordering::Relaxed);
        self.running.store(0, Ordering::Relaxed);
        let fate = self.restart.decide(self.how());
        let next = if matches!(fate, Fate::Again(_)) { Phase::Filling } else { Phase::Wiping };
        let goes_on = self.advance(Phase::Ending, next);
        if goes_on {
            for bell in &self.bells {
                bell.open();
            }
            self.ring(1, Wish::WORK);
        }
        goes_on.then_some(fate)
    }

    /// Goes on to the next phase; false if it was abandoned meanwhile. Acquire
    /// and release: who sees a phase sees what was done before it.
    fn advance(&self, from: Phase, to: Phase) -> bool {
        let (from, to) = (from as u8, to as u8);
        self.phase.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Called by vCPU 0's CPU when memory is filled: the partition runs.
    pub fn filled(&self) {
        if let (true, Some(bell)) =
            (self.advance(Phase::Filling, Phase::Running), self.bells.first())
        {
            let (entry, argument) = self.entry;
            // A parked vCPU is off, so this start is the only one.
            let _ = self.start_vcpu(bell, entry, argument);
        }
    }

    /// Whether its memory was filled before.
    #[must_use]
    pub fn is_restart(&self) -> bool {
        self.how.load(Ordering::Relaxed) != NEVER
    }

    /// Counts a start afresh; the number it has.
    pub fn count_restart(&self) -> u32 {
        self.restarts.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    /// Called by vCPU 0's CPU when memory is wiped. True if it was the last partition.
    #[must_use]
    pub fn wiped(&self) -> bool {
        self.advance(Phase::Wiping, Phase::Ended)
            && arch::shared().alive.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Called on a CPU that panicked: its partition ends here, unwiped, since
    /// nobody may run on that CPU again. True if it was the last partition.
    pub fn abandon(&self) -> bool {
        // Of this and `wiped`, which may come at the same time, one counts.
        if self.phase.swap(Phase::Ended as u8, Ordering::AcqRel) == Phase::Ended as u8 {
            return false;
        }
        self.how.store(FAULT | Why::HypervisorPanic as u8, Ordering::Release);
        self.ring(self.everyone(), Wish::STOP);
        arch::shared().alive.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Starts one of its vCPUs, by its bell. It counts from now, so that
    /// whoever starts it may switch itself off at once.
    ///
    /// # Errors
    /// [`NotOff`], and nothing happened.
    pub fn start_vcpu(&self, bell: &Bell, entry: u64, argument: u64) -> Result<(), NotOff> {
        self.running.fetch_add(1, Ordering::AcqRel);
        let started = bell.start(entry, argument);
        if started.is_err() {
            // Whoever asks runs, so this is not the last.
            self.running.fetch_sub(1, Ordering::AcqRel);
        }
        started
    }

    /// One of its vCPUs switched itself off. True if none is left.
    #[must_use]
    pub fn cpu_off(&self) -> bool {
        self.running.fetch_sub(1, Ordering::AcqRel) == 1
    }
}
