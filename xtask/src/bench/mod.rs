// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask bench`: instruction counts beside budgets and peers.
//!
//! Each measurement boots a machine with one counter tick per instruction and
//! yields figures by name; each emulator has a table in `tests/bench/tables` that
//! says which row shows which figure and what its budget is; `tests/bench/figures`
//! has what this tree measured when it was recorded. The figures are exact: a
//! second run has the same, so a test fails when one grows.

mod counts;
mod figures;
mod lab;
mod linux;
mod mailbox;
mod payload;
mod pc;
mod pc_linux;
mod rtos;
mod table;
mod xen;

use crate::failure::{FAILED, PASSED};
use crate::packages::Installer;
use crate::suite::{Tally, judged};
use crate::workspace::Workspace;
use anyhow::{Result, anyhow};
use bulkhead_test::report::Verdict;
use figures::Figures;
use lab::Lab;
pub use lab::{CPU as COUNTING_CPU, ONE_TICK};
use std::time::{Duration, Instant};
use table::Table;

/// Examples for the help.
pub const EXAMPLES: &str = "\
Examples:
  cargo xtask bench
  cargo xtask bench --quick
  cargo xtask bench --on bochs-intel --on qemu-amd
  cargo xtask bench --on qemu --peers
  cargo xtask bench --record";

/// The emulators with a table: Arm's, then those of a PC.
const EMULATORS: [&str; 4] = [ARM, "qemu-amd", "bochs-intel", "bochs-amd"];
const ARM: &str = "qemu";

/// What can be asked.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Only on this emulator; may be repeated. `qemu` is the Arm one.
    #[arg(long, value_name = "EMULATOR", value_parser = EMULATORS)]
    on: Vec<String>,
    /// Boot Debian's Xen with the same payload too, on Arm.
    #[arg(long)]
    peers: bool,
    /// Leave out what takes more than a few seconds: Linux, the RTOS, and Bochs unless it is named.
    #[arg(long)]
    quick: bool,
    /// Write the figures down as what the tests expect.
    #[arg(long)]
    record: bool,
}

impl Arguments {
    /// Whether an emulator's rows are asked for.
    fn wants(&self, on: &str) -> bool {
        if self.on.is_empty() {
            !self.quick || !on.starts_with("bochs")
        } else {
            self.on.iter().any(|one| one == on)
        }
    }
}

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// What takes seconds.
    Quick,
    /// What the tests want.
    Tests,
    /// Everything.
    Full,
}

/// What was measured on one emulator.
#[derive(Debug, Default)]
struct Measured {
    bare: Figures,
    ours: Figures,
    xen: Figures,
    notes: Vec<String>,
}

/// Measures and prints every row that is asked for; the exit status says whether all budgets hold.
pub fn run(workspace: &Workspace, installer: &Installer, arguments: &Arguments) -> Result<u8> {
    let mut lab = Lab::open(workspace, installer)?;
    let extent = if arguments.quick { Extent::Quick } else { Extent::Full };
    let mut status = PASSED;
    for on in EMULATORS.iter().filter(|on| arguments.wants(on)) {
        let table = Table::read(workspace, on)?;
        let mut measured = measure(&mut lab, on, extent)?;
        if arguments.peers && *on == ARM {
            xen::measure(&mut lab, &mut measured)?;
        }
        print!("{}", table.show(&measured));
        for note in &measured.notes {
            println!("{note}");
        }
        if arguments.record {
            figures::record(workspace, on, &table.pinned(&measured.ours))?;
        }
        if table.judge(&measured.ours).iter().any(|verdict| verdict.fails()) {
            status = FAILED;
        }
    }
    Ok(status)
}

/// Measures on one emulator.
fn measure(lab: &mut Lab, on: &str, extent: Extent) -> Result<Measured> {
    let mut measured = Measured::default();
    if on != ARM {
        pc::measure(lab, on, &mut measured)?;
        mailbox::measure(lab, on, &mut measured)?;
        if extent != Extent::Quick {
            pc::measure_linux(lab, on, &mut measured)?;
            pc_linux::measure(lab, on, &mut measured)?;
        }
        return Ok(measured);
    }
    payload::measure(lab, &mut measured)?;
    mailbox::measure(lab, on, &mut measured)?;
    match extent {
        Extent::Quick => {}
        Extent::Tests => linux::measure_quiet(lab, &mut measured)?,
        Extent::Full => linux::measure(lab, &mut measured)?,
    }
    if extent != Extent::Quick {
        rtos::measure(lab, &mut measured)?;
    }
    lab.longest(&mut measured);
    Ok(measured)
}

/// The budgets as tests, one for each row, for `cargo xtask test`: all but the verbose Linux. Instructions
/// are counted, so Arm's emulator may run beside a PC's.
pub fn test(workspace: &Workspace, installer: &Installer, filter: &str) -> Result<Tally> {
    let test = |emulators: &[&str]| -> Result<Tally> {
        let mut all = Tally::default();
        for on in emulators {
            all = all.and(test_on(workspace, installer, on, filter)?);
        }
        Ok(all)
    };
    let (arm, pc) = EMULATORS.split_at(1);
    std::thread::scope(|scope| {
        let pc = scope.spawn(|| test(pc));
        let arm = test(arm)?;
        Ok(arm.and(pc.join().map_err(|_| anyhow!("the thread that counted died"))??))
    })
}

/// Those of one emulator.
fn test_on(workspace: &Workspace, installer: &Installer, on: &str, filter: &str) -> Result<Tally> {
    let table = Table::read(workspace, on)?;
    if !table.tests().iter().any(|name| name.contains(filter)) {
        return Ok(Tally::default());
    }
    if let Some(why) = pc::uncounted(installer, on)? {
        return Ok(skip(&table, &why, filter));
    }
    let mut lab = Lab::open(workspace, installer)?;
    let measured = measure(&mut lab, on, Extent::Tests)?;
    Ok(compare(&table, &measured, &figures::recorded(workspace, on)?, filter))
}

/// Every row by its name, skipped.
fn skip(table: &Table, why: &str, filter: &str) -> Tally {
    let mut all = Tally::default();
    for name in table.tests().iter().filter(|name| name.contains(filter)) {
        all = all.and(judged(name, Verdict::Skipped(why.to_owned()), Duration::ZERO));
    }
    all
}

/// Holds what was measured against budgets and recorded figures.
fn compare(table: &Table, measured: &Measured, recorded: &Figures, filter: &str) -> Tally {
    let mut all = Tally::default();
    for (verdict, name) in table.judge(&measured.ours).iter().zip(table.tests()) {
        if !name.contains(filter) || verdict.is_silent() {
            continue;
        }
        let begun = Instant::now();
        let grown = verdict.grown(recorded);
        let fails = grown.or_else(|| verdict.fails().then(|| verdict.to_string()));
        let verdict = fails.map_or(Verdict::Passed, Verdict::Failed);
        all = all.and(judged(&name, verdict, begun.elapsed()));
    }
    all
}
