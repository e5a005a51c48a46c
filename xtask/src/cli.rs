// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be typed: one variant per verb, each with an example in its help.

use crate::failure;
use crate::packages::Installer;
use crate::terminal::{Tone, paint};
use crate::workspace::Workspace;
use crate::{audit, bench, compatibility, ctl, explain, paper, run, soak, suite};
use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Bulkhead: one machine, several systems that cannot hurt each other.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
#[command(after_help = "Example: cargo xtask run")]
struct Arguments {
    /// Refuse to install what is missing; say what to type instead.
    #[arg(long, global = true)]
    no_install: bool,
    #[command(subcommand)]
    verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Build a system, boot it in the board's emulator and attach the console.
    ///
    /// Ends with 0 or 1 by the hypervisor's own last line; with --until, with 0
    /// once every pattern matched a line and with 1 if the machine ended first;
    /// with 124 when --timeout is up; with 2 for mistakes in what you wrote.
    /// On a terminal, Ctrl-A x leaves with 0, and Ctrl-] and a digit moves the
    /// focus between partitions.
    #[command(after_help = run::EXAMPLES)]
    Run(run::Arguments),
    /// See and steer a machine that runs: by the console of `cargo xtask run`, or by a serial device.
    #[command(after_help = ctl::more_help())]
    Ctl(ctl::Arguments),
    /// Write the flash image and print its report; the same sources give the same bytes.
    #[command(after_help = paper::IMAGE_EXAMPLES)]
    Image(paper::ImageArguments),
    /// Write all that boots and how it is started into a folder, for a program such as a test.
    #[command(after_help = paper::STAGE_EXAMPLES)]
    Stage(paper::StageArguments),
    /// Tell every mistake in manifests at once; ends with 2 if there is any.
    #[command(after_help = paper::CHECK_EXAMPLES)]
    Check(paper::CheckArguments),
    /// Print who owns what, every concession in capitals.
    #[command(after_help = paper::REPORT_EXAMPLES)]
    Report(paper::ReportArguments),
    /// Print the manifest's JSON schema, for editors.
    #[command(after_help = paper::SCHEMA_EXAMPLES)]
    Schema,
    /// Run host tests, Miri and scenarios, and end with one closing line.
    #[command(after_help = suite::EXAMPLES)]
    Test(suite::Arguments),
    /// Count instructions, beside budgets and peers.
    #[command(after_help = bench::EXAMPLES)]
    Bench(bench::Arguments),
    /// Run in full what takes long: restarts over and over, a mailbox under a million random words.
    ///
    /// Shows how far it is and ends with one line of figures for each; with 1 if a restart cost
    /// more at the end than at the beginning, or a partition that nothing was done to missed a beat.
    #[command(after_help = soak::EXAMPLES)]
    Soak(soak::Arguments),
    /// Say in words why VT-x refused to enter a guest, from a console's log.
    #[command(after_help = explain::EXAMPLES)]
    Explain(explain::Arguments),
    /// Write the table of guests by emulator anew, from the scenarios.
    #[command(after_help = compatibility::EXAMPLES)]
    Compatibility,
    /// Show what a careful reader looks for: unsafe blocks, long files and functions, sizes.
    #[command(after_help = audit::EXAMPLES)]
    Audit(audit::Arguments),
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
fn run(arguments: &Arguments) -> Result<u8> {
    let workspace = Workspace::find()?;
    let installer = Installer::new(&workspace, arguments.no_install);
    match &arguments.verb {
        Verb::Run(arguments) => run::run(&workspace, &installer, arguments),
        Verb::Ctl(arguments) => ctl::run(&workspace, arguments),
        Verb::Image(arguments) => paper::image(&workspace, &installer, arguments),
        Verb::Stage(arguments) => paper::stage(&workspace, &installer, arguments),
        Verb::Check(arguments) => paper::check(&workspace, arguments),
        Verb::Report(arguments) => paper::print_report(&workspace, arguments),
        Verb::Schema => Ok(paper::print_schema()),
        Verb::Test(arguments) => suite::run(&workspace, &installer, arguments),
        Verb::Bench(arguments) => bench::run(&workspace, &installer, arguments),
        Verb::Soak(arguments) => soak::run(&workspace, &installer, arguments),
        Verb::Explain(arguments) => explain::run(arguments),
        Verb::Compatibility => compatibility::run(&workspace),
        Verb::Audit(arguments) => audit::run(&workspace, &installer, arguments),
    }
}
