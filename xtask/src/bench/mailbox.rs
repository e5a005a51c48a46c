// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rows of the payload `guests/bench-mailbox`: round trips of the mailbox, the restart of an
//! RTOS, and what a partition loses while its statistics are read.
//!
//! The last is counted between two marks around a loop, once unread and once read, on a CPU of
//! its own. In QEMU the plugin counts what the hypervisor executed there. Bochs gives each CPU
//! [`TURN`] instructions in turn, so the loop's own time tells, by fives.

use super::lab::{Lab, Run, play};
use super::payload::rows;
use super::pc::{TURN, machine, run};
use super::{ARM, Measured};
use crate::emulator::table::tools;
use anyhow::{Context, Result, bail, ensure};
use bulkhead_test::emulator::table::Kind;
use std::process::Command;

/// CPUs of the machines.
const CPUS: u32 = 3;
/// The longest that one may take, in seconds: Bochs is slow with three CPUs, and slower on a busy machine.
const LONGEST: u64 = 900;
/// The figures that the payload tells.
const FIGURES: [&str; 4] =
    ["mailbox-hello", "mailbox-hello-client", "mailbox-statistics", "restart-rtos"];
/// How often the statistics were read, and how often at least.
const READINGS: (&str, i64) = ("readings", 50);
/// The loop that is watched.
const LOOP: &str = "[watched] bench: loop ";

/// Measures on one emulator.
pub(super) fn measure(lab: &mut Lab, on: &str, measured: &mut Measured) -> Result<()> {
    let what = format!("the mailbox on {on}");
    let run = Run { cpus: CPUS, seconds: LONGEST, ..run(&what) };
    let (console, lost) = if on == ARM {
        let product = lab.build("mailbox")?;
        let (console, counts) = lab.run(&product, &run)?;
        (console, Some(counts.stretches))
    } else {
        let product = lab.build("pc-mailbox")?;
        let emulator = product.emulator(Some(on))?;
        lab.installer.need(tools(emulator))?;
        let mut launch = machine(emulator, &product, CPUS)?;
        if emulator.kind == Kind::Qemu {
            let command = std::mem::replace(&mut launch.command, Command::new(""));
            let (console, counts) = lab.watch(&product, command, &run)?;
            (console, Some(counts.stretches))
        } else {
            (play(&launch, &run)?, None)
        }
    };
    let rows = rows(&console);
    for name in FIGURES {
        let figure = rows.get(name).with_context(|| format!("{what}: no {name}\n{console}"))?;
        measured.ours.insert(name.to_owned(), *figure);
    }
    let readings = rows.get(READINGS.0).map_or(0, |figure| figure.value);
    ensure!(readings >= READINGS.1, "{what}: the statistics were read {readings} times only");
    let (unread, read) = two(lost.unwrap_or_else(|| loops(&console)))
        .with_context(|| format!("{what}: the watched partition did not run twice\n{console}"))?;
    measured.ours.insert("stolen-read".to_owned(), stolen(unread, read).into());
    let note = format!("{what}: watched, {unread} unread, {read} read {readings} times");
    measured.notes.push(note);
    Ok(())
}

/// How long the watched loops took.
fn loops(console: &str) -> Vec<u64> {
    let words = console.lines().filter_map(|line| line.strip_prefix(LOOP));
    words.filter_map(|words| words.split(' ').next()?.parse().ok()).collect()
}

fn two(counts: Vec<u64>) -> Result<(i64, i64)> {
    let [unread, read] = counts[..] else { bail!("{} runs were counted", counts.len()) };
    Ok((i64::try_from(unread)?, i64::try_from(read)?))
}

/// What a reader cost; less than a turn of the CPUs is nothing.
fn stolen(unread: i64, read: i64) -> i64 {
    let more = read - unread;
    if more.abs() <= TURN { 0 } else { more }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loops_are_told_from_other_lines() {
        let text = "[bench] bench: loop 9 9 9\n[watched] bench: loop 20 20 20\n\
                    [watched] bench: loop 25 25 25\n";
        assert_eq!(two(loops(text)).unwrap(), (20, 25));
        assert!(two(loops(&text[27..60])).is_err());
    }

    #[test]
    fn less_than_a_turn_is_nothing() {
        assert_eq!([stolen(10, 15), stolen(10, 5), stolen(10, 16)], [0, 0, 6]);
    }
}
