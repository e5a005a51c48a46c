// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask bench`: instruction counts beside budgets and peers.
//!
//! Each measurement boots a machine with one counter tick per instruction and
//! yields figures by name; `tests/bench/table.toml` says which row shows which
//! figure and what its budget is; `tests/bench/figures.toml` has what this tree
//! measured when it was recorded. The figures are exact: a second run has the
//! same, so a test fails when one grows.

mod counts;
mod figures;
mod lab;
mod linux;
mod payload;
mod rtos;
mod table;
mod xen;

use crate::failure::{FAILED, PASSED};
use crate::packages::Installer;
use crate::suite::{Tally, explain, tell};
use crate::workspace::Workspace;
use anyhow::Result;
use figures::Figures;
use lab::Lab;
use std::time::Instant;
use table::Table;

/// Examples for the help.
pub const EXAMPLES: &str = "\
Examples:
  cargo xtask bench
  cargo xtask bench --quick
  cargo xtask bench --peers
  cargo xtask bench --record";

/// What can be asked.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Boot Debian's Xen with the same payload too.
    #[arg(long)]
    peers: bool,
    /// Leave out the rows that take more than a few seconds: Linux and the RTOS.
    #[arg(long)]
    quick: bool,
    /// Write the figures down as what the tests expect.
    #[arg(long)]
    record: bool,
}

/// What was measured.
#[derive(Debug, Default)]
struct Measured {
    bare: Figures,
    ours: Figures,
    xen: Figures,
    notes: Vec<String>,
}

/// Measures and prints every row; the exit status says whether all budgets hold.
pub fn run(workspace: &Workspace, installer: &Installer, arguments: &Arguments) -> Result<u8> {
    let table = Table::read(workspace)?;
    let mut lab = Lab::open(workspace, installer)?;
    let mut measured = Measured::default();
    payload::measure(&mut lab, &mut measured)?;
    if !arguments.quick {
        linux::measure(&mut lab, &mut measured)?;
        rtos::measure(&mut lab, &mut measured)?;
    }
    if arguments.peers {
        xen::measure(&mut lab, &mut measured)?;
    }
    lab.longest(&mut measured);
    print!("{}", table.show(&measured));
    for note in &measured.notes {
        println!("{note}");
    }
    if arguments.record {
        figures::record(workspace, &table.pinned(&measured.ours))?;
    }
    let over = table.judge(&measured.ours).iter().any(|verdict| verdict.fails());
    Ok(if over { FAILED } else { PASSED })
}

/// The budgets as tests, one for each row, for `cargo xtask test`: all but the verbose Linux.
pub fn test(workspace: &Workspace, installer: &Installer, filter: &str) -> Result<Tally> {
    let table = Table::read(workspace)?;
    let names: Vec<String> = table.names().map(|name| format!("bench/{}", name.trim())).collect();
    if !names.iter().any(|name| name.contains(filter)) {
        return Ok(Tally::default());
    }
    let mut lab = Lab::open(workspace, installer)?;
    let mut measured = Measured::default();
    payload::measure(&mut lab, &mut measured)?;
    linux::measure_quiet(&mut lab, &mut measured)?;
    rtos::measure(&mut lab, &mut measured)?;
    lab.longest(&mut measured);
    let recorded = figures::recorded(workspace)?;
    let mut all = Tally::default();
    for (verdict, name) in table.judge(&measured.ours).iter().zip(&names) {
        if !name.contains(filter) || verdict.is_silent() {
            continue;
        }
        let begun = Instant::now();
        let grown = verdict.grown(&recorded);
        let unreached = verdict.unreached();
        let tally = match (&grown, verdict.fails(), &unreached) {
            (None, false, _) => Tally::PASSED,
            (None, true, Some(_)) => Tally::SKIPPED,
            _ => Tally::FAILED,
        };
        tell(tally, name, begun.elapsed());
        if tally != Tally::PASSED {
            explain(&grown.or(unreached).unwrap_or_else(|| verdict.to_string()));
        }
        all = all.and(tally);
    }
    Ok(all)
}
