// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests that cargo runs on this machine: each host package's own, and those
//! of the kernel again under Miri.

use super::{Tally, explain, judged, record, tell};
use crate::cargo;
use crate::packages::{Installer, rust};
use crate::process::{self, Done};
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use bulkhead_test::NO_INSTALL;
use bulkhead_test::report::Verdict;
use std::process::Command;
use std::time::{Duration, Instant};

/// Packages whose tests run under Miri: those with unsafe code that the host can run.
const UNDER_MIRI: [&str; 1] = ["kernel"];

/// The test of a system that a user could have written, and its package.
const LIBRARY: &str = "library/example";
const LIBRARY_PACKAGE: &str = "example";

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
            let verdict = Verdict::Skipped(format!("{why:#}"));
            all = all.and(judged(&name, verdict, begun.elapsed()));
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

/// Runs the tests of systems that are written as a user would, with the library of tests.
pub fn run_library(workspace: &Workspace, installer: &Installer, filter: &str) -> Result<Tally> {
    if !LIBRARY.contains(filter) {
        return Ok(Tally::default());
    }
    let mut command = cargo::cargo(workspace);
    command.args([
        "test",
        "--no-fail-fast",
        "--package",
        LIBRARY_PACKAGE,
        "--",
        "--test-threads=1",
    ]);
    if installer.refuses() {
        command.env(NO_INSTALL, "1");
    }
    judge(LIBRARY, &mut command)
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
    let (took, cases) = (begun.elapsed(), cases(&done.stdout));
    if tally.failed > 0 && !cases.iter().any(|(_, verdict)| matches!(verdict, Verdict::Failed(_))) {
        record(name, "all", Verdict::Failed(complaint(&done)), took);
    }
    for (case, verdict) in cases {
        // How long each took, cargo does not say.
        record(name, &case, verdict, Duration::ZERO);
    }
    tell(tally, &format!("{name}: {} tests", tally.passed + tally.failed), took);
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

/// Each test by its name, from the lines `test NAME ... ok` and, of those that failed, what stands
/// below `---- NAME stdout ----`.
fn cases(said: &str) -> Vec<(String, Verdict)> {
    let why = |name: &str| {
        let behind = said.split_once(&format!("---- {name} stdout ----\n"));
        let text = behind.map_or("", |(_, behind)| behind);
        let end = text.find("\n---- ").or_else(|| text.find("\n\n\nfailures:"));
        text.get(..end.unwrap_or(text.len())).unwrap_or(text).trim().to_owned()
    };
    let case = |line: &str| {
        let (name, came) = line.strip_prefix("test ")?.split_once(" ... ")?;
        let verdict = match came.split_once(", ").unwrap_or((came, "")) {
            ("ok", _) => Verdict::Passed,
            ("ignored", reason) => Verdict::Skipped(reason.to_owned()),
            ("FAILED", _) => Verdict::Failed(why(name)),
            _ => return None,
        };
        Some((name.to_owned(), verdict))
    };
    said.lines().filter_map(case).collect()
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
    let table = |folder: &str| -> Result<toml::Table> {
        let file = workspace.root().join(folder).join("Cargo.toml");
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        toml::from_str(&text).with_context(|| file.display().to_string())
    };
    let all = table("")?;
    let members = all
        .get("workspace")
        .and_then(|workspace| workspace.get("default-members"))
        .and_then(|members| members.as_array())
        .context("Cargo.toml has no workspace.default-members")?;
    let name = |folder: &str| {
        let member = table(folder)?;
        let name = member.get("package").and_then(|package| package.get("name"));
        name.and_then(|name| name.as_str()).map(str::to_owned).context("a package has no name")
    };
    members.iter().filter_map(|member| member.as_str()).map(name).collect()
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

    #[test]
    fn each_test_has_a_verdict_of_its_own_and_what_failed_says_why() {
        let said = "running 4 tests\ntest a::b ... ok\ntest c ... FAILED\n\
                    test d ... ignored, needs KVM\ntest e - should panic ... ok\n\nfailures:\n\n\
                    ---- c stdout ----\nthread 'c' panicked\nleft: 1\n\n\nfailures:\n    c\n";
        let named = |name: &str, verdict| (name.to_owned(), verdict);
        let expected = [
            named("a::b", Verdict::Passed),
            named("c", Verdict::Failed("thread 'c' panicked\nleft: 1".to_owned())),
            named("d", Verdict::Skipped("needs KVM".to_owned())),
            named("e - should panic", Verdict::Passed),
        ];
        assert_eq!(cases(said), expected);
    }
}
