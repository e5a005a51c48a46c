// SPDX-License-Identifier: MIT OR Apache-2.0
//! Machines whose counter ticks once for each instruction, bare or under
//! Bulkhead with the plugin that watches EL2.

use super::Measured;
use super::counts::Counts;
use super::figures::Figure;
use crate::cargo::cargo;
use crate::guests::Builder;
use crate::manifest::board::Arch;
use crate::packages::Installer;
use crate::process;
use crate::product::{self, Product};
use crate::system::System;
use crate::terminal::Step;
use crate::workspace::{Workspace, made};
use anyhow::{Context, Result, bail};
use bulkhead_test::emulator::launch::{Console, Launch};
use bulkhead_test::emulator::machine::{Event, Machine};
use bulkhead_test::emulator::table::Options;
use elf::ElfBytes;
use elf::abi::{PT_LOAD, STT_FUNC};
use elf::endian::LittleEndian;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The CPU of all measurements, with a counter of 1 GHz.
pub const CPU: &str = "cortex-a57,cntfrq=1000000000";
/// One instruction takes one nanosecond of the machine's time, and idling none of the host's.
pub const ONE_TICK: [&str; 2] = ["-icount", "shift=0,sleep=off"];
/// How long nothing may be heard of a machine before this looks at the clock.
const PATIENCE: Duration = Duration::from_millis(200);

/// Builds and runs the machines.
pub(super) struct Lab<'a> {
    /// The workspace.
    pub(super) workspace: &'a Workspace,
    /// Installs what is missing.
    pub(super) installer: &'a Installer,
    /// Builds guests.
    pub(super) builder: Builder<'a>,
    counter: PathBuf,
    longest: Option<(u64, String)>,
}

/// How a machine is run.
pub(super) struct Run<'a> {
    /// What it measures, for the progress line.
    pub(super) what: &'a str,
    /// CPUs of the machine.
    pub(super) cpus: u32,
    /// Text on whose appearance the machine is ended; else it ends by itself.
    pub(super) until: Option<&'a str>,
    /// Whether counting ends with the first program at EL0.
    pub(super) until_user: bool,
    /// The longest time it may take.
    pub(super) seconds: u64,
}

impl<'a> Lab<'a> {
    /// Builds the plugin.
    pub(super) fn open(workspace: &'a Workspace, installer: &'a Installer) -> Result<Self> {
        let mut build = cargo(workspace);
        build.args(["build", "--release", "--package", "counter"]);
        process::run("building counter", &mut build)?;
        let counter = workspace.target().join("release/libcounter.so");
        let builder = Builder::new(workspace, installer)?;
        Ok(Self { workspace, installer, builder, counter, longest: None })
    }

    /// Builds the system of `tests/bench/NAME.toml`.
    pub(super) fn build(&mut self, name: &str) -> Result<Product> {
        self.build_at(&self.manifest(name))
    }

    /// The same without the mailbox and its statistics.
    pub(super) fn build_plain(&mut self, name: &str) -> Result<Product> {
        let system = System::find(self.workspace, &self.manifest(name).display().to_string())?;
        product::build_plain(self.workspace, &mut self.builder, &system)
    }

    /// Bytes of the program without the mailbox.
    pub(super) fn plain_bytes(&mut self, arch: Arch) -> Result<Figure> {
        let program = product::plain_program(&mut self.builder, arch)?;
        Ok(figure(loaded_bytes(&program)?))
    }

    /// Where the manifest of this name is.
    pub(super) fn manifest(&self, name: &str) -> PathBuf {
        self.workspace.root().join(format!("tests/bench/{name}.toml"))
    }

    /// Builds the system of a manifest.
    pub(super) fn build_at(&mut self, manifest: &Path) -> Result<Product> {
        let system = System::find(self.workspace, &manifest.display().to_string())?;
        product::build(self.workspace, &mut self.builder, &system)
    }

    /// Runs a built system under Bulkhead: its console and what was counted at EL2.
    pub(super) fn run(&mut self, product: &Product, run: &Run) -> Result<(String, Counts)> {
        let options =
            Options { cpu: Some(CPU.to_owned()), cpus: Some(run.cpus), ..Options::default() };
        let emulator = product.emulator(None)?;
        let mut command = emulator.command(product.file(emulator.way(options.boot)?)?, &options);
        command.args(ONE_TICK);
        self.watch(product, command, run)
    }

    /// Runs such a machine with the plugin.
    pub(super) fn watch(
        &mut self,
        product: &Product,
        mut command: Command,
        run: &Run,
    ) -> Result<(String, Counts)> {
        let out =
            made(self.workspace.target().join("bench"))?.join(format!("{}.counts", product.name));
        // An old file would pass for this run's.
        let _ = std::fs::remove_file(&out);
        let functions = out.with_extension("functions");
        std::fs::write(&functions, symbols(&product.kernel)?).context("the list of functions")?;
        let (plugin, out_shown, functions) =
            (self.counter.display(), out.display(), functions.display());
        let mut plugin = format!("{plugin},out={out_shown},functions={functions}");
        if run.until_user {
            plugin.push_str(",until=user");
        }
        command.args(["-plugin", &plugin]);
        let console = play(&command.into(), run)?;
        let counts = Counts::read(&out)?;
        if let Some((length, why)) = counts.longest() {
            let longest = (length, format!("{}: {why}", run.what));
            self.longest = self.longest.take().max(Some(longest));
        }
        Ok((console, counts))
    }

    /// Runs a machine without a hypervisor.
    pub(super) fn bare(&self, arguments: &[&str], run: &Run) -> Result<String> {
        let mut command = Command::new("qemu-system-aarch64");
        command
            .args(["-M", "virt,gic-version=3", "-nographic", "-nodefaults", "-serial", "stdio"])
            .args(["-cpu", CPU, "-smp", &run.cpus.to_string()])
            .args(ONE_TICK)
            .args(arguments);
        play(&command.into(), run)
    }

    /// The longest path with interrupts masked, of all machines that ran since this was asked.
    pub(super) fn longest(&mut self, measured: &mut Measured) {
        if let Some((length, why)) = self.longest.take() {
            measured.ours.insert("longest-path".to_owned(), figure(length));
            measured.notes.push(format!("longest path with interrupts masked: {length}, {why}"));
        }
    }
}

/// A count as a figure.
pub(super) fn figure(count: u64) -> Figure {
    Figure::from(i64::try_from(count).unwrap_or(i64::MAX))
}

/// Runs an emulator to its end, or until a line has the text; its console.
pub(super) fn play(launch: &Launch, run: &Run) -> Result<String> {
    let _step = Step::begin(&format!("measuring {}", run.what));
    let machine = Machine::start(launch)?;
    let (begun, limit) = (Instant::now(), Duration::from_secs(run.seconds));
    let mut console = Vec::new();
    let mut asked = false;
    loop {
        match machine.next(PATIENCE) {
            Some(Event::Output(bytes)) => console.extend(bytes),
            Some(Event::Ended) => break,
            Some(Event::Host(_) | Event::Input(_) | Event::Signal(_) | Event::Program(_))
            | None => (),
        }
        let seen = || {
            String::from_utf8_lossy(&console)
                .lines()
                .any(|line| run.until.is_some_and(|text| line.contains(text)))
        };
        if !asked && run.until.is_some() && seen() {
            // The plugin reports when the emulator ends in order.
            machine.terminate();
            asked = true;
        }
        if begun.elapsed() > limit {
            let said = String::from_utf8_lossy(&console).into_owned();
            bail!("{}: not done after {} s\n{}", run.what, run.seconds, last_lines(&said));
        }
    }
    let (status, complaints) = machine.finish(false)?;
    let console = String::from_utf8_lossy(&console).into_owned();
    // The status of an emulator with a socket says nothing: Bochs has one for switching off too.
    if !status.success() && matches!(launch.console, Console::Standard) {
        bail!(
            "{}: the emulator ended with {status}\n{}\n{complaints}",
            run.what,
            last_lines(&console)
        );
    }
    Ok(console)
}

/// The end of a console.
fn last_lines(console: &str) -> String {
    let lines: Vec<&str> = console.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

/// The hypervisor's functions, as the plugin takes them: start, end and name, ascending.
fn symbols(kernel: &Path) -> Result<String> {
    let bytes = std::fs::read(kernel).with_context(|| kernel.display().to_string())?;
    let file = parse(&bytes)?;
    let (symbols, names) = file.symbol_table()?.context("the hypervisor has no symbols")?;
    let mut functions: Vec<(u64, u64, &str)> = symbols
        .iter()
        .filter(|symbol| symbol.st_symtype() == STT_FUNC && symbol.st_size > 0)
        .filter_map(|symbol| {
            let end = symbol.st_value.checked_add(symbol.st_size)?;
            Some((symbol.st_value, end, names.get(symbol.st_name as usize).ok()?))
        })
        .collect();
    functions.sort_unstable();
    let line = |(start, end, name): (u64, u64, &str)| format!("{start:x} {end:x} {name}\n");
    Ok(functions.into_iter().map(line).collect())
}

/// Bytes of an executable that are loaded from its file.
pub(super) fn loaded_bytes(executable: &Path) -> Result<u64> {
    let bytes = std::fs::read(executable).with_context(|| executable.display().to_string())?;
    let file = parse(&bytes)?;
    let segments = file.segments().context("an executable without segments")?;
    Ok(segments.iter().filter(|one| one.p_type == PT_LOAD).map(|one| one.p_filesz).sum())
}

fn parse(bytes: &[u8]) -> Result<ElfBytes<'_, LittleEndian>> {
    ElfBytes::minimal_parse(bytes).context("an executable that cannot be read")
}
