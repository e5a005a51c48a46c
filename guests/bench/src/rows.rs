// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rows, in the order of the published table.

use crate::machine::{self, BRACKET, Entry};
use crate::print::{FR, Printer};
use crate::spread::{REPEATS, Rows, Spread};
use crate::tree::Addresses;

const PSCI_VERSION: u64 = 0x8400_0000;
const SMCCC_VERSION: u64 = 0x8000_0000;
/// A vendor's fast call that nobody defines.
const UNKNOWN: u64 = 0x8600_fff0;
const GICD_TYPER: u64 = 0x4;
const GICD_ISENABLER1: u64 = 0x104;
/// GICR_ISENABLER0, in the second frame of a redistributor.
const GICR_ISENABLER0: u64 = 0x1_0100;
/// One redistributor to the next.
const REDISTRIBUTOR: u64 = 0x2_0000;
/// Instructions of the loop that shows stolen time.
const BUSY: u64 = 10_000_002;

/// Measures every row, and prints them all at the end: a console at work
/// interrupts.
pub(crate) fn measure(entry: &Entry, at: &Addresses, out: &mut Printer) {
    let mut rows = Rows::default();
    one_cpu(entry, at, &mut rows);
    second_cpu(at, &mut rows);
    rows.iter().for_each(|(name, spread)| out.row(name, spread));
}

/// The rows that need one CPU.
fn one_cpu(entry: &Entry, at: &Addresses, out: &mut Rows) {
    machine::enable_distributor(at.distributor);
    machine::enable_interrupts(at.redistributors);
    machine::settle();
    out.row("entry", once(entry.physical));
    out.row("counter-offset", once(entry.physical + 1 - entry.virtual_));
    out.row("self-empty", gross(&machine::empty));
    out.row("self-four-nops", net(&machine::four_nops));
    out.row("self-ten-million", machine::ten_million().and_then(once));
    out.row("hvc-vendor", net(&machine::hvc_vendor));
    out.row("hvc-unknown", net(&|| machine::hvc(UNKNOWN)));
    out.row("hvc-smccc-version", net(&|| machine::hvc(SMCCC_VERSION)));
    out.row("hvc-psci-version", net(&|| machine::hvc(PSCI_VERSION)));
    out.row("smc-psci-version", net(&|| machine::smc(PSCI_VERSION)));
    out.row("gicd-typer-read", net(&|| machine::read(at.distributor + GICD_TYPER)));
    out.row("gicd-isenabler1-read", net(&|| machine::read(at.distributor + GICD_ISENABLER1)));
    out.row(
        "gicr-isenabler0-write",
        net(&|| machine::write(at.redistributors + GICR_ISENABLER0, 1 << 27)),
    );
    out.row("uart-fr-read", net(&|| machine::read(at.uart + FR)));
    out.row("sgi-to-self", gross(&|| Some(machine::sgi_to_self())));
    out.row("timer-busy", gross(&|| Some(machine::timer(false))));
    out.row("timer-wfi", gross(&|| Some(machine::timer(true))));
    out.row("stolen", gross(&|| machine::ten_million().map(|count| count - BUSY)));
}

/// The rows that need a second CPU.
fn second_cpu(at: &Addresses, out: &mut Rows) {
    let started = machine::cpu_on(at.redistributors + REDISTRIBUTOR);
    out.row("cpu-on", started.and_then(once));
    if started.is_none() {
        return;
    }
    let (mut there, mut back) = ([0; REPEATS], [0; REPEATS]);
    for (one_way, round_trip) in there.iter_mut().zip(&mut back) {
        machine::settle();
        (*one_way, *round_trip) = machine::ipi();
    }
    out.row("ipi-one-way", Some(Spread::of(&mut there)));
    out.row("ipi-round-trip", Some(Spread::of(&mut back)));
}

/// What was counted one time only.
fn once(count: u64) -> Option<Spread> {
    Some(Spread { smallest: count, median: count, largest: count })
}

/// The spread of an operation's counts, without the bracket.
fn net(operation: &dyn Fn() -> Option<u64>) -> Option<Spread> {
    let gross = gross(operation)?;
    Some(Spread {
        smallest: gross.smallest - BRACKET,
        median: gross.median - BRACKET,
        largest: gross.largest - BRACKET,
    })
}

/// The spread of an operation's counts; `None` where it is undefined.
#[inline(never)]
fn gross(operation: &dyn Fn() -> Option<u64>) -> Option<Spread> {
    let mut counts = [0; REPEATS];
    for count in &mut counts {
        *count = operation()?;
    }
    Some(Spread::of(&mut counts))
}
