// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask run`: from a manifest to a console in one command.

use crate::ctl::instances::Published;
use crate::emulator::session::{Wishes, attend};
use crate::emulator::table::tools;
use crate::failure::{PASSED, mistake};
use crate::guests::Builder;
use crate::packages::Installer;
use crate::process;
use crate::product::{self, Product};
use crate::scenario::format::Scenario;
use crate::system::{DEFAULT, System};
use crate::terminal::announce;
use crate::workspace::Workspace;
use anyhow::Result;
use bulkhead_test::Boot;
use bulkhead_test::emulator::streams::Streams;
use bulkhead_test::emulator::table::Options;
use regex::Regex;
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

/// Examples for the help.
pub const EXAMPLES: &str = r"Examples:
  cargo xtask run
  cargo xtask run --until '\[linux\] .*ready' --timeout 120
  cargo xtask run my/manifest.toml --cpu neoverse-n1 --log console.log --split consoles
  cargo xtask run qemu-arm64 --boot image --gdb
  cargo xtask run pc --on bochs-intel
  cargo xtask run pc --boot bios-usb";

/// What can be asked.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// A manifest's path, a board's name (its demo) or a scenario's name.
    #[arg(default_value = DEFAULT)]
    system: String,
    /// One of the board's emulators; the first in board.toml if left out.
    #[arg(long, value_name = "EMULATOR")]
    on: Option<String>,
    /// End with 0 once a line matched; may be repeated, then each must match.
    #[arg(long, value_name = "REGEX")]
    until: Vec<Regex>,
    /// End with 124 after this time, counted from the start of the machine.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
    /// CPUs of the machine.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    cpus: Option<u32>,
    /// CPU model of the machine.
    #[arg(long, value_name = "MODEL")]
    cpu: Option<String>,
    /// Memory of the machine, such as 4G.
    #[arg(long, value_name = "SIZE")]
    memory: Option<String>,
    /// How the hypervisor gets into the machine; the emulator's first way if left out.
    #[arg(long, value_enum)]
    boot: Option<Boot>,
    /// Write the console into a file too.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Write each partition's lines into a file of its own in this folder, without tags.
    #[arg(long, value_name = "FOLDER")]
    split: Option<PathBuf>,
    /// Wait for a debugger before the first instruction.
    #[arg(long)]
    gdb: bool,
    /// Build, print the emulator's command and stop.
    #[arg(long)]
    print_command: bool,
}

/// A time as it is typed.
fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "give a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(number)
        .ok()
        .filter(|time| !time.is_zero())
        .ok_or_else(|| "give more than zero seconds".to_owned())
}

/// Builds the system and attends its machine.
pub fn run(workspace: &Workspace, installer: &Installer, arguments: &Arguments) -> Result<u8> {
    let system = System::find(workspace, &arguments.system)?;
    let mut builder = Builder::new(workspace, installer)?;
    let product = product::build(workspace, &mut builder, &system)?;
    let scenario = system.scenario.as_ref();
    let on = arguments.on.clone().or_else(|| scenario?.emulators().into_iter().next());
    let emulator = product.emulator(on.as_deref())?;
    installer.need(tools(emulator))?;
    let options = arguments.options(scenario);
    let launch = emulator.launch(product.file(emulator.way(options.boot)?)?, &options)?;
    if arguments.print_command {
        println!("{}", process::shown(&launch.command));
        return Ok(PASSED);
    }
    let log = match &arguments.log {
        Some(path) => Some(File::create(path).map_err(|error| {
            mistake(format!("--log {}: {error}; name a file that can be written", path.display()))
        })?),
        None => None,
    };
    if arguments.gdb {
        hint_at_debugger(&product);
    }
    let streams = match &arguments.split {
        Some(folder) => Some(Streams::create(folder.clone()).map_err(|error| {
            mistake(format!(
                "--split {}: {error}; name a folder that can be made",
                folder.display()
            ))
        })?),
        None => None,
    };
    let until = arguments.until.clone();
    // A machine that cannot be steered from outside runs all the same.
    let published = Published::new(workspace, &system.name, product.programs.clone())
        .map_err(|error| {
            announce(&format!("`cargo xtask ctl` will not find this machine: {error:#}"))
        })
        .ok();
    attend(&launch, Wishes { until, timeout: arguments.timeout, log, streams, published })
}

/// Says how a debugger gets at the machine.
fn hint_at_debugger(product: &Product) {
    announce(&format!(
        "the machine waits; type `gdb-multiarch {} -ex 'target remote :1234'` elsewhere",
        product.kernel.display()
    ));
}

impl Arguments {
    /// How the machine differs from the emulator's table: as the scenario says,
    /// unless the command line says otherwise.
    fn options(&self, scenario: Option<&Scenario>) -> Options {
        Options {
            cpu: self.cpu.clone().or_else(|| scenario?.models.first().cloned()),
            cpus: self.cpus.or_else(|| scenario?.cpus),
            memory: self.memory.clone().or_else(|| scenario?.memory.clone()),
            boot: self.boot.or_else(|| scenario?.boot.first().copied()),
            more: scenario.map(|scenario| scenario.arguments.clone()).unwrap_or_default(),
            gdb: self.gdb,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_positive_number_of_seconds() {
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1500)));
        for text in ["0", "-1", "nan", "inf", "soon", "1e30"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
