// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask test`: every test there is, part by part, with one closing line.

pub mod fuzz;
pub mod host;
pub mod scenarios;

use crate::failure::{FAILED, PASSED, mistake};
use crate::packages::Installer;
use crate::terminal::{Tone, paint};
use crate::workspace::Workspace;
use crate::{bench, soak};
use anyhow::{Context, Result, anyhow};
use bulkhead_test::Report;
use bulkhead_test::report::Verdict;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Examples for the help.
pub const EXAMPLES: &str = "\
Examples:
  cargo xtask test
  cargo xtask test host/paging
  cargo xtask test scenario/demo
  cargo xtask test --junit tests.xml";

/// What can be asked.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Run only tests whose name contains this: host/PACKAGE, fuzz/TARGET, miri/PACKAGE,
    /// scenario/NAME, library/NAME, soak/NAME, bench/ROW.
    #[arg(default_value = "")]
    filter: String,
    /// Write what came of every test into a JUnit file.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// What came of some tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed.
    pub failed: u64,
    /// Tests that could not be run here, each named when it was left out.
    pub skipped: u64,
}

impl Tally {
    /// One test that passed.
    pub const PASSED: Self = Self { passed: 1, failed: 0, skipped: 0 };
    /// One test that failed.
    pub const FAILED: Self = Self { passed: 0, failed: 1, skipped: 0 };
    /// One test that was left out.
    pub const SKIPPED: Self = Self { passed: 0, failed: 0, skipped: 1 };

    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }

    /// Whether no test was even named.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// What came of every test so far, for `--junit`.
static REPORT: LazyLock<Mutex<Report>> =
    LazyLock::new(|| Mutex::new(Report::new("cargo xtask test")));

/// Notes what came of one test, for `--junit`.
pub fn record(suite: &str, name: &str, verdict: Verdict, took: Duration) {
    let mut report = REPORT.lock().unwrap_or_else(PoisonError::into_inner);
    report.add(suite, name, verdict, took);
}

/// Says and notes what came of one test: of which suite, before the first `/`, with the time it
/// took and why it did not pass.
pub fn judged(name: &str, verdict: Verdict, took: Duration) -> Tally {
    let (tally, why) = match &verdict {
        Verdict::Passed => (Tally::PASSED, ""),
        Verdict::Failed(why) => (Tally::FAILED, why.as_str()),
        Verdict::Skipped(why) => (Tally::SKIPPED, why.as_str()),
    };
    tell(tally, name, took);
    explain(why);
    let (suite, case) = name.split_once('/').unwrap_or(("", name));
    record(suite, case, verdict, took);
    tally
}

/// The verdict that an outcome is.
pub fn verdict_of<T>(outcome: &Result<T>) -> Verdict {
    outcome.as_ref().map_or_else(|why| Verdict::Failed(format!("{why:#}")), |_| Verdict::Passed)
}

/// Says what came of one test or group, with the time it took.
fn tell(tally: Tally, name: &str, took: Duration) {
    let word = match tally {
        Tally { failed: 1.., .. } => paint(Tone::Bad, "FAIL"),
        Tally { passed: 0, skipped: 1.., .. } => paint(Tone::Quiet, "skip"),
        Tally { .. } => paint(Tone::Good, "ok  "),
    };
    eprintln!("  {word}  {name:<56} {:>7.1} s", took.as_secs_f64());
}

/// Says more about the test named last.
fn explain(text: &str) {
    for line in text.lines() {
        eprintln!("        {line}");
    }
}

/// Parts of the tests, added up.
#[derive(Debug, Default)]
struct Parts {
    all: Tally,
    /// How long each took.
    times: Vec<String>,
}

impl Parts {
    /// Runs a part; an error is what kept it from running at all.
    fn run(&mut self, name: &str, part: impl FnOnce() -> Result<Tally>) -> Result<()> {
        let begun = Instant::now();
        let tally = part()?;
        if !tally.is_empty() {
            self.times.push(format!("{name} {:.0} s", begun.elapsed().as_secs_f64()));
        }
        self.all = self.all.and(tally);
        Ok(())
    }
}

/// Runs the tests that the filter names, or all.
pub fn run(workspace: &Workspace, installer: &Installer, arguments: &Arguments) -> Result<u8> {
    let filter = arguments.filter.as_str();
    let started = Instant::now();
    if let Some(file) = &arguments.junit {
        // Better told now than after all tests.
        File::create(file).map_err(|error| {
            mistake(format!("--junit {}: {error}; name a file that can be written", file.display()))
        })?;
    }
    let mut parts = Parts::default();
    parts.run("host tests", || host::run(workspace, filter))?;
    parts.run("fuzz targets", || fuzz::run(workspace, installer, filter))?;
    std::thread::scope(|scope| {
        // Miri keeps one core busy for long, so it runs beside the emulators.
        let miri = scope.spawn(|| host::run_miri(workspace, installer, filter));
        parts.run("scenarios", || scenarios::run(workspace, installer, filter))?;
        parts.run("tests by the library", || host::run_library(workspace, installer, filter))?;
        parts.run("soaks", || soak::test(workspace, installer, filter))?;
        parts.run("budgets", || bench::test(workspace, installer, filter))?;
        parts.run("the rest of Miri", || {
            miri.join().map_err(|_| anyhow!("the thread that ran Miri died"))?
        })
    })?;
    let Parts { all, times } = parts;
    if all.is_empty() {
        return Err(mistake(format!(
            "no test has a name with `{filter}`; names are host/PACKAGE, fuzz/TARGET, \
             miri/PACKAGE, bench/EMULATOR/ROW, library/NAME, soak/NAME and scenario/NAME, with NAME a folder in tests/scenarios"
        )));
    }
    if let Some(file) = &arguments.junit {
        let report = REPORT.lock().unwrap_or_else(PoisonError::into_inner);
        report.junit(file).with_context(|| file.display().to_string())?;
    }
    eprintln!("{}, together {:.0} s", times.join(", "), started.elapsed().as_secs_f64());
    println!("{} passed, {} failed, {} skipped", all.passed, all.failed, all.skipped);
    Ok(if all.failed == 0 { PASSED } else { FAILED })
}
