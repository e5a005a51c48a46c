// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the hypervisor executes for one tick of the RTOS: alone, and while
//! Linux and mischief load the other CPUs.

use super::Measured;
use super::lab::{Lab, Run, figure};
use anyhow::{Context, Result};
use std::collections::BTreeMap;

/// Which of the started CPUs is the RTOS's: alone CPU 0, which starts the machine, and its own; loaded all four.
const ALONE: usize = 1;
const LOADED: usize = 2;
/// The line that ends a measurement: some thousand ticks.
const ENOUGH: &str = "[rtos] heartbeat 2 ";

/// Measures the tick both ways.
pub(super) fn measure(lab: &mut Lab, measured: &mut Measured) -> Result<()> {
    let alone = tick(lab, "tick-alone", ALONE, measured)?;
    let loaded = tick(lab, "tick-loaded", LOADED, measured)?;
    measured.ours.insert("tick-difference".to_owned(), (loaded - alone).into());
    Ok(())
}

/// The most frequent length of an interrupt's path on the RTOS's CPU.
fn tick(lab: &mut Lab, name: &str, cpu: usize, measured: &mut Measured) -> Result<i64> {
    let product = lab.build(name)?;
    let run = Run { what: name, cpus: 4, until: Some(ENOUGH), until_user: false, seconds: 400 };
    let (_, counts) = lab.run(&product, &run)?;
    let lengths = counts.interrupts(cpu);
    let (length, count) = most_frequent(&lengths).context("the RTOS took no interrupt")?;
    let all: u64 = lengths.values().sum();
    measured.notes.push(format!("{name}: {count} of {all} interrupts of the RTOS took {length}"));
    let figure = figure(length);
    measured.ours.insert(name.to_owned(), figure);
    Ok(figure.value)
}

/// The length that occurred most often, and how often.
fn most_frequent(lengths: &BTreeMap<u64, u64>) -> Option<(u64, u64)> {
    lengths.iter().max_by_key(|(_, count)| **count).map(|(length, count)| (*length, *count))
}
