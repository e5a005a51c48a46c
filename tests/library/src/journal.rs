// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the console has shown: all of it in order, and each tag's lines apart, of
//! which every one is matched once. It neither waits nor reads, so it is tested
//! without a machine.

use crate::emulator::lines::{End, tagged};
use regex::Regex;
use std::collections::BTreeMap;

/// The hypervisor's tag.
pub(crate) const HYPERVISOR: &str = "bulkhead";
/// What it says that found itself to be wrong.
const PANIC: &str = "[bulkhead] panic";
/// Lines that a failure repeats.
const LINES_SHOWN: usize = 30;

/// What matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The whole line, without its tag.
    pub line: String,
    /// What the pattern's groups matched, the whole match first; empty for one that matched nothing.
    pub groups: Vec<String>,
}

impl Seen {
    /// The number in a group, as in `wait_for(r"heartbeat (\d+)", …)?.number(1)`.
    #[must_use]
    pub fn number<T: std::str::FromStr>(&self, group: usize) -> Option<T> {
        self.groups.get(group)?.parse().ok()
    }
}

/// The console so far.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    /// Every whole line, with its tag.
    pub(crate) lines: Vec<String>,
    /// The line that is unfinished, once it has stood for a while.
    pub(crate) prompt: String,
    /// How often nothing came for a while.
    pub(crate) quiet: u64,
    /// What the hypervisor's last line said.
    pub(crate) end: Option<End>,
    /// A panic of the hypervisor.
    pub(crate) panic: Option<String>,
    /// The emulator is gone, and this is what it said.
    pub(crate) ended: Option<String>,
    books: BTreeMap<String, Book>,
}

/// The lines with one tag.
#[derive(Debug, Default)]
struct Book {
    /// Each with what of it was matched already, when it was unfinished.
    lines: Vec<(String, usize)>,
    /// The next line to look at.
    next: usize,
    /// An unfinished line that was matched.
    prompt: Option<Prompt>,
}

/// An unfinished line that was matched.
#[derive(Debug)]
struct Prompt {
    text: String,
    /// Something was typed since.
    answered: bool,
}

impl Journal {
    /// Takes a whole line.
    pub(crate) fn line(&mut self, line: String) {
        self.prompt.clear();
        if let Some(end) = End::read(&line) {
            self.end = Some(end);
        }
        if line.starts_with(PANIC) && self.panic.is_none() {
            self.panic = Some(line.clone());
        }
        if let Some((tag, text)) = split(&line) {
            self.books.entry(tag.to_owned()).or_default().line(text);
        }
        self.lines.push(line);
    }

    /// Nothing came for a while; `unfinished` is the last line.
    pub(crate) fn still(&mut self, unfinished: String) {
        self.prompt = unfinished;
        self.quiet += 1;
    }

    /// The first line behind the last match with this tag that matches, which is struck with
    /// all before it.
    pub(crate) fn find(&mut self, tag: &str, pattern: &Regex) -> Option<Seen> {
        let unfinished = split(&self.prompt).filter(|(of, _)| *of == tag).map(|(_, text)| text);
        self.books.entry(tag.to_owned()).or_default().find(pattern, unfinished.as_deref())
    }

    /// Something was typed at a partition.
    pub(crate) fn typed(&mut self, tag: &str) {
        if let Some(prompt) = self.books.get_mut(tag).and_then(|book| book.prompt.as_mut()) {
            prompt.answered = true;
        }
    }

    /// Strikes all lines with a tag so far.
    pub(crate) fn skip(&mut self, tag: &str) {
        if let Some(book) = self.books.get_mut(tag) {
            book.next = book.lines.len();
        }
    }

    /// All whole lines with a tag.
    pub(crate) fn of(&self, tag: &str) -> Vec<String> {
        let lines = self.books.get(tag).into_iter().flat_map(|book| &book.lines);
        lines.map(|(text, _)| text.clone()).collect()
    }

    /// The last lines, for a failure.
    pub(crate) fn tail(&self) -> String {
        let from = self.lines.len().saturating_sub(LINES_SHOWN);
        let last = self.lines.get(from..).unwrap_or(&[]).iter().map(String::as_str);
        let more = [self.prompt.as_str(), self.ended.as_deref().unwrap_or("")];
        let all = last.chain(more.into_iter().flat_map(str::lines));
        all.map(|line| format!("  {line}\n")).collect::<String>().trim_end_matches('\n').to_owned()
    }
}

impl Book {
    fn line(&mut self, text: String) {
        let mut from = 0;
        if let Some(prompt) = self.prompt.take()
            && text.starts_with(&prompt.text)
        {
            from = prompt.text.len();
            // Another partition's line interrupts one that is unfinished, which is shown again.
            if text == prompt.text && !prompt.answered {
                self.prompt = Some(prompt);
            }
        }
        self.lines.push((text, from));
    }

    fn find(&mut self, pattern: &Regex, unfinished: Option<&str>) -> Option<Seen> {
        for place in self.next..self.lines.len() {
            let (text, from) = self.lines.get(place)?;
            // An empty rest is what was matched before, and no line of its own.
            if *from > 0 && *from == text.len() {
                continue;
            }
            if let Some(seen) = seen(pattern, text, *from) {
                self.next = place + 1;
                return Some(seen);
            }
        }
        let text = unfinished?;
        let known = self.prompt.as_ref().map(|prompt| prompt.text.as_str());
        let from = known.filter(|known| text.starts_with(known)).map_or(0, str::len);
        if text.is_empty() || (from > 0 && from == text.len()) {
            return None;
        }
        let seen = seen(pattern, text, from)?;
        self.next = self.lines.len();
        self.prompt = Some(Prompt { text: text.to_owned(), answered: false });
        Some(seen)
    }
}

/// What a pattern matches in a text behind a place.
fn seen(pattern: &Regex, text: &str, from: usize) -> Option<Seen> {
    let found = pattern.captures_at(text, from)?;
    let group = |group: Option<regex::Match<'_>>| {
        group.map_or_else(String::new, |group| group.as_str().to_owned())
    };
    Some(Seen { line: text.to_owned(), groups: found.iter().map(group).collect() })
}

/// A line's tag and what was written behind it: where the writer went back to the line's
/// beginning, the hypervisor has put the tag once more.
fn split(line: &str) -> Option<(&str, String)> {
    let (tag, text) = tagged(line)?;
    Some((tag, text.replace(&format!("\r[{tag}] "), "\r")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(lines: &[&str]) -> Journal {
        let mut journal = Journal::default();
        lines.iter().for_each(|line| journal.line((*line).to_owned()));
        journal
    }

    fn find(journal: &mut Journal, tag: &str, pattern: &str) -> Option<String> {
        journal.find(tag, &Regex::new(pattern).unwrap()).map(|seen| seen.line)
    }

    #[test]
    fn a_partition_sees_its_own_lines_alone_and_each_once() {
        let mut journal =
            journal(&["[a] ready", "[b] ready", "[a] [b] go", "nobody's", "[a] ready"]);
        assert_eq!(find(&mut journal, "b", "go"), None);
        assert_eq!(find(&mut journal, "a", "^ready$"), Some("ready".into()));
        assert_eq!(find(&mut journal, "a", "go"), Some("[b] go".into()));
        assert_eq!(find(&mut journal, "a", "^ready$"), Some("ready".into()));
        assert_eq!(find(&mut journal, "a", "^ready$"), None);
        assert_eq!(find(&mut journal, "b", "^ready$"), Some("ready".into()));
        assert_eq!(journal.of("b"), ["ready"]);
    }

    #[test]
    fn groups_are_numbers_where_they_are() {
        let mut journal = journal(&["[a] heartbeat 17, late"]);
        let seen = journal.find("a", &Regex::new(r"heartbeat (\d+)(x)?").unwrap()).unwrap();
        assert_eq!(seen.number(1), Some(17_u64));
        assert_eq!(seen.groups, ["heartbeat 17", "17", ""]);
        assert_eq!((seen.number::<u8>(0), seen.number::<u8>(9)), (None, None));
    }

    #[test]
    fn a_prompt_matches_once_however_often_it_is_interrupted() {
        let mut journal = Journal::default();
        journal.still("[a] a# ".into());
        assert_eq!(find(&mut journal, "b", "# $"), None);
        assert_eq!(find(&mut journal, "a", "# $"), Some("a# ".into()));
        assert_eq!(find(&mut journal, "a", "# $"), None);
        for line in ["[a] a# ", "[b] heartbeat", "[a] a# ", "[b] heartbeat"] {
            journal.line(line.into());
            assert_eq!(find(&mut journal, "a", "# $"), None);
        }
        journal.still("[a] a# ".into());
        assert_eq!(find(&mut journal, "a", "# $"), None);
        journal.typed("a");
        journal.line("[a] a# echo '# '".into());
        assert_eq!(find(&mut journal, "a", "^a"), None, "the prompt was matched before");
        assert_eq!(find(&mut journal, "a", "echo"), Some("a# echo '# '".into()));
        journal.still("[a] a# ".into());
        assert_eq!(find(&mut journal, "a", "# $"), Some("a# ".into()), "a new prompt");
    }

    #[test]
    fn an_empty_answer_brings_a_new_prompt() {
        let mut journal = Journal::default();
        journal.still("[a] a# ".into());
        assert!(find(&mut journal, "a", "# $").is_some());
        journal.typed("a");
        journal.line("[a] a# ".into());
        journal.still("[a] a# ".into());
        assert!(find(&mut journal, "a", "# $").is_some());
    }

    #[test]
    fn what_is_written_over_a_line_is_behind_the_tag_too() {
        let mut journal = journal(&["[a] 10 %\r[a] 20 %"]);
        assert_eq!(find(&mut journal, "a", "20"), Some("10 %\r20 %".into()));
    }

    #[test]
    fn the_hypervisors_end_and_panic_are_its_own_lines() {
        let mut journal = journal(&["[a] [bulkhead] panic", "[a] [bulkhead] end: ok"]);
        assert_eq!((&journal.end, &journal.panic), (&None, &None));
        journal.line("[bulkhead] panic on CPU 1".into());
        journal.line("[bulkhead] end: ok".into());
        assert_eq!(journal.end, Some(End::Ok));
        assert_eq!(journal.panic.as_deref(), Some("[bulkhead] panic on CPU 1"));
    }

    #[test]
    fn what_was_skipped_does_not_match() {
        let mut journal = journal(&["[a] ready"]);
        journal.skip("a");
        assert_eq!(find(&mut journal, "a", "ready"), None);
        journal.line("[a] ready".into());
        assert!(find(&mut journal, "a", "ready").is_some());
    }

    #[test]
    fn a_failure_repeats_the_last_lines() {
        let lines: Vec<String> = (0..40).map(|number| format!("[a] {number}")).collect();
        let mut journal = journal(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        journal.still("[a] a# ".into());
        journal.ended = Some("qemu: why\n".into());
        let tail = journal.tail();
        assert!(tail.starts_with("  [a] 10\n"), "{tail}");
        assert!(tail.ends_with("  [a] 39\n  [a] a# \n  qemu: why"), "{tail}");
    }
}
