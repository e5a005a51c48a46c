// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLB shootdowns under load: a vCPU takes a page away, by its entry on each level in turn, and
//! tells the other by an interrupt; what the other reads there after it has acknowledged must be
//! there by then. Both have a timer that ticks, and the reader's instructions exit now and then.
//! Manual: Intel SDM, "Propagation of Paging-Structure Changes to Multiple Processors".

use crate::Setting;
use crate::hostile::{self, Level};
use crate::tally::Tally;
use core::arch::x86_64::__cpuid;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use guest_rt::machine::{
    Frame, Vector, cpu_index, mask_interrupts, on_fault, on_interrupt, start_cpu, unmask_interrupts,
};
use guest_rt::{interrupts, power, println, timer};

const ROUNDS: u64 = 600;
/// What a frame holds when it is no longer mapped; the number of its round before.
const GONE: u64 = u64::MAX;
/// The reader, and how many of its reads come between two exits.
const READER: usize = 1;
const READS_PER_EXIT: u64 = 16;
/// Longest wait for the reader, in microseconds.
const PATIENCE: u64 = 10_000_000;
/// Time between two ticks, in microseconds.
const TICK: u64 = 1_000;
const PAGE_FAULT: u64 = 14;
const INIT: u32 = 0x4500;
const LEVELS: [Level; 4] = [Level::First, Level::Second, Level::Third, Level::Fourth];

/// The round that the reader is told of, and the one that it has acknowledged.
static TOLD: AtomicU64 = AtomicU64::new(0);
static ACKNOWLEDGED: AtomicU64 = AtomicU64::new(0);
/// What the reader counted: reads, those that found what was no longer there, page faults.
static READS: AtomicU64 = AtomicU64::new(0);
static STALE: AtomicU64 = AtomicU64::new(0);
static FAULTS: AtomicU64 = AtomicU64::new(0);
/// Ticks of each vCPU.
static TICKS: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

pub(super) fn run(setting: &mut Setting, tally: &mut Tally) {
    let rounds = ROUNDS / setting.fewer;
    on_interrupt(interrupted);
    on_fault(faulted);
    hostile::fill(0, 0);
    LEVELS.iter().for_each(|level| hostile::give(*level, 0));
    begin();
    assert!(start_cpu(READER, |_| read()).is_ok(), "the second vCPU does not start");
    // Before its local APIC is on, it takes no interrupt.
    wait_until(|| READS.load(SeqCst) > 0, "reads nothing");
    for round in 1..=rounds {
        let level = LEVELS[(round % 4) as usize];
        let (old, new) = (1 - round % 2, round % 2);
        hostile::take_away(level);
        TOLD.store(round, SeqCst);
        interrupts::send_ipi(1, READER);
        wait_until(|| ACKNOWLEDGED.load(SeqCst) == round, "acknowledges nothing");
        hostile::fill(old, GONE);
        hostile::fill(new, round);
        hostile::give(level, new);
        let reads = READS.load(SeqCst);
        wait_until(|| READS.load(SeqCst) > reads + 1, "reads nothing");
    }
    interrupts::command(READER as u32, INIT);
    timer::disarm();
    mask_interrupts();
    hostile::prepare();
    tally.count_done(rounds);
    tally.part(format_args!("shootdowns"));
    let [reads, stale, faults] = [&READS, &STALE, &FAULTS].map(|count| count.load(SeqCst));
    let [first, second] = TICKS.each_ref().map(|count| count.load(SeqCst));
    println!("mischief: {reads} reads, {faults} page faults, {first} and {second} ticks");
    assert_eq!(stale, 0, "reads of what was no longer there");
    assert!(first > 0 && second > 0, "a timer does not tick");
    println!("mischief: {rounds} shootdowns ok");
}

/// Lets this vCPU's interrupts in, its timer's too.
fn begin() {
    interrupts::init();
    arm();
    unmask_interrupts();
}

fn arm() {
    timer::arm(timer::now() + timer::counts(TICK));
}

fn read() -> ! {
    begin();
    loop {
        let least = ACKNOWLEDGED.load(SeqCst);
        let value = hostile::look();
        if value < least || value == GONE {
            STALE.fetch_add(1, SeqCst);
        }
        if READS.fetch_add(1, SeqCst).is_multiple_of(READS_PER_EXIT) {
            core::hint::black_box(__cpuid(0));
        }
    }
}

fn interrupted() {
    let Some(intid) = interrupts::acknowledge() else { return };
    if intid == timer::INTID {
        TICKS[cpu_index()].fetch_add(1, Relaxed);
        arm();
    } else {
        hostile::forget();
        ACKNOWLEDGED.store(TOLD.load(SeqCst), SeqCst);
    }
    interrupts::end(intid);
}

/// The reader tries again until the page is back.
fn faulted(vector: Vector, frame: &mut Frame) {
    if vector.number() != PAGE_FAULT {
        println!("mischief: {} at {:#x} in a shootdown", vector.name(), frame.rip);
        power::off()
    }
    FAULTS.fetch_add(1, Relaxed);
}

fn wait_until(done: impl Fn() -> bool, complaint: &str) {
    let end = timer::now() + timer::counts(PATIENCE);
    while !done() {
        assert!(timer::now() < end, "the second vCPU {complaint}");
        core::hint::spin_loop();
    }
}
