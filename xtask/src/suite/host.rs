// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests that cargo runs on this machine: each host package's own, and those
//! of the kernel again under Miri.

use super::{Tally, explain, tell};
use crate::cargo;
use crate::packages::{Installer, rust};
use crate::process::{self, Done};
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::process::Command;
use std::time::Instant;

/// Packages whose tests run under Miri: those with unsafe code that the host can run.
const UNDER_MIRI: [&str; 1] = ["kernel"];

/// Runs the packages' tests that the filter names.
pub fn run(workspace: &Workspace, filter: &str) -> Result<Tally> {
    let packages: Vec<String> = packages(workspace)?
        .into_iter()
        .filter(|package| format!("host/{package}").contains(filter))
        .collect();
    if packages.is_empty() {
        return Ok(Tally::default());
    }
    let mut build = cargo::cargo(workspace);
    build.args(["test", "--quiet", "--no-run"]);
    for package in &packages {
        build.args(["--package", package]);
    }
    // All at once builds faster; a package that does not build fails below, by name.
    let _ = process::attempt("building the host tests", &mut build)?;
    let mut all = Tally::default();
    for package in &packages {
        let mut command = cargo::cargo(workspace);
        command.args(["test", "--no-fail-fast", "--package", package]);
        all = all.and(judge(&format!("host/{package}"), &mut command)?);
    }
    Ok(all)
}

/// Runs the kernel's tests under Miri, where its nightly can be had.
pub fn run_miri(workspace: &Workspace, installer: &Installer, filter: &str) -> Result<Tally> {
    let mut all = Tally::default();
    for package in UNDER_MIRI {
        let name = format!("miri/{package}");
        if !name.contains(filter) {
            continue;
        }
        let begun = Instant::now();
        if let Err(why) = rust::need_miri(installer) {
            tell(Tally::SKIPPED, &name, begun.elapsed());
            explain(&format!("{why:#}"));
            all = all.and(Tally::SKIPPED);
            continue;
        }
        let mut command = rust::nightly_cargo(&["miri", "test", "--package", package]);
        command
            .current_dir(workspace.root())
            .env("CARGO_TARGET_DIR", workspace.target().join("miri"));
        all = all.and(judge(&name, &mut command)?);
    }
    Ok(all)
}

/// Runs one `cargo test` and reports it.
fn judge(name: &str, command: &mut Command) -> Result<Tally> {
    let begun = Instant::now();
    let done = process::attempt(name, command)?;
    let mut tally = count(&done.stdout);
    if !done.status.success() && tally.failed == 0 {
        // It did not build, or a test program died.
        tally = tally.and(Tally::FAILED);
    }
    tell(tally, &format!("{name}: {} tests", tally.passed + tally.failed), begun.elapsed());
    for line in done.stdout.lines().filter(|line| line.contains(" ... ignored")) {
        explain(line.trim_start_matches("test "));
    }
    if tally.failed > 0 {
        explain(&complaint(&done));
    }
    Ok(tally)
}

/// Adds up the lines `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
fn count(said: &str) -> Tally {
    let number = |line: &str, word: &str| -> u64 {
        line.split([';', '.'])
            .filter_map(|part| part.trim().strip_suffix(word))
            .find_map(|number| number.trim().parse().ok())
            .unwrap_or(0)
    };
    said.lines().filter(|line| line.starts_with("test result: ")).fold(
        Tally::default(),
        |all, line| {
            all.and(Tally {
                passed: number(line, "passed"),
                failed: number(line, "failed"),
                skipped: number(line, "ignored"),
            })
        },
    )
}

/// What a failed run said, without the tests that passed.
fn complaint(done: &Done) -> String {
    let said = done.stdout.lines().filter(|line| {
        !(line.ends_with("... ok") || line.is_empty() || line.starts_with("running "))
    });
    let told = done.stderr.lines().filter(|line| {
        let line = line.trim_start();
        !(line.is_empty() || line.starts_with("Running ") || line.starts_with("Compiling "))
    });
    told.chain(said).collect::<Vec<_>>().join("\n")
}

/// The workspace's packages that run on the host: its default members.
fn packages(workspace: &Workspace) -> Result<Vec<String>> {
    let file = workspace.root().join("Cargo.toml");
    let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let table: toml::Table = toml::from_str(&text).context("Cargo.toml")?;
    let members = table
        .get("workspace")
        .and_then(|workspace| workspace.get("default-members"))
        .and_then(|members| members.as_array())
        .context("Cargo.toml has no workspace.default-members")?;
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    Ok(members.iter().filter_map(|member| member.as_str()).map(name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_results_of_all_test_programs_are_added_up() {
        let said = "running 2 tests\ntest result: ok. 2 passed; 0 failed; 0 ignored; 0 measured\n\
                    test result: FAILED. 5 passed; 1 failed; 2 ignored; 0 measured; finished\n";
        assert_eq!(count(said), Tally { passed: 7, failed: 1, skipped: 2 });
        assert!(count("nothing").is_empty());
    }
}
