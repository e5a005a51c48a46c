// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be typed: one variant per verb, each with an example in its help.

use crate::failure;
use crate::terminal::{Tone, paint};
use clap::Parser;
use std::process::ExitCode;

/// Bulkhead: one machine, several systems that cannot hurt each other.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    /// Refuse to install what is missing; say what to type instead.
    #[arg(long, global = true)]
    no_install: bool,
}

/// Runs the command line and reports its error.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("{} {error:#}", paint(Tone::Bad, "error:"));
            ExitCode::from(failure::status_of(&error))
        }
    }
}

/// The chosen verb.
fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    let _ = arguments;
    Ok(failure::PASSED)
}
