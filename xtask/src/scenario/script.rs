// SPDX-License-Identifier: MIT OR Apache-2.0
//! A scenario against a console, line by line. It neither waits nor boots, so
//! it is tested without a machine.

use super::format::{Agreement, Asking, Ending, Scenario, Step};
use bulkhead_test::End;
use regex::Regex;
use std::collections::VecDeque;

/// What a hypervisor says that found itself to be wrong.
const PANIC: &str = r"^\[bulkhead\] panic";
/// The kernel feature whose builds panic on purpose.
const PANICS: &str = "panic-test";

/// A scenario under way.
#[derive(Debug)]
pub struct Script {
    steps: VecDeque<Step>,
    /// What the current step still waits for, and how often.
    awaited: Vec<(Regex, u32)>,
    forbidden: Vec<Regex>,
    hearts: Vec<Heart>,
    accord: Option<Accord>,
    ending: Ending,
    end: Option<End>,
    /// What was asked and not answered yet.
    asked: Option<Asking>,
}

/// Numbers that must agree.
#[derive(Debug)]
struct Accord {
    terms: Agreement,
    /// What each pattern found last.
    found: Vec<Option<f64>>,
}

/// The heartbeats of one partition.
#[derive(Debug)]
struct Heart {
    partition: String,
    pattern: Regex,
    last: Option<u64>,
    /// How many are still wanted after the last step.
    wanted: u32,
}

impl Script {
    /// The start of a scenario.
    pub fn new(scenario: &Scenario) -> Result<Self, String> {
        let mut forbidden: Vec<Regex> =
            scenario.forbid.iter().map(|pattern| pattern.0.clone()).collect();
        if !scenario.features.iter().any(|feature| feature == PANICS) {
            forbidden.push(Regex::new(PANIC).map_err(|error| error.to_string())?);
        }
        let hearts = scenario.heartbeats.iter().map(|name| Heart::new(name, scenario.beats));
        let mut script = Self {
            steps: scenario.step.iter().cloned().collect(),
            awaited: Vec::new(),
            forbidden,
            hearts: hearts.collect::<Result<_, _>>()?,
            accord: scenario.agree.clone().map(Accord::new),
            ending: scenario.end.clone(),
            end: None,
            asked: None,
        };
        script.advance();
        Ok(script)
    }

    /// Takes a whole line; an error is the scenario's failure.
    pub fn line(&mut self, line: &str) -> Result<(), String> {
        if let Some(pattern) = self.forbidden.iter().find(|pattern| pattern.is_match(line)) {
            return Err(format!("a line matched the forbidden `{}`: {line}", pattern.as_str()));
        }
        let over = self.steps.is_empty();
        for heart in &mut self.hearts {
            heart.line(line, over)?;
        }
        if let Some(accord) = &mut self.accord {
            accord.line(line)?;
        }
        if let Some(end) = End::read(line) {
            self.end = Some(end);
        }
        self.match_line(line);
        Ok(())
    }

    /// Takes a line that has no ending yet, such as a prompt.
    pub fn prompt(&mut self, line: &str) {
        if !line.is_empty() {
            self.match_line(line);
        }
    }

    /// What is to be done now: a step that waits for nothing but the answer before it.
    pub fn deed(&mut self) -> Option<Step> {
        let waits = matches!(self.steps.front()?, Step::Expect { .. });
        if waits || self.asked.is_some() {
            return None;
        }
        let deed = self.steps.pop_front()?;
        self.advance();
        if let Step::Ask(asking) = &deed {
            self.asked = Some(asking.clone());
        }
        Some(deed)
    }

    /// What was asked is answered: with an exit status and an output; an error is the scenario's failure.
    pub fn answered(&mut self, status: u8, output: &str) -> Result<(), String> {
        let Some(asked) = self.asked.take() else { return Ok(()) };
        let missing = asked
            .prints
            .iter()
            .find(|pattern| !output.lines().any(|line| pattern.0.is_match(line)));
        let why = match missing {
            _ if status != asked.status => {
                format!("ended with {status} in place of {}", asked.status)
            }
            Some(pattern) => format!("printed no line that matches `{}`", pattern.0.as_str()),
            None => return Ok(()),
        };
        Err(format!("`ctl {}` {why}; it printed:\n{output}", asked.text))
    }

    /// Whether everything happened that was to happen while the machine runs.
    pub fn finished(&self) -> bool {
        self.steps.is_empty()
            && self.asked.is_none()
            && match self.ending {
                Ending::Never => self.hearts.iter().all(|heart| heart.wanted == 0),
                Ending::Ok | Ending::Failed(_) => self.end.is_some(),
            }
    }

    /// Whether a finished machine would run on, so that it is to be stopped.
    pub fn runs_on(&self) -> bool {
        matches!(self.ending, Ending::Never)
    }

    /// Judges a machine that was finished or has ended by itself.
    pub fn judge(&self) -> Result<(), String> {
        if !self.finished() {
            return Err(format!("the machine ended; still awaited: {}", self.awaited()));
        }
        if let Some(heart) = self.hearts.iter().find(|heart| heart.last.is_none()) {
            return Err(format!("{} gave no heartbeat", heart.partition));
        }
        if let Some(absent) = self.accord.as_ref().and_then(Accord::absent) {
            return Err(format!("no line had the number of `{absent}`"));
        }
        match (&self.ending, &self.end) {
            (Ending::Never, _) | (Ending::Ok, Some(End::Ok)) => Ok(()),
            (Ending::Failed(pattern), Some(End::Failed(why))) if pattern.0.is_match(why) => Ok(()),
            (ending, end) => Err(format!("the end was to be {ending:?} and was {end:?}")),
        }
    }

    /// What is still to happen, for a message.
    pub fn awaited(&self) -> String {
        let mut parts: Vec<String> =
            self.awaited.iter().map(|(pattern, _)| format!("`{}`", pattern.as_str())).collect();
        if let Some(asked) = &self.asked {
            parts.push(format!("the answer to `ctl {}`", asked.text));
        }
        if parts.is_empty() && self.steps.is_empty() {
            let late = self.hearts.iter().filter(|heart| heart.wanted > 0);
            parts.extend(late.map(|heart| format!("heartbeats of {}", heart.partition)));
        }
        if parts.is_empty() && self.end.is_none() {
            parts.push("the hypervisor's last line".to_owned());
        }
        parts.join(", ")
    }

    /// Strikes what the line matches and goes on when nothing is left.
    fn match_line(&mut self, line: &str) {
        if self.awaited.is_empty() {
            return;
        }
        for (pattern, times) in &mut self.awaited {
            if *times > 0 && pattern.is_match(line) {
                *times -= 1;
            }
        }
        self.awaited.retain(|(_, times)| *times > 0);
        if self.awaited.is_empty() {
            self.steps.pop_front();
            self.advance();
        }
    }

    /// Prepares the step that is now the first.
    fn advance(&mut self) {
        if let Some(Step::Expect { patterns, times }) = self.steps.front() {
            self.awaited = patterns.iter().map(|pattern| (pattern.0.clone(), *times)).collect();
        }
    }
}

impl Accord {
    /// None seen yet.
    fn new(terms: Agreement) -> Self {
        let found = vec![None; terms.numbers.len()];
        Self { terms, found }
    }

    /// Takes a line; an error if its number is too far from another.
    fn line(&mut self, line: &str) -> Result<(), String> {
        for (pattern, found) in self.terms.numbers.iter().zip(&mut self.found) {
            let group = pattern.0.captures(line).and_then(|groups| groups.get(1));
            *found = group.and_then(|digits| digits.as_str().parse().ok()).or(*found);
        }
        let all = || self.found.iter().flatten().copied();
        let (least, most) = (all().fold(f64::MAX, f64::min), all().fold(f64::MIN, f64::max));
        if most - least > self.terms.within * least {
            return Err(format!("{most} is too far from {least}: {line}"));
        }
        Ok(())
    }

    /// A pattern whose number was on no line.
    fn absent(&self) -> Option<&Regex> {
        let mut both = self.terms.numbers.iter().zip(&self.found);
        both.find(|(_, found)| found.is_none()).map(|(pattern, _)| &pattern.0)
    }
}

impl Heart {
    /// The heartbeats of a partition, none seen yet.
    fn new(partition: &str, wanted: u32) -> Result<Self, String> {
        // What follows the number shows that all its digits are there: the hypervisor
        // shows an unfinished line that another interrupts once more when it goes on.
        let pattern = format!(r"^\[{}\] heartbeat (\d+)[ ,:]", regex::escape(partition));
        let pattern = Regex::new(&pattern).map_err(|error| error.to_string())?;
        Ok(Self { partition: partition.to_owned(), pattern, last: None, wanted })
    }

    /// Takes a line; an error if a number is missing.
    fn line(&mut self, line: &str, over: bool) -> Result<(), String> {
        let Some(number) = self
            .pattern
            .captures(line)
            .and_then(|found| found.get(1))
            .and_then(|digits| digits.as_str().parse::<u64>().ok())
        else {
            return Ok(());
        };
        match self.last {
            Some(last) if number == last => return Ok(()),
            Some(last) if number != last.saturating_add(1) => {
                return Err(format!("{}: heartbeat {number} came after {last}", self.partition));
            }
            Some(_) | None => self.last = Some(number),
        }
        if over {
            self.wanted = self.wanted.saturating_sub(1);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(text: &str) -> Script {
        let text = format!("about = ''\ntimeout = 1\n{text}");
        Script::new(&toml::from_str(&text).unwrap()).unwrap()
    }

    #[test]
    fn a_line_counts_only_after_the_step_before_it() {
        let mut script = script("[[step]]\nexpect = 'one'\n[[step]]\nexpect = 'two'");
        for line in ["two", "one"] {
            script.line(line).unwrap();
        }
        assert!(!script.finished());
        script.line("two").unwrap();
        assert!(script.finished());
        assert!(script.judge().is_ok());
    }

    #[test]
    fn several_patterns_match_in_any_order_and_as_often_as_asked() {
        let mut script = script("[[step]]\nexpect = ['a', 'b']\ntimes = 2");
        for line in ["b", "a", "b", "b"] {
            script.line(line).unwrap();
        }
        assert_eq!(script.awaited(), "`a`");
        script.line("a").unwrap();
        assert!(script.finished());
    }

    #[test]
    fn text_is_typed_when_its_turn_comes() {
        let mut script = script(
            "[[step]]\nexpect = 'prompt'\n[[step]]\ntype = 'ls'\nto = 'linux'\n\
             [[step]]\nexpect = 'bin'",
        );
        assert!(script.deed().is_none());
        script.prompt("[linux] prompt");
        assert!(matches!(script.deed(), Some(Step::Type(typing)) if typing.text == "ls"));
        assert!(script.deed().is_none());
        script.line("[linux] bin").unwrap();
        assert!(script.finished());
    }

    #[test]
    fn what_follows_a_question_does_not_wait_for_the_answer_but_the_next_deed_does() {
        let text = "[[step]]\nctl = 'kill rtos'\nprints = '^rtos: '\nstatus = 1\n\
                    [[step]]\nexpect = 'gone'\n[[step]]\nnoise = 3";
        let mut script = script(text);
        assert!(matches!(script.deed(), Some(Step::Ask(_))));
        script.line("gone").unwrap();
        assert!(script.deed().is_none() && !script.finished());
        assert_eq!(script.awaited(), "the answer to `ctl kill rtos`");
        script.answered(1, "no\nrtos: ending\n").unwrap();
        assert!(matches!(script.deed(), Some(Step::Noise(3))));
        assert!(script.finished());
        for (status, output) in [(0, "rtos: ending"), (1, "driver: ending")] {
            let mut script = self::script(text);
            script.deed();
            let why = script.answered(status, output).unwrap_err();
            assert!(why.contains("ctl kill rtos") && why.contains(output), "{why}");
        }
    }

    #[test]
    fn a_gap_in_the_heartbeats_fails_and_two_more_are_wanted_at_the_end() {
        let mut script = script("heartbeats = ['rtos']\n[[step]]\nexpect = 'go'");
        for line in
            ["[rtos] heartbeat 9 late", "[x] heartbeat 3 late", "go", "[rtos] heartbeat 10 late"]
        {
            script.line(line).unwrap();
        }
        assert!(!script.finished());
        assert!(script.line("[rtos] heartbeat 12 late").is_err());
        script.line("[rtos] heartbeat 11 late").unwrap();
        assert!(script.finished());
    }

    #[test]
    fn a_heartbeat_that_was_interrupted_and_shown_again_is_one() {
        let mut script = script("heartbeats = ['rtos']");
        for line in ["heartbeat 11 late", "heartbeat 1", "heartbeat 12 la", "heartbeat 12 late"] {
            script.line(&format!("[rtos] {line}")).unwrap();
        }
        assert!(script.finished());
    }

    #[test]
    fn numbers_must_be_there_and_agree() {
        let text = r"agree = { within = 0.001, numbers = ['^a (\d+\.\d+)', '^b (\d+)'] }";
        let mut script = self::script(text);
        script.line("a 1000.4 MHz").unwrap();
        assert!(script.judge().is_err());
        script.line("b 1001 MHz").unwrap();
        assert!(script.judge().is_ok());
        assert!(script.line("b 1002 MHz").is_err());
    }

    #[test]
    fn the_end_must_be_the_one_that_was_asked_for() {
        let mut script = script("end = { failed = '^linux .*abort' }");
        script.line("[linux] [bulkhead] end: ok").unwrap();
        assert!(!script.finished());
        script.line("[bulkhead] end: failed linux data abort").unwrap();
        assert!(script.finished());
        assert!(script.judge().is_ok());
        let mut other = self::script("end = 'ok'");
        other.line("[bulkhead] end: failed linux data abort").unwrap();
        assert!(other.judge().is_err());
    }

    #[test]
    fn a_panic_is_forbidden_but_in_the_build_that_panics() {
        assert!(script("").line("[bulkhead] panic on CPU 1").is_err());
        assert!(script("features = ['panic-test']").line("[bulkhead] panic on CPU 1").is_ok());
    }
}
