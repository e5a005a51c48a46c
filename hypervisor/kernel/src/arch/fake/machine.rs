// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine behind the fake's functions, as a test holds it in its hands.
//!
//! A thread plays one CPU of one machine at a time ([`Machine::on`]). All
//! machines stay reachable for the program's life: the kernel's partitions do
//! too, and a leak checker should have nothing to say.

use super::events::{Event, Reply, Stopped};
use super::memory::Pages;
use super::stage2::Store;
use super::std::cell::Cell;
use super::std::collections::{BTreeMap, VecDeque};
use super::std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use super::std::sync::{Mutex, PoisonError};
use super::std::thread_local;
use crate::arch::fake::serial::Serial;
use crate::console::Line;
use crate::cpu::Cpu;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::shared::Shared;
use abi::records::DeviceRecord;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::AtomicU64;

/// A bundle lies at a multiple of this, as in flash.
const BUNDLE_ALIGN: usize = 64;

/// Words that outlive a reset: 32 KiB.
const KEPT_WORDS: usize = 4096;

/// One CPU.
#[derive(Debug, Default)]
pub(super) struct CpuState {
    pending: VecDeque<Interrupt>,
    pub(super) deadline: Option<u64>,
    pub(super) stopped: bool,
    waited: bool,
    sleeps: usize,
    played: bool,
    seated: Option<&'static mut Cpu>,
}

/// Everything that changes. The lock is held for one function of the fake.
#[derive(Debug)]
pub(super) struct State {
    pub(super) now: u64,
    pub(super) off: bool,
    pub(super) console_cpu: usize,
    pub(super) room: usize,
    pub(super) has_host_line: bool,
    /// Bytes that left the console's UART and the host's own.
    pub(super) sent: [Vec<u8>; 2],
    /// Bytes that wait there.
    pub(super) typed: [VecDeque<u8>; 2],
    pub(super) masked: bool,
    pub(super) pages: Pages,
    pub(super) tables: Store,
    cpus: Vec<CpuState>,
    /// The CPU that unwinds where it would wait.
    leaves: Option<usize>,
    events: Vec<Event>,
    scripts: BTreeMap<(usize, usize), VecDeque<Exit>>,
    replies: BTreeMap<(usize, usize), Vec<Reply>>,
    kept: Vec<&'static [u8]>,
}

impl State {
    pub(super) fn log(&mut self, event: Event) {
        self.events.push(event);
    }

    pub(super) fn cpu(&mut self, cpu: usize) -> &mut CpuState {
        if self.cpus.len() <= cpu {
            self.cpus.resize_with(cpu + 1, CpuState::default);
        }
        #[expect(clippy::indexing_slicing, reason = "the vector was made long enough")]
        &mut self.cpus[cpu]
    }

    fn is_typed(&self) -> bool {
        self.typed.iter().any(|bytes| !bytes.is_empty())
    }

    pub(super) fn is_pending(&mut self, cpu: usize) -> bool {
        let (now, typed) = (self.now, self.is_typed() && cpu == self.console_cpu);
        let this = self.cpu(cpu);
        typed || !this.pending.is_empty() || this.deadline.is_some_and(|deadline| deadline <= now)
    }

    pub(super) fn acknowledge(&mut self, cpu: usize) -> Interrupt {
        if self.is_typed() && cpu == self.console_cpu {
            return Interrupt::Console;
        }
        let now = self.now;
        let this = self.cpu(cpu);
        if this.deadline.is_some_and(|deadline| deadline <= now) {
            this.deadline = None;
            return Interrupt::Deadline;
        }
        this.pending.pop_front().unwrap_or(Interrupt::None)
    }

    /// Whether the CPU's loop is to be left.
    pub(super) fn wait(&mut self, cpu: usize) -> bool {
        let nothing = !self.is_pending(cpu);
        let this = self.cpu(cpu);
        this.waited = nothing;
        this.sleeps += 1;
        nothing && self.leaves == Some(cpu)
    }

    /// The next exit of a vCPU; none at the end of its script.
    pub(super) fn next_exit(&mut self, cpu: usize, vcpu: (usize, usize)) -> Option<Exit> {
        let exit = self.scripts.get_mut(&vcpu).and_then(VecDeque::pop_front);
        self.cpu(cpu).played |= exit.is_some();
        exit
    }

    pub(super) fn reply(&mut self, vcpu: (usize, usize), reply: Reply) {
        self.replies.entry(vcpu).or_default().push(reply);
    }
}

/// A machine.
#[derive(Debug)]
pub struct Machine {
    /// What its CPUs share.
    pub shared: Shared,
    /// What a reset leaves alone.
    pub kept: &'static [AtomicU64],
    state: Mutex<State>,
}

thread_local! {
    static MACHINE: Cell<Option<&'static Machine>> = const { Cell::new(None) };
    static CPU: Cell<usize> = const { Cell::new(0) };
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// All machines.
static MACHINES: Mutex<Vec<&'static Machine>> = Mutex::new(Vec::new());

/// The CPU that this thread plays.
pub(super) fn cpu() -> usize {
    CPU.get()
}

/// Leaves the CPU's loop, without the noise of a panic.
pub(super) fn unwind(why: Stopped) -> ! {
    resume_unwind(Box::new(why))
}

impl Machine {
    /// A machine that was just switched on, which this thread uses from now on.
    #[must_use]
    pub fn start() -> &'static Self {
        Self::start_again(Box::leak(Box::new([const { AtomicU64::new(0) }; KEPT_WORDS])))
    }

    /// A machine that was reset: nothing is left of before but what it kept.
    #[must_use]
    pub fn start_again(kept: &'static [AtomicU64]) -> &'static Self {
        let state = State {
            now: 1000,
            off: false,
            console_cpu: 0,
            room: usize::MAX,
            has_host_line: false,
            sent: Default::default(),
            typed: Default::default(),
            masked: false,
            pages: Pages::default(),
            tables: Store::default(),
            cpus: Vec::new(),
            leaves: None,
            events: Vec::new(),
            scripts: BTreeMap::new(),
            replies: BTreeMap::new(),
            kept: Vec::new(),
        };
        let machine = Self { shared: Shared::new(), kept, state: Mutex::new(state) };
        let machine: &'static Self = Box::leak(Box::new(machine));
        MACHINES.lock().unwrap_or_else(PoisonError::into_inner).push(machine);
        machine.enter(0);
        machine
    }

    /// This thread plays a CPU of this machine from now on.
    pub fn enter(&'static self, cpu: usize) {
        MACHINE.set(Some(self));
        CPU.set(cpu);
    }

    /// The machine that this thread uses; a fresh one the first time.
    #[must_use]
    pub(super) fn current() -> &'static Self {
        MACHINE.get().unwrap_or_else(Self::start)
    }

    pub(super) fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        INSIDE.set(true);
        let result = work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        INSIDE.set(false);
        result
    }

    /// Whether this thread is in the machine's own code, which does what real
    /// machines have no code for: nobody should count it as the kernel's.
    #[must_use]
    pub fn is_inside() -> bool {
        INSIDE.get()
    }

    /// Plays a CPU while `work` runs.
    ///
    /// # Errors
    /// Why the work was left before its end.
    pub fn on<T>(&'static self, cpu: usize, work: impl FnOnce() -> T) -> Result<T, Stopped> {
        let before = (MACHINE.get(), CPU.get());
        self.enter(cpu);
        let result = catch_unwind(AssertUnwindSafe(work));
        MACHINE.set(before.0);
        CPU.set(before.1);
        result.map_err(|payload| match payload.downcast::<Stopped>() {
            Ok(stopped) => *stopped,
            Err(panic) => resume_unwind(panic),
        })
    }

    /// One turn of a started CPU's loop.
    ///
    /// # Errors
    /// [`Stopped::Cpu`] if it does nothing any more, [`Stopped::Machine`] after power off.
    pub fn turn(&'static self, cpu: usize) -> Result<(), Stopped> {
        if self.is_off() {
            return Err(Stopped::Machine);
        }
        let taken = self.with(|state| {
            let this = state.cpu(cpu);
            (this.waited, this.played) = (false, false);
            this.seated.take_if(|_| !this.stopped)
        });
        let seated = taken.ok_or(Stopped::Cpu)?;
        let result = self.on(cpu, || seated.turn());
        self.with(|state| state.cpu(cpu).seated = Some(seated));
        result
    }

    /// Whether the CPU's last turn found nothing to do, and nothing came since.
    #[must_use]
    pub fn is_waiting(&self, cpu: usize) -> bool {
        self.with(|state| {
            let this = state.cpu(cpu);
            this.waited && !this.played && !state.is_pending(cpu)
        })
    }

    /// Times that the CPU went to sleep.
    #[must_use]
    pub fn sleeps(&self, cpu: usize) -> usize {
        self.with(|state| state.cpu(cpu).sleeps)
    }

    /// Guests have, or have not, masked their interrupts.
    pub fn mask(&self, masked: bool) {
        self.with(|state| state.masked = masked);
    }

    /// CPUs that the kernel started, in order.
    #[must_use]
    pub fn started(&self) -> Vec<usize> {
        self.with(|state| {
            let cpus = state.cpus.iter().enumerate();
            cpus.filter(|(_, cpu)| cpu.seated.is_some()).map(|(number, _)| number).collect()
        })
    }

    /// This CPU's loop is to be left where it would wait.
    pub fn leave_at_wait(&self, cpu: usize) {
        self.with(|state| state.leaves = Some(cpu));
    }

    /// Whether the CPU does nothing any more.
    #[must_use]
    pub fn is_stopped(&self, cpu: usize) -> bool {
        self.with(|state| state.cpu(cpu).stopped)
    }

    /// Whether the kernel switched the machine off.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.with(|state| state.off)
    }

    /// Time goes on.
    pub fn advance(&self, nanoseconds: u64) {
        let ticks = super::time::ticks(nanoseconds);
        self.with(|state| state.now += ticks);
    }

    /// What a vCPU will exit with, after what it was given already.
    pub fn play(&self, partition: usize, vcpu: usize, exits: impl IntoIterator<Item = Exit>) {
        self.with(|state| state.scripts.entry((partition, vcpu)).or_default().extend(exits));
    }

    /// What a vCPU got for its exits since the last call.
    #[must_use]
    pub fn replies(&self, partition: usize, vcpu: usize) -> Vec<Reply> {
        self.with(|state| state.replies.remove(&(partition, vcpu)).unwrap_or_default())
    }

    /// Exits of a vCPU's script that were not played yet.
    #[must_use]
    pub fn left(&self, partition: usize, vcpu: usize) -> usize {
        self.with(|state| state.scripts.get(&(partition, vcpu)).map_or(0, VecDeque::len))
    }

    /// A physical interrupt comes to a CPU. A kick that waits already stays one.
    pub fn interrupt(&self, cpu: usize, interrupt: Interrupt) {
        self.with(|state| {
            if interrupt == Interrupt::Kick {
                state.log(Event::Kicked { cpu });
            }
            let pending = &mut state.cpu(cpu).pending;
            if interrupt != Interrupt::Kick || !pending.contains(&Interrupt::Kick) {
                pending.push_back(interrupt);
            }
        });
    }

    /// Somebody types at the console.
    pub fn type_in(&self, bytes: &[u8]) {
        self.with(|state| state.typed[Line::Console as usize].extend(bytes));
    }

    /// The host sends on its own line.
    pub fn send_in(&self, bytes: &[u8]) {
        self.with(|state| state.typed[Line::Host as usize].extend(bytes));
    }

    /// Whether the kernel took a UART for the host.
    #[must_use]
    pub fn has_host_line(&self) -> bool {
        self.with(|state| state.has_host_line)
    }

    /// What the host's own line has brought it since the last call.
    #[must_use]
    pub fn sent_to_host(&self) -> Vec<u8> {
        self.with(|state| core::mem::take(&mut state.sent[Line::Host as usize]))
    }

    /// The UART takes this many bytes, and then no more.
    pub fn set_room(&self, bytes: usize) {
        self.with(|state| state.room = bytes);
    }

    /// What the console's UART has sent since the last call.
    #[must_use]
    pub fn sent(&self) -> Vec<u8> {
        self.with(|state| core::mem::take(&mut state.sent[Line::Console as usize]))
    }

    /// What the kernel did to the machine since the last call.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.with(|state| core::mem::take(&mut state.events))
    }

    /// Keeps a bundle for the program's life, aligned as flash is.
    #[must_use]
    pub fn keep(&self, bundle: &[u8]) -> &'static [u8] {
        let mut room = alloc::vec![0; bundle.len() + BUNDLE_ALIGN];
        let start = room.as_ptr().align_offset(BUNDLE_ALIGN).min(BUNDLE_ALIGN);
        let inside = start..start + bundle.len();
        if let Some(bytes) = room.get_mut(inside.clone()) {
            bytes.copy_from_slice(bundle);
        }
        let kept: &'static [u8] = room.leak();
        self.with(|state| state.kept.push(kept));
        kept.get(inside).unwrap_or(&[])
    }
}

/// What starts CPUs: they are seated, and take their turns when the test says.
#[derive(Debug)]
pub struct Starter(());

impl Starter {
    /// For this thread's machine.
    #[must_use]
    pub fn new() -> Self {
        Self(())
    }

    /// The host's own UART, whatever the device.
    pub fn serial(&mut self, _device: &DeviceRecord) -> Option<Serial> {
        Machine::current().with(|state| state.has_host_line = true);
        Some(Serial::new(Line::Host))
    }

    /// Starts CPU `number`, which will serve `cpu`.
    ///
    /// # Errors
    /// Never: this machine has every CPU.
    pub fn start(&mut self, number: usize, cpu: &'static mut Cpu) -> Result<(), &'static str> {
        Machine::current().with(|state| state.cpu(number).seated = Some(cpu));
        Ok(())
    }
}

impl Default for Starter {
    fn default() -> Self {
        Self::new()
    }
}
