// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rows of the payload `guests/bench-pc` on one of a PC's emulators, sizes,
//! and on QEMU what Linux's boot asks for. QEMU can start the payload bare too;
//! Bochs has no loader for it.
//!
//! With one CPU each tick is one instruction. Bochs runs two CPUs in turn by
//! [`TURN`] instructions, so what needs two of them is measured apart.

use super::Measured;
use super::figures::Figures;
use super::lab::{Lab, ONE_TICK, Run, figure, loaded_bytes, play};
use super::payload::{checked, memory, rows, statistics};
use crate::emulator::table::tools;
use crate::manifest::board::Arch;
use crate::packages::{BOCHS, Installer};
use crate::process;
use crate::product::Product;
use anyhow::{Result, ensure};
use bulkhead_test::emulator::launch::Launch;
use bulkhead_test::emulator::table::{Emulator, Kind, Options};
use std::path::Path;
use std::process::Command;

/// The fewest instructions that Bochs lets each of several CPUs run in its turn.
pub(super) const TURN: i64 = 5;
/// More lines of Bochs's configuration.
const SHORT_TURNS: &str = "cpu: quantum=1";
/// The rows that need a second CPU.
const PAIR: [&str; 2] = ["ipi-one-way", "ipi-round-trip"];
/// A loop of the payload that shows whether a tick is an instruction.
const LOOP: (&str, i64) = ("self-ten-million", 10_000_002);
/// Memory of the machines.
const MEMORY: &str = "512M";
/// The emulator with VT-x, and its model that cannot virtualize local APICs.
const VT_X: &str = "bochs-intel";
const SOFTWARE_APIC: &str = "corei7_ivy_bridge_3770k";
/// What Linux's first program says.
const LINUX_READY: &str = "[linux] linux: ";
/// How many reasons of exits are told of.
const REASONS: usize = 16;

/// Why nothing can be measured there: of Bochs's releases only 2.7 is known to tick once for
/// each instruction, 3.0 does not.
pub(super) fn uncounted(installer: &Installer, on: &str) -> Result<Option<String>> {
    if !on.starts_with("bochs") {
        return Ok(None);
    }
    installer.need(&[&BOCHS])?;
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat=${Version}", "bochs"]);
    let version = process::output(&mut query)?;
    let counts = version.starts_with("2.7");
    Ok((!counts).then(|| format!("Bochs {version} does not tick once for each instruction")))
}

/// Measures the payload on the emulator of this name.
pub(super) fn measure(lab: &mut Lab, on: &str, measured: &mut Measured) -> Result<()> {
    let alone = lab.build("pc-alone")?;
    let emulator = alone.emulator(Some(on))?;
    lab.installer.need(tools(emulator))?;
    let what = format!("the payload on {on}");
    let console = play(&machine(emulator, &alone, 1)?, &run(&what))?;
    measured.ours = checked(&console, &what)?;
    measured.ours.insert("program-bytes".to_owned(), figure(loaded_bytes(&alone.kernel)?));
    measured.ours.insert("memory-bytes".to_owned(), figure(memory(&console)?));
    measured.ours.insert("plain-program-bytes".to_owned(), lab.plain_bytes(Arch::X86_64)?);
    if emulator.kind == Kind::Qemu {
        let plain = lab.build_plain("pc-alone")?;
        let what = format!("the payload on {on}, without statistics");
        let console = play(&machine(emulator, &plain, 1)?, &run(&what))?;
        statistics(measured, &checked(&console, &what)?, "hypercall");
    }

    if on == VT_X {
        let what = format!("the payload on {SOFTWARE_APIC}");
        let disk = alone.file(emulator.quickest()?)?;
        let launch = launch_model(emulator, disk, 1, Some(SOFTWARE_APIC.to_owned()))?;
        let software = checked(&play(&launch, &run(&what))?, &what)?;
        for name in ["apic-read", "apic-write"] {
            if let Some(figure) = software.get(name) {
                measured.ours.insert(format!("software-{name}"), *figure);
            }
        }
    }

    let pair = lab.build("pc-payload")?;
    let what = format!("the payload on {on}, two CPUs");
    let console = play(&machine(emulator, &pair, 2)?, &run(&what))?;
    measured.ours.extend(of_two(rows(&console), &what)?);
    if emulator.kind == Kind::Qemu {
        let payload = lab.builder.build("bench", Arch::X86_64)?.image;
        let what = format!("the payload on {on}, bare");
        let launch = launch(emulator, &payload, 2)?;
        measured.bare = checked(&play(&launch, &run(&what))?, &what)?;
    }
    Ok(())
}

/// Boots Debian's kernel where the plugin can watch: its exits, and the longest path.
pub(super) fn measure_linux(lab: &mut Lab, on: &str, measured: &mut Measured) -> Result<()> {
    let product = lab.build("pc-linux")?;
    let emulator = product.emulator(Some(on))?;
    if emulator.kind != Kind::Qemu {
        return Ok(());
    }
    let mut launch = machine(emulator, &product, 1)?;
    let what = format!("Linux on {on}");
    let run = Run { cpus: 1, until: Some(LINUX_READY), until_user: true, ..run(&what) };
    let command = std::mem::replace(&mut launch.command, Command::new(""));
    let (_, counts) = lab.watch(&product, command, &run)?;
    let (exits, interrupts) = counts.exits();
    measured.ours.insert("linux-exits".to_owned(), figure(exits));
    measured.ours.insert("linux-interrupts".to_owned(), figure(interrupts));
    measured.ours.insert("linux-spent".to_owned(), figure(counts.all()));
    let reasons = counts.reasons();
    let (most, rest) = reasons.split_at(reasons.len().min(REASONS));
    let mut told: Vec<String> =
        most.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    told.push(format!("others {}", rest.iter().map(|(_, count)| count).sum::<u64>()));
    measured.notes.push(format!("exits while Linux boots: {}", told.join(", ")));
    lab.longest(measured);
    Ok(())
}

pub(super) fn run(what: &str) -> Run<'_> {
    Run { what, cpus: 0, until: None, until_user: false, seconds: 400 }
}

/// A machine that boots a system.
pub(super) fn machine(emulator: &Emulator, product: &Product, cpus: u32) -> Result<Launch> {
    launch(emulator, product.file(emulator.quickest()?)?, cpus)
}

/// A machine whose time stamp counter ticks once for each instruction.
fn launch(emulator: &Emulator, file: &Path, cpus: u32) -> Result<Launch> {
    launch_model(emulator, file, cpus, None)
}

/// The same with a CPU model.
pub(super) fn launch_model(
    emulator: &Emulator,
    file: &Path,
    cpus: u32,
    cpu: Option<String>,
) -> Result<Launch> {
    let more = match emulator.kind {
        Kind::Qemu => ONE_TICK.map(str::to_owned).to_vec(),
        Kind::Bochs => vec![SHORT_TURNS.to_owned()],
    };
    let (memory, boot) = (Some(MEMORY.to_owned()), Some(emulator.quickest()?));
    let options = Options { cpu, cpus: Some(cpus), memory, boot, more, ..Options::default() };
    emulator.launch(file, &options)
}

/// The rows of a machine with two CPUs, if its ticks are instructions but for the CPUs' turns.
fn of_two(mut rows: Figures, what: &str) -> Result<Figures> {
    let (name, expected) = LOOP;
    let counted = rows.get(name).is_some_and(|figure| figure.value >= expected - TURN);
    ensure!(counted, "{what}: {name} is less than {expected}: ticks are no instructions");
    rows.retain(|name, _| PAIR.contains(&name.as_str()));
    ensure!(rows.len() == PAIR.len(), "{what}: the second CPU did not start");
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_cpus_only_their_own_rows_count() {
        let text = "bench: self-ten-million 10000000 10000000 10000005\nbench: cpuid 1 1 1\n\
                    bench: ipi-one-way 3 4 5\nbench: ipi-round-trip 6 7 8\n";
        let found = of_two(rows(text), "x").unwrap();
        assert_eq!(found.into_keys().collect::<Vec<_>>(), PAIR);
        assert!(of_two(rows(&text.replace("10000000", "5000000")), "x").is_err());
        assert!(of_two(rows(&text.replace("ipi-", "")), "x").is_err());
    }
}
