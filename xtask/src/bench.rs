// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask bench`: instruction counts beside budgets and peers.

use crate::failure::mistake;
use crate::packages::Installer;
use crate::workspace::Workspace;
use anyhow::Result;

/// Examples for the help.
pub const EXAMPLES: &str = "\
Examples:
  cargo xtask bench
  cargo xtask bench --peers";

/// What can be asked.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Boot Debian's Xen with the same payload too.
    #[arg(long)]
    peers: bool,
}

/// Measures and prints every row; the exit status says whether all budgets hold.
pub fn run(_: &Workspace, _: &Installer, arguments: &Arguments) -> Result<u8> {
    let what = if arguments.peers { "the peers" } else { "Bulkhead" };
    Err(mistake(format!("this tree cannot measure {what} yet")))
}
