// SPDX-License-Identifier: MIT OR Apache-2.0
//! `bulkctl`: the mailbox from the command line of a Linux guest. It finds the
//! guest's mailbox in the device tree or in ACPI's tables and maps it through
//! /dev/mem, so it needs root and no kernel module. All unsafe code is in [`page`].
#![deny(unsafe_code)]

mod agent;
mod mailbox;
mod page;
mod place;

use bulkctl::error::Error;
use bulkctl::person::Person;
use bulkctl::verbs::{self, Options, STATUSES, Verb};
use clap::Parser;
use std::io;
use std::process::ExitCode;

/// Examples for the help.
const EXAMPLES: &str = "\
Examples:
  bulkctl list
  bulkctl restart driver
  bulkctl top --once --json
  bulkctl agent &          power off when somebody asks this partition to stop";

/// See and steer the machine that this partition is a part of, as far as its manifest allows.
#[derive(Debug, Parser)]
#[command(name = "bulkctl", arg_required_else_help = true)]
#[command(after_help = format!("{STATUSES}\n\n{EXAMPLES}"))]
struct Arguments {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    verb: Inside,
}

/// What to do.
#[derive(Debug, clap::Subcommand)]
enum Inside {
    #[command(flatten)]
    Common(Verb),
    /// Wait until somebody asks this partition to stop, and run a command then.
    Agent {
        /// The command.
        #[arg(default_value = "poweroff", trailing_var_arg = true)]
        command: Vec<String>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bulkctl: {error}");
            ExitCode::from(error.status())
        }
    }
}

fn run(Arguments { options, verb }: &Arguments) -> Result<(), Error> {
    let mut mailbox = mailbox::Mailbox::open()?;
    match verb {
        Inside::Agent { command } => agent::run(&mut mailbox, options.patience, command),
        Inside::Common(verb) => {
            let mut stdout = io::stdout();
            let mut person = Person::standard(&mut stdout);
            verbs::run(verb, options, &mut mailbox, &mut person)
        }
    }
}
