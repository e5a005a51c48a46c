// SPDX-License-Identifier: MIT OR Apache-2.0
//! What came of tests, as a JUnit file.

use crate::error::Error;
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should.
    Passed,
    /// Not as it should: why.
    Failed(String),
    /// It was left out: why.
    Skipped(String),
}

/// Cases of several suites and what came of them.
#[derive(Debug)]
pub struct Report {
    name: String,
    file: Option<PathBuf>,
    suites: BTreeMap<String, Vec<(String, Verdict, Duration)>>,
}

impl Report {
    /// A report without cases; [`Report::junit`] writes it.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), file: None, suites: BTreeMap::new() }
    }

    /// A report that is written anew after each case, so that the file is there however the
    /// test ends.
    #[must_use]
    pub fn to(file: impl Into<PathBuf>, name: &str) -> Self {
        Self { file: Some(file.into()), ..Self::new(name) }
    }

    /// Does something as a case and passes its outcome on, so that `?` ends a test that cannot
    /// go on.
    ///
    /// # Errors
    /// That of the case; one of the file is a case of its own.
    pub fn case<T, E: Display>(
        &mut self,
        name: &str,
        case: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let begun = Instant::now();
        let outcome = case();
        let verdict = match &outcome {
            Ok(_) => Verdict::Passed,
            Err(why) => Verdict::Failed(why.to_string()),
        };
        let suite = self.name.clone();
        self.add(&suite, name, verdict, begun.elapsed());
        if let Some(file) = self.file.clone()
            && let Err(why) = self.junit(&file)
        {
            let verdict = Verdict::Failed(format!("{}: {why}", file.display()));
            self.add(&suite, "report", verdict, Duration::ZERO);
        }
        outcome
    }

    /// Adds a case of a suite.
    pub fn add(&mut self, suite: &str, name: &str, verdict: Verdict, took: Duration) {
        let cases = self.suites.entry(suite.to_owned()).or_default();
        cases.push((name.to_owned(), verdict, took));
    }

    /// Whether all cases passed.
    ///
    /// # Errors
    /// [`Error::Failed`], which names those that did not.
    pub fn verdict(&self) -> Result<(), Error> {
        let cases = self.suites.values().flatten();
        let failed = cases.filter(|(_, verdict, _)| matches!(verdict, Verdict::Failed(_)));
        let names: Vec<String> = failed.map(|(name, ..)| name.clone()).collect();
        if names.is_empty() { Ok(()) } else { Err(Error::Failed(names)) }
    }

    /// Writes the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn junit(&self, file: &Path) -> Result<(), Error> {
        std::fs::write(file, self.xml()?)?;
        Ok(())
    }

    /// The file's text.
    fn xml(&self) -> Result<String, Error> {
        let mut report = quick_junit::Report::new(&*self.name);
        let mut all = Duration::ZERO;
        for (name, cases) in &self.suites {
            let mut suite = TestSuite::new(&**name);
            let mut time = Duration::ZERO;
            for (case, verdict, took) in cases {
                let mut case = TestCase::new(&**case, status(verdict));
                case.set_classname(&**name).set_time(*took);
                suite.add_test_case(case);
                time += *took;
            }
            suite.set_time(time);
            report.add_test_suite(suite);
            all += time;
        }
        report.set_time(all);
        report.to_string().map_err(|why| Error::File(std::io::Error::other(why)))
    }
}

/// A verdict in the words of JUnit: the first line is the message, all of it the text.
fn status(verdict: &Verdict) -> TestCaseStatus {
    let first = |why: &str| why.lines().next().unwrap_or_default().to_owned();
    match verdict {
        Verdict::Passed => TestCaseStatus::success(),
        Verdict::Failed(why) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(first(why)).set_description(why.as_str());
            status
        }
        Verdict::Skipped(why) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(first(why));
            status
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_and_cases_are_counted_and_what_failed_says_why() {
        let mut report = Report::new("run");
        let second = Duration::from_secs(1);
        report.add("host/abi", "a::b", Verdict::Passed, second);
        let why = "no line `x` & more\nconsole: \x1b[1mlog\x07".to_owned();
        report.add("scenario", "demo", Verdict::Failed(why), 2 * second);
        report.add("scenario", "pc", Verdict::Skipped("no KVM".into()), Duration::ZERO);
        let xml = report.xml().unwrap();
        for part in [
            r#"<testsuites name="run" tests="3" skipped="1" failures="1" errors="0" time="3.000">"#,
            r#"<testsuite name="scenario" tests="2" skipped="1" errors="0" failures="1" time="2.000">"#,
            r#"<testcase name="a::b" classname="host/abi" time="1.000"/>"#,
            r#"<failure message="no line `x` &amp; more">"#,
            r#"<skipped message="no KVM"/>"#,
        ] {
            assert!(xml.contains(part), "{part} is not in {xml}");
        }
        assert!(!xml.contains(['\x1b', '\x07']), "{xml}");
        assert!(matches!(report.verdict(), Err(Error::Failed(names)) if names == ["demo"]));
    }

    #[test]
    fn the_file_is_there_after_each_case_and_an_outcome_is_passed_on() {
        let file = std::env::temp_dir().join(format!("bulkhead-junit-{}.xml", std::process::id()));
        let mut report = Report::to(&file, "mine");
        assert_eq!(report.case("first", || Ok::<_, String>(7)), Ok(7));
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(r#"tests="1""#) && report.verdict().is_ok());
        let failed: Result<(), _> = report.case("second", || Err("why".to_owned()));
        assert_eq!(failed, Err("why".to_owned()));
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(r#"failures="1""#) && report.verdict().is_err());
        std::fs::remove_file(file).unwrap();
    }
}
