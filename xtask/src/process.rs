// SPDX-License-Identifier: MIT OR Apache-2.0
//! Other programs: run quietly with their output kept for the error message.

use crate::terminal::Step;
use anyhow::{Context, Result, bail};
pub use bulkhead_test::emulator::command::{shown, which};
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, ExitStatus, Stdio};

/// Lines of a failed program's output that an error message repeats.
const LINES_SHOWN: usize = 60;
/// Characters of a running program's last line that are shown beside its step.
const DETAIL_SHOWN: usize = 60;

/// What a program said and how it ended.
#[derive(Debug)]
pub struct Done {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Done {
    /// The end of all it said.
    pub fn last_lines(&self) -> String {
        let lines: Vec<&str> = self.stdout.lines().chain(self.stderr.lines()).collect();
        let skipped = lines.len().saturating_sub(LINES_SHOWN);
        lines[skipped..].join("\n")
    }
}

/// Runs a command under a named step; its standard output if it succeeds, the
/// end of all it said as the error if it does not.
pub fn run(step: &str, command: &mut Command) -> Result<String> {
    let done = attempt(step, command)?;
    succeeded(command, done)
}

/// Like [`run`], for commands that take no noticeable time.
pub fn output(command: &mut Command) -> Result<String> {
    let done = finish(command, |_| ())?;
    succeeded(command, done)
}

/// Runs a command under a named step, whatever its status.
pub fn attempt(step: &str, command: &mut Command) -> Result<Done> {
    let step = Step::begin(step);
    finish(command, |line| step.detail(&line.chars().take(DETAIL_SHOWN).collect::<String>()))
}

/// The standard output of a command that succeeded; the end of all it said as the error.
pub fn succeeded(command: &Command, done: Done) -> Result<String> {
    if !done.status.success() {
        bail!("`{}` ended with {}\n{}", shown(command), done.status, done.last_lines());
    }
    Ok(done.stdout)
}

/// Runs a command to its end, showing its lines to `watch` as they come.
fn finish(command: &mut Command, watch: impl Fn(&str) + Sync) -> Result<Done> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{program} could not be started"))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (stdout, stderr) = std::thread::scope(|scope| {
        let said = scope.spawn(|| stdout.map(|pipe| drain(pipe, &watch)).unwrap_or_default());
        let complained = stderr.map(|pipe| drain(pipe, &watch)).unwrap_or_default();
        (said.join().unwrap_or_default(), complained)
    });
    let status = child.wait().with_context(|| format!("waiting for {program}"))?;
    Ok(Done { status, stdout, stderr })
}

/// Reads a pipe to its end, line by line.
fn drain(pipe: impl Read, watch: &impl Fn(&str)) -> String {
    let mut pipe = BufReader::new(pipe);
    let mut all = String::new();
    let mut line = Vec::new();
    while matches!(pipe.read_until(b'\n', &mut line), Ok(read) if read > 0) {
        let text = String::from_utf8_lossy(&line);
        watch(text.trim());
        all.push_str(&text);
        line.clear();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_says_what_it_said() {
        let mut command = Command::new("sh");
        let error = output(command.args(["-c", "echo why; echo no >&2; exit 3"])).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("why\nno") && text.contains('3'), "{text}");
    }
}
