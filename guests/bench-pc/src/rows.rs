// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rows, in the order of the published table. All are printed at the end:
//! a console at work interrupts.

use crate::counted;
use arrayvec::ArrayVec;
use guest_rt::{interrupts, println};

/// How often each operation is repeated.
const REPEATS: usize = 16;
/// Rows that there is room for.
const ROWS: usize = 32;
/// Instructions of the loop that shows stolen time.
const BUSY: u64 = 10_000_002;
/// Line status of the console, and a port that nobody has.
const CONSOLE_STATUS: u16 = 0x3fd;
const NO_PORT: u16 = 0x1234;
/// Registers of the local APIC: task priority; of an x2APIC, its MSR and the version's.
const PRIORITY: u64 = 0xfee0_0080;
const X2APIC_PRIORITY: u32 = 0x808;
const X2APIC_VERSION: u32 = 0x803;
/// The I/O APIC's select register.
const IO_APIC: u64 = 0xfec0_0000;
/// A hypercall that nobody defines.
const UNKNOWN: u64 = 0x7fff_fff0;

/// A name with the sorted counts, or none where the operation is undefined.
type Row = (&'static str, Option<[u64; REPEATS]>);

#[derive(Default)]
struct Rows(ArrayVec<Row, ROWS>);

impl Rows {
    /// Notes what sixteen runs of an operation counted.
    fn row(&mut self, name: &'static str, mut operation: impl FnMut() -> Option<u64>) {
        let mut counts = [0; REPEATS];
        let all = counts.iter_mut().try_for_each(|count| {
            *count = operation()?;
            Some(())
        });
        self.note(name, all.map(|()| counts));
    }

    fn note(&mut self, name: &'static str, mut counts: Option<[u64; REPEATS]>) {
        if let Some(counts) = &mut counts {
            counts.sort_unstable();
        }
        let _ = self.0.try_push((name, counts));
    }

    fn print(&self) {
        for (name, counts) in &self.0 {
            match counts {
                Some(counts) => {
                    let [smallest, largest] = [counts[0], counts[REPEATS - 1]];
                    println!("bench: {name} {smallest} {} {largest}", counts[REPEATS / 2]);
                }
                None => println!("bench: {name} none"),
            }
        }
    }
}

/// Measures every row and prints them.
pub(crate) fn measure() {
    let mut rows = Rows::default();
    rows.row("self-empty", || Some(counted::empty()));
    rows.row("self-four-nops", || Some(counted::four_nops()));
    rows.row("self-ten-million", || Some(counted::ten_million()));
    rows.row("cpuid", || Some(counted::cpuid(0)));
    rows.row("cpuid-features", || Some(counted::cpuid(1)));
    rows.row("hypercall", || counted::hypercall(UNKNOWN));
    rows.row("port-uart-status", || Some(counted::port(CONSOLE_STATUS)));
    rows.row("port-none", || Some(counted::port(NO_PORT)));
    rows.row("apic-read", || Some(counted::read(PRIORITY)));
    rows.row("apic-write", || Some(counted::write(PRIORITY, 0)));
    rows.row("io-apic-read", || Some(counted::read(IO_APIC)));
    interrupts::init();
    counted::prepare();
    let wide = interrupts::has_wide_ids();
    rows.row("x2apic-read", || wide.then(|| counted::read_msr(X2APIC_VERSION)));
    rows.row("x2apic-write", || wide.then(|| counted::write_msr(X2APIC_PRIORITY, 0)));
    counted::settle();
    rows.row("ipi-to-self", || Some(counted::ipi_to_self()));
    rows.row("timer-busy", || Some(counted::timer(false)));
    rows.row("timer-hlt", || Some(counted::timer(true)));
    rows.row("stolen", || Some(counted::ten_million() - BUSY));
    second_cpu(&mut rows);
    rows.print();
}

/// The rows that need a second CPU.
fn second_cpu(rows: &mut Rows) {
    if !counted::start_second() {
        rows.note("ipi-one-way", None);
        return;
    }
    let (mut there, mut back) = ([0; REPEATS], [0; REPEATS]);
    for (one_way, round_trip) in there.iter_mut().zip(&mut back) {
        counted::settle();
        (*one_way, *round_trip) = counted::ipi();
    }
    rows.note("ipi-one-way", Some(there));
    rows.note("ipi-round-trip", Some(back));
}
