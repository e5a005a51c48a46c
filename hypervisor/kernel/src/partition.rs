// SPDX-License-Identifier: MIT OR Apache-2.0
//! A partition: what belongs together and to nobody else, and its life, which is
//! `abi`'s ([`abi::mailbox::life`], whose `state.rs` has the table of its states).
//!
//! A partition ends once: the first to ask says why. Each of its CPUs then
//! parks its vCPU; the last one hands the memory to vCPU 0's CPU, which wipes
//! or fills it in steps (work.rs). Nothing is allocated: a restart uses the
//! same tables, locks and bells again.
//!
//! Its life has a lock, under which nobody takes another.

use crate::MAILBOX;
use crate::arch::{self, Platform, Stage2, time};
use crate::bell::{Bell, NotOff, Wish};
use crate::channel::Port;
use crate::cpu;
use crate::fault::Why;
use crate::log;
use crate::mailbox::{Mailbox, nanoseconds};
use crate::statistics::Counters;
use abi::mailbox::event::Kind;
use abi::mailbox::life::{Due, Life};
use abi::mailbox::policy::{Fate, Policy};
use abi::mailbox::state::{self, State, Step};
use abi::mailbox::watchdog::Watchdog;
use abi::mailbox::{Code, Failure};
use alloc::boxed::Box;
use core::ops::Deref;
use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use paging::{GuestPhys, HostPhys};
use spin::Mutex;

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
    parts: Parts,
    life: Mutex<Life>,
    /// When its life goes on by itself, in ticks; [`u64::MAX`] if it does not.
    deadline: AtomicU64,
    fault: AtomicU8,
    parked: AtomicU32,
    running: AtomicU32,
}

impl Deref for Partition {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

/// When a partition is started first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Start {
    /// When somebody asks for it.
    pub manual: bool,
    /// When all of these run.
    pub depends: abi::mailbox::rights::Set,
}

/// What a partition is made of, which never changes but within.
#[derive(Debug)]
pub struct Parts {
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
    /// What its vCPUs did, one for each.
    pub counters: Box<[Counters]>,
    /// How it speaks with the hypervisor, if it may: see [`Partition::mailbox()`].
    pub mailbox: Option<Mailbox>,
    /// Whether it starts by itself, and whom it waits for.
    pub start: Start,
    /// Whether it is started again when it has ended, and its watchdog; times in ticks.
    pub policy: Policy,
}

impl Partition {
    /// A partition whose memory is to be filled, or which waits.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let starts = !parts.start.manual && parts.start.depends == Default::default();
        if starts {
            arch::shared().alive.fetch_add(1, Ordering::Relaxed);
        }
        Self {
            parts,
            life: Mutex::new(Life::new(starts)),
            deadline: AtomicU64::new(u64::MAX),
            fault: AtomicU8::new(0),
            parked: AtomicU32::new(0),
            running: AtomicU32::new(0),
        }
    }

    /// How it speaks with the hypervisor, if it may.
    #[inline(always)]
    #[must_use]
    pub fn mailbox(&self) -> Option<&Mailbox> {
        self.mailbox.as_ref().filter(|_| MAILBOX)
    }

    /// Where it is in its life.
    #[must_use]
    pub fn state(&self) -> State {
        self.life.lock().state()
    }

    /// Its life as it is now.
    #[must_use]
    pub fn life(&self) -> Life {
        self.life.lock().clone()
    }

    /// Changes its life, which then may go on by itself at another time.
    #[inline(never)]
    fn change(&self, change: &mut dyn FnMut(&mut Life, u64)) {
        let mut life = self.life.lock();
        change(&mut life, time::now());
        // Relaxed: vCPU 0's CPU, which looks at it, is told by a bell.
        self.deadline.store(life.deadline().unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How it ends or ended last.
    #[must_use]
    pub fn how(&self) -> End {
        match self.life.lock().why() {
            None | Some(state::Why::Off | state::Why::Stopped | state::Why::Killed) => End::Off,
            Some(state::Why::Reset | state::Why::Restarted) => End::Restart,
            Some(state::Why::Watchdog) => End::Fault(Why::Watchdog),
            Some(state::Why::Panic) => End::Fault(Why::HypervisorPanic),
            Some(state::Why::Crash) => {
                let fault = Why::from_number(self.fault.load(Ordering::Acquire));
                End::Fault(fault.unwrap_or(Why::UnknownExit))
            }
        }
    }

    /// Leaves a wish at each of these vCPUs, one bit each.
    #[inline(always)]
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
        let why = match how {
            End::Restart => state::Why::Reset,
            End::Off => state::Why::Off,
            End::Fault(Why::Watchdog) => state::Why::Watchdog,
            End::Fault(_) => state::Why::Crash,
        };
        let mut ends = false;
        self.change(&mut |life, now| {
            ends = life.end(why, &self.policy, now);
            if let (true, End::Fault(fault)) = (ends, how) {
                self.fault.store(fault as u8, Ordering::Release);
            }
        });
        if ends {
            self.ring(self.everyone(), Wish::STOP);
        }
        ends
    }

    /// Somebody asks it to start, restart, pause, resume, or to be killed.
    ///
    /// # Errors
    /// Why not, and nothing happened.
    pub fn ask(&self, step: Step) -> Result<State, Failure> {
        self.request(&mut |life, now| life.ask(step, &self.policy, now))
    }

    /// Somebody asks it to end within so many ticks.
    ///
    /// # Errors
    /// Why not, and nothing happened.
    pub fn ask_stop(&self, within: u64) -> Result<State, Failure> {
        self.request(&mut |life, now| life.stop(within, now))
    }

    #[inline(never)]
    fn request(
        &self,
        ask: &mut dyn FnMut(&mut Life, u64) -> Result<State, Failure>,
    ) -> Result<State, Failure> {
        let (mut lived, mut state) = (false, Err(Failure::new(Code::Unsupported)));
        self.change(&mut |life, now| {
            lived = is_alive(life.state());
            state = ask(life, now);
            if !lived && state == Ok(State::Starting) {
                arch::shared().alive.fetch_add(1, Ordering::AcqRel);
            }
        });
        let state = state?;
        #[expect(clippy::wildcard_enum_match_arm, reason = "the rest is looked at")]
        match state {
            State::Starting => self.ring(1, Wish::WORK),
            State::Ending => self.ring(self.everyone(), Wish::STOP),
            State::Off => cpu::ended(self, lived && last_of_all()),
            _ => self.ring(self.everyone(), Wish::STATE),
        }
        Ok(state)
    }

    /// Somebody changes its watchdog.
    pub fn change_watchdog(&self, change: &mut dyn FnMut(&mut Watchdog, u64)) {
        self.change(&mut |life, now| change(life.watchdog_mut(), now));
        self.ring(1, Wish::STATE);
    }

    /// Called by vCPU 0's CPU, now and then: what has come by itself. Asks to be called again.
    #[inline(always)]
    pub fn look(&self) {
        let deadline = self.deadline.load(Ordering::Relaxed);
        if deadline == u64::MAX {
            return;
        }
        if time::now() < deadline {
            time::arm(deadline);
            return;
        }
        self.due();
    }

    #[cold]
    #[inline(never)]
    fn due(&self) {
        let mut due = None;
        self.change(&mut |life, now| due = life.due(&self.policy, now));
        match due {
            Some(Due::Start) => self.ring(1, Wish::WORK),
            Some(Due::End(why)) => {
                if why == state::Why::Watchdog {
                    let time = self.life().watchdog().period().unwrap_or(0);
                    log::tell(Kind::Watchdog, Some(self.index), 0, nanoseconds(time), 0);
                }
                self.ring(self.everyone(), Wish::STOP);
            }
            None => {}
        }
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
        let (mut state, mut fate) = (State::Failed, Fate::Failed);
        self.change(&mut |life, now| (state, fate) = (life.parked(now), life.fate()));
        let goes_on = matches!(state, State::Starting | State::Wiping);
        if goes_on {
            for bell in &self.bells {
                bell.open();
            }
            self.ring(1, Wish::WORK);
        }
        goes_on.then_some(fate)
    }

    /// Called by vCPU 0's CPU when memory is filled: the partition runs. The times it was started
    /// afresh; none if it was abandoned meanwhile.
    pub fn filled(&self) -> Option<u32> {
        let mut restarts = None;
        self.change(&mut |life, now| {
            restarts = life.filled(&self.policy, now).then_some(life.restarts());
        });
        restarts
    }

    /// vCPU 0 starts.
    pub fn start_first(&self) {
        if let Some(bell) = self.bells.first() {
            let (entry, argument) = self.entry;
            // A parked vCPU is off, so this start is the only one.
            let _ = self.start_vcpu(bell, entry, argument);
        }
    }

    /// Called by vCPU 0's CPU when memory is wiped: where it is now, and whether
    /// it was the last partition.
    #[must_use]
    pub fn wiped(&self) -> (State, bool) {
        let mut state = State::Failed;
        self.change(&mut |life, _| state = life.wiped());
        (state, !is_alive(state) && last_of_all())
    }

    /// Called on a CPU that panicked: its partition ends here, unwiped, since
    /// nobody may run on that CPU again. True if it was the last partition.
    pub fn abandon(&self) -> bool {
        let mut lived = false;
        self.change(&mut |life, now| {
            lived = is_alive(life.state());
            life.abandon(now);
        });
        self.ring(self.everyone(), Wish::STOP);
        if lived {
            let why = state::Why::Panic.number().into();
            for kind in [Kind::Crashed, Kind::Stopped] {
                log::tell(kind, Some(self.index), why, Why::HypervisorPanic as u64, 0);
            }
            self.channels.iter().for_each(|port| port.tell_peer(Kind::PeerGone));
        }
        lived && last_of_all()
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

/// Whether a partition runs or will by itself: with the last such one the machine ends.
const fn is_alive(state: State) -> bool {
    !matches!(state, State::Waiting | State::Off | State::Failed)
}

/// One that was alive is not any more. True if it was the last one.
fn last_of_all() -> bool {
    arch::shared().alive.fetch_sub(1, Ordering::AcqRel) == 1
}
