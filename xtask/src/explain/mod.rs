// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask explain`: what the hypervisor writes about an entry into a guest
//! that VT-x refused, in words. A record is a few console lines, each with eight
//! fields of the control structure from an encoding on:
//!
//! ```text
//! [bulkhead] linux: vmcs 6800 80000031 1000 2020 0 0 0 0 0
//! ```
//!
//! Intel SDM, volume 3: "VM Entries", "VM-Instruction Error Numbers".

mod checks;
mod segments;
mod state;

use anyhow::{Context, Result};
use state::State;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::PathBuf;

/// Examples for `--help`.
pub const EXAMPLES: &str = "\
Examples:
  cargo xtask explain console.log
  cargo xtask run pc --on bochs-intel --timeout 60 | cargo xtask explain";

/// What can be typed.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// A console's log; the standard input if absent.
    file: Option<PathBuf>,
}

/// A check that the CPU makes before it enters a guest.
struct Check {
    /// The field as the manual names it.
    field: &'static str,
    /// What is wrong with it.
    why: &'static str,
    /// Whether it is.
    is: fn(&State) -> bool,
}

/// Explains every record of a log.
pub fn run(arguments: &Arguments) -> Result<u8> {
    let mut bytes = Vec::new();
    match &arguments.file {
        Some(path) => {
            bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        }
        None => {
            std::io::stdin().read_to_end(&mut bytes).context("the standard input")?;
        }
    }
    print!("{}", explained(&String::from_utf8_lossy(&bytes)));
    Ok(0)
}

/// What a log's records say.
fn explained(log: &str) -> String {
    let mut text = String::new();
    for (partition, state) in state::records(log) {
        let _ = writeln!(text, "{partition}: {}", reason(&state));
        let found = checks::CHECKS.iter().filter(|check| (check.is)(&state));
        let mut lines: Vec<String> =
            found.map(|check| format!("{}: {}", check.field, check.why)).collect();
        lines.extend(segments::wrong(&state));
        if lines.is_empty() {
            lines.push("no field is wrong by itself or beside others".to_owned());
            lines
                .push("not in a record: the CPU's fixed bits and widths, the host's fields".into());
        }
        for line in lines {
            let _ = writeln!(text, "  {line}");
        }
    }
    if text.is_empty() {
        text.push_str("no record of an entry that VT-x refused\n");
    }
    text
}

/// Why the guest was not entered, in general.
fn reason(state: &State) -> String {
    const FAILED: u64 = 1 << 31;
    let reason = state.get(state::REASON);
    if reason & FAILED == 0 {
        let number = state.get(state::INSTRUCTION_ERROR);
        let name = usize::try_from(number).ok().and_then(|number| ERRORS.get(number));
        return match name.filter(|_| number != 0) {
            Some(name) => format!("VM-instruction error {number}, {name}; exit reason {reason}"),
            None => format!("exit reason {reason}, not an entry that failed"),
        };
    }
    let qualification = state.get(state::QUALIFICATION);
    match (reason & 0xffff, qualification) {
        (33, 2) => "entry failed: the page-directory-pointer entries".to_owned(),
        (33, 3) => "entry failed: an NMI is injected behind STI".to_owned(),
        (33, 4) => "entry failed: the VMCS link pointer".to_owned(),
        (33, _) => "entry failed: the guest's state".to_owned(),
        (34, entry) => format!("entry failed: loading MSR number {entry} of the list"),
        (41, _) => "entry failed: a machine check".to_owned(),
        (other, _) => format!("entry failed: reason {other}"),
    }
}

/// Names of the error numbers.
const ERRORS: [&str; 29] = [
    "none",
    "VMCALL in VMX root operation",
    "VMCLEAR of an invalid address",
    "VMCLEAR of the VMXON region",
    "VMLAUNCH of a structure that is not clear",
    "VMRESUME of a structure that was not launched",
    "VMRESUME after VMXOFF",
    "invalid control fields",
    "invalid host-state fields",
    "VMPTRLD of an invalid address",
    "VMPTRLD of the VMXON region",
    "VMPTRLD of a structure of another revision",
    "an unsupported field of the structure",
    "VMWRITE to a read-only field",
    "reserved",
    "VMXON in VMX root operation",
    "an invalid executive-VMCS pointer",
    "an executive VMCS that was not launched",
    "an executive-VMCS pointer that is not the VMXON pointer",
    "VMCALL with a structure that is not clear",
    "VMCALL with invalid exit controls",
    "reserved",
    "VMCALL with an invalid MSEG revision",
    "VMXOFF under dual-monitor treatment",
    "VMCALL with invalid SMM features",
    "invalid execution controls in the executive VMCS",
    "an entry with events blocked by MOV SS",
    "reserved",
    "an invalid operand of INVEPT or INVVPID",
];

#[cfg(test)]
mod tests;
