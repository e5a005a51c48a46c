// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fuzz targets, by libFuzzer: each gets a number of inputs that follow from a seed and from the
//! coverage they reach, so that every run of the tests tries the same ones. The targets lie where
//! cargo-fuzz looks for them. It needs a nightly for its sanitizers, and coverage alone does not:
//! what is fuzzed has no unsafe code.

use super::{Tally, judged};
use crate::cargo;
use crate::packages::{CXX, Installer};
use crate::process;
use crate::workspace::{Workspace, made};
use anyhow::Result;
use bulkhead_test::report::Verdict;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// The package of the targets.
const PACKAGE: &str = "abi-fuzz";

/// Each target, and how many inputs it gets: about ten seconds.
const TARGETS: [(&str, u32); 2] = [("decode", 60_000), ("rings", 15_000)];

/// What cargo-fuzz gives rustc, without sanitizers.
const FLAGS: [&str; 6] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "--cfg=fuzzing",
];

/// Runs the targets that the filter names.
pub fn run(workspace: &Workspace, installer: &Installer, filter: &str) -> Result<Tally> {
    let mut tally = Tally::default();
    for (target, runs) in TARGETS {
        let name = format!("fuzz/{target}");
        if !name.contains(filter) {
            continue;
        }
        installer.need(&[&CXX])?;
        let program = build(workspace, target);
        let begun = Instant::now();
        let verdict = match program.and_then(|program| fuzz(workspace, &program, target, runs)) {
            Ok(verdict) => verdict,
            Err(why) => Verdict::Failed(format!("{why:#}")),
        };
        tally = tally.and(judged(&name, verdict, begun.elapsed()));
    }
    Ok(tally)
}

/// Builds a target apart from everything else, which needs no coverage.
fn build(workspace: &Workspace, target: &str) -> Result<PathBuf> {
    let mut command = cargo::cargo(workspace);
    command
        .env("CARGO_TARGET_DIR", workspace.target().join("fuzz"))
        .env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f"))
        // With a target named, build scripts and macros are built without the flags.
        .args(["build", "--profile", "fuzz", "--target", "host-tuple"])
        .args(["--package", PACKAGE, "--bin", target]);
    cargo::executable(&format!("building fuzz/{target}"), &mut command, target)
}

/// Gives a target its inputs.
fn fuzz(workspace: &Workspace, program: &Path, target: &str, runs: u32) -> Result<Verdict> {
    let found = made(workspace.target().join("fuzz/found"))?;
    let mut command = Command::new(program);
    command
        .arg(format!("-runs={runs}"))
        .arg(format!("-artifact_prefix={}/{target}-", found.display()))
        .args(["-seed=1", "-max_len=1024", "-len_control=20", "-timeout=20", "-rss_limit_mb=512"])
        .env("RUST_BACKTRACE", "0");
    let done = process::attempt(&format!("fuzz/{target}"), &mut command)?;
    if done.status.success() {
        return Ok(Verdict::Passed);
    }
    let why = complaint(&done.stderr).unwrap_or_else(|| done.last_lines());
    Ok(Verdict::Failed(format!("{why}\nrepeat it: {} INPUT", program.display())))
}

/// What failed and the input with which it did, from what libFuzzer said.
fn complaint(said: &str) -> Option<String> {
    let written = "Test unit written to ";
    let input = said.lines().find_map(|line| Some(line.split_once(written)?.1))?;
    let panicked = said.lines().skip_while(|line| !line.contains(" panicked at "));
    let message: Vec<&str> = panicked
        .take_while(|line| !(line.starts_with("note: ") || line.starts_with("==")))
        .filter(|line| !line.is_empty())
        .collect();
    let error = said.lines().find_map(|line| line.strip_prefix("SUMMARY: ")).unwrap_or_default();
    let message = if message.is_empty() { error.to_owned() } else { message.join("\n") };
    Some(format!("{message}\nthe input: {input}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libfuzzer_says_is_cut_to_the_reason_and_the_input() {
        let said = "#2\tINITED cov: 3\n\nthread '<unnamed>' (7) panicked at rings.rs:9:5:\n1 of 16\n\
                    note: run with `RUST_BACKTRACE=1`\n==7== ERROR: libFuzzer: deadly signal\n\
                    SUMMARY: libFuzzer: deadly signal\n\
                    artifact_prefix='found/'; Test unit written to found/crash-1\nBase64: AA==\n";
        let panicked = "thread '<unnamed>' (7) panicked at rings.rs:9:5:\n1 of 16";
        let expected = format!("{panicked}\nthe input: found/crash-1");
        assert_eq!(complaint(said), Some(expected));
        let slow = "SUMMARY: libFuzzer: timeout\nTest unit written to found/timeout-2\n";
        let expected = "libFuzzer: timeout\nthe input: found/timeout-2".to_owned();
        assert_eq!(complaint(slow), Some(expected));
        assert_eq!(complaint("no such file"), None);
    }
}
