// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask ctl`: the mailbox from the host, over the console of a machine
//! that `cargo xtask run` attends, or over a serial device. The verbs are those
//! of `bulkctl` in a Linux guest.

pub mod instances;
mod symbols;

use crate::failure::PASSED;
use crate::workspace::Workspace;
use anyhow::Result;
use bulkctl::person::Person;
use bulkctl::verbs::{self, Options, STATUSES, Verb};
use bulkhead_test::line::Line;
use std::collections::BTreeMap;
use std::path::PathBuf;
use symbols::Known;

/// Examples for the help.
pub const EXAMPLES: &str = "\
Examples:
  cargo xtask ctl list
  cargo xtask ctl stop rtos --within 5s
  cargo xtask ctl console linux
  cargo xtask ctl top --once --json
  cargo xtask ctl --port /dev/ttyUSB0 log --follow";

/// The end of the help.
pub fn more_help() -> String {
    format!("{STATUSES}\n\n{EXAMPLES}")
}

/// What can be asked.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// A serial device that leads to the hypervisor's console.
    #[arg(long, global = true, value_name = "DEVICE", conflicts_with = "run")]
    port: Option<PathBuf>,
    /// Bits per second of the serial device.
    #[arg(long, global = true, value_name = "N", default_value_t = 115_200)]
    speed: u32,
    /// Which `cargo xtask run`, if several run: its process's number.
    #[arg(long, global = true, value_name = "PID")]
    run: Option<u32>,
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    verb: Verb,
}

/// Asks the hypervisor.
pub fn run(workspace: &Workspace, arguments: &Arguments) -> Result<u8> {
    let (line, programs) = match &arguments.port {
        Some(device) => (Line::open(device, arguments.speed)?, BTreeMap::new()),
        None => {
            let (record, stream) = instances::connect(workspace, arguments.run)?;
            (Line::new(stream.into())?, record.programs)
        }
    };
    let mut line = Known { line, programs };
    let mut stdout = std::io::stdout();
    let mut person = Person::standard(&mut stdout);
    verbs::run(&arguments.verb, &arguments.options, &mut line, &mut person)?;
    Ok(PASSED)
}
