// SPDX-License-Identifier: MIT OR Apache-2.0
//! The counters, without QEMU.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Functions that can be counted, and one for everything outside of them.
pub(crate) const FUNCTIONS: usize = 4096;

/// CPUs of the largest machine, and one for those without an identity yet.
const CPUS: usize = 9;

/// [`Reason::vector`] of what follows a look for interrupts.
const AFTER_LOOK: u64 = 4;

/// Most instructions from one ISB to the next of a loop that does nothing but wait.
const TURN: u64 = 8;

/// Calls by which a guest marks where a stretch begins and ends (`guests/bench-mailbox`).
const BEGIN: u64 = 0x8600_ffe0;
const END: u64 = 0x8600_ffe1;

/// Which CPU runs, as an index.
static CURRENT: AtomicUsize = AtomicUsize::new(0);
/// Instructions at EL2, by CPU. One thread writes, so relaxed loads and stores lose nothing.
static EXECUTED: [AtomicU64; CPUS] = [const { AtomicU64::new(0) }; CPUS];
/// Instructions of each function.
static INSIDE: [AtomicU64; FUNCTIONS] = [const { AtomicU64::new(0) }; FUNCTIONS];

/// Counts one instruction of a function.
pub(crate) fn count(function: usize) {
    add_one(&EXECUTED[CURRENT.load(Relaxed) % CPUS]);
    add_one(&INSIDE[function % FUNCTIONS]);
}

fn add_one(counter: &AtomicU64) {
    counter.store(counter.load(Relaxed) + 1, Relaxed);
}

/// Why a path began.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reason {
    /// Vector: 0 synchronous, 1 IRQ, 2 FIQ, 3 SError; 4 after a look for interrupts.
    pub vector: u64,
    /// ESR_EL2.EC, for synchronous exceptions.
    pub class: u64,
    /// What it was about: the page of an abort, the register of a trapped access.
    pub detail: u64,
}

/// What one CPU has done.
struct Cpu {
    /// Its TPIDR_EL2; zero on every CPU until it is set.
    identity: u64,
    /// Why the current path began and the count at that moment.
    open: Option<(Reason, u64)>,
    /// Where the last ISB was, and the count at that moment.
    turn: (usize, u64),
    /// Count at the first ERET.
    boot: Option<u64>,
    /// How often each path length occurred, by reason.
    paths: BTreeMap<Reason, BTreeMap<u64, u64>>,
    /// Instructions of all paths.
    spent: u64,
    stretch: Stretch,
    /// On a PC, the control block of the guest that it entered last; zero before.
    block: u64,
    /// On a PC, the next CLI is the one behind VMRUN: interrupts are masked already.
    fresh: bool,
}

/// Where a CPU is in a stretch that its guest marks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stretch {
    Outside,
    /// In the path of the call that begins it.
    Begins,
    /// Inside, with the count behind that path.
    Since(u64),
}

/// What all CPUs have done.
pub(crate) struct Counts {
    cpus: Vec<Cpu>,
    /// Instructions of the paths in each stretch that a guest marked.
    stretches: Vec<u64>,
    /// All instructions and those of each function, at the first ERET of any CPU.
    entry: Option<(u64, Vec<u64>)>,
}

impl Counts {
    /// Nothing yet.
    pub(crate) const fn new() -> Self {
        Self { cpus: Vec::new(), stretches: Vec::new(), entry: None }
    }

    /// What follows runs on the CPU with this identity.
    pub(crate) fn run_on(&mut self, identity: u64) {
        let current = CURRENT.load(Relaxed);
        if self.cpus.get(current).is_some_and(|cpu| cpu.identity == identity) {
            return;
        }
        let known = self.cpus.iter().position(|cpu| cpu.identity == identity);
        let index = known.unwrap_or_else(|| {
            self.cpus.push(Cpu {
                identity,
                open: None,
                turn: (0, 0),
                boot: None,
                paths: BTreeMap::new(),
                spent: 0,
                stretch: Stretch::Outside,
                block: 0,
                fresh: false,
            });
            self.cpus.len() - 1
        });
        CURRENT.store(index, Relaxed);
    }

    /// The CPU that runs and what it has executed.
    fn current(&mut self) -> Option<(&mut Cpu, u64)> {
        let current = CURRENT.load(Relaxed);
        Some((self.cpus.get_mut(current)?, EXECUTED.get(current)?.load(Relaxed)))
    }

    /// A path begins.
    pub(crate) fn enter(&mut self, reason: Reason) {
        if let Some((cpu, executed)) = self.current() {
            cpu.open = Some((reason, executed));
        }
    }

    /// A path begins with an exit of a PC's guest.
    pub(crate) fn exit(&mut self, reason: Reason) {
        self.enter(reason);
        if let Some((cpu, _)) = self.current() {
            cpu.fresh = true;
        }
    }

    /// Whether the next CLI was still the one behind VMRUN; it is not any more.
    pub(crate) fn takes_fresh(&mut self) -> bool {
        self.current().is_some_and(|(cpu, _)| std::mem::take(&mut cpu.fresh))
    }

    /// A path ends, in a guest or waiting.
    pub(crate) fn leave(&mut self, into_guest: bool) {
        if into_guest && self.entry.is_none() {
            let all = EXECUTED.iter().map(|count| count.load(Relaxed)).sum();
            self.entry = Some((all, INSIDE.iter().map(|count| count.load(Relaxed)).collect()));
        }
        let Some((cpu, executed)) = self.current() else { return };
        if into_guest {
            cpu.boot.get_or_insert(executed);
        }
        if let Some((reason, since)) = cpu.open.take() {
            *cpu.paths.entry(reason).or_default().entry(executed - since).or_default() += 1;
            cpu.spent += executed - since;
        }
        if cpu.stretch == Stretch::Begins {
            cpu.stretch = Stretch::Since(cpu.spent);
        }
    }

    /// The path that just began is for this call of the guest.
    pub(crate) fn call(&mut self, function: u64) {
        let Some((cpu, _)) = self.current() else { return };
        match (function, cpu.stretch) {
            (BEGIN, _) => cpu.stretch = Stretch::Begins,
            (END, Stretch::Since(before)) => {
                let spent = cpu.spent - before;
                cpu.stretch = Stretch::Outside;
                self.stretches.push(spent);
            }
            _ => {}
        }
    }

    /// The CPU that runs enters the guest of this control block.
    pub(crate) fn enters(&mut self, block: u64) {
        if let Some((cpu, _)) = self.current() {
            cpu.block = block;
        }
    }

    /// What follows runs on the CPU that entered this guest; false if none did.
    pub(crate) fn run_on_guests(&mut self, block: u64) -> bool {
        let found = self.cpus.iter().position(|cpu| cpu.block == block);
        found.inspect(|index| CURRENT.store(*index, Relaxed)).is_some()
    }

    /// A path ends and another begins, once a guest has run.
    pub(crate) fn look(&mut self) {
        self.leave(false);
        if self.entry.is_some() {
            self.enter(Reason { vector: AFTER_LOOK, class: 0, detail: 0 });
        }
    }

    /// An ISB at this address. If the last one was the same, that was a turn of waiting for
    /// another CPU, which is no part of the path.
    pub(crate) fn waits(&mut self, address: usize) {
        let Some((cpu, executed)) = self.current() else { return };
        let (last, at) = std::mem::replace(&mut cpu.turn, (address, executed));
        if let (true, Some((_, since))) = (last == address && executed - at <= TURN, &mut cpu.open)
        {
            *since += executed - at;
        }
    }

    /// Everything that was counted, as lines of words:
    ///
    /// ```text
    /// entry ALL                                      instructions before the first ERET
    /// stretch SPENT                                  instructions of the paths in each, in their order
    /// cpu IDENTITY EXECUTED BOOT                     one line for each CPU
    /// path VECTOR CLASS DETAIL LENGTH COUNT          of the CPU named before
    /// function NAME EXECUTED BEFORE-FIRST-ERET
    /// ```
    pub(crate) fn report(&self, functions: &[String]) -> String {
        let mut text = String::new();
        let (entry, inside) = self.entry.clone().unwrap_or_default();
        // Writing to a string does not fail.
        let _ = writeln!(text, "entry {entry}");
        for spent in &self.stretches {
            let _ = writeln!(text, "stretch {spent}");
        }
        for (cpu, executed) in self.cpus.iter().zip(&EXECUTED) {
            let Cpu { identity, boot, .. } = cpu;
            let executed = executed.load(Relaxed);
            let _ = writeln!(text, "cpu {identity:x} {executed} {}", boot.unwrap_or(0));
            for (reason, lengths) in &cpu.paths {
                let Reason { vector, class, detail } = reason;
                for (length, count) in lengths {
                    let _ = writeln!(text, "path {vector} {class:x} {detail:x} {length} {count}");
                }
            }
        }
        let before = inside.iter().chain(std::iter::repeat(&0));
        for ((name, count), before) in functions.iter().zip(&INSIDE).zip(before) {
            let _ = writeln!(text, "function {name} {} {before}", count.load(Relaxed));
        }
        text
    }
}
