// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine's console as lines, and what the hypervisor's own lines say.
//!
//! The hypervisor starts every line with a tag in brackets that no guest can
//! write, so a line that starts with `[bulkhead] ` is the hypervisor's.

/// The hypervisor's tag.
const HYPERVISOR: &str = "[bulkhead] ";
/// What follows the tag in its last line.
const END: &str = "end: ";

/// Cuts a stream of bytes into lines without their endings.
#[derive(Debug, Default)]
pub struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Takes bytes in and returns the lines that they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut complete = Vec::new();
        for &byte in bytes {
            if byte == b'\n' {
                complete.push(text(&self.partial));
                self.partial.clear();
            } else {
                self.partial.push(byte);
            }
        }
        complete
    }

    /// The line that has no ending yet: a prompt, perhaps.
    pub fn partial(&self) -> String {
        text(&self.partial)
    }
}

/// A line as text, without the carriage returns at its end.
fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).trim_end_matches('\r').to_owned()
}

/// A line's tag and its text. Guests write behind their tag, so theirs is the first.
#[must_use]
pub fn tagged(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix('[')?.split_once("] ")
}

/// What the hypervisor's last line said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Every partition ended as it should.
    Ok,
    /// Something failed: which and why.
    Failed(String),
}

impl End {
    /// Reads the hypervisor's last line; another line is none.
    pub fn read(line: &str) -> Option<Self> {
        let rest = line.strip_prefix(HYPERVISOR)?.strip_prefix(END)?;
        if rest == "ok" {
            return Some(Self::Ok);
        }
        Some(Self::Failed(rest.strip_prefix("failed ").unwrap_or(rest).to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_however_the_bytes_are_cut() {
        let mut lines = Lines::default();
        assert!(lines.push(b"[a] o").is_empty());
        assert_eq!(lines.push(b"ne\r\n[b] two\n[c] "), ["[a] one", "[b] two"]);
        assert_eq!(lines.partial(), "[c] ");
    }

    #[test]
    fn a_line_belongs_to_its_tag_alone() {
        assert_eq!(tagged("[linux] [rtos] hello"), Some(("linux", "[rtos] hello")));
        assert_eq!(tagged("[linux] "), Some(("linux", "")));
        assert_eq!(tagged("no tag"), None);
    }

    #[test]
    fn only_the_hypervisors_own_line_ends_a_run() {
        assert_eq!(End::read("[bulkhead] end: ok"), Some(End::Ok));
        let failed = End::Failed("linux data abort".into());
        assert_eq!(End::read("[bulkhead] end: failed linux data abort"), Some(failed));
        assert_eq!(End::read("[linux] [bulkhead] end: ok"), None);
        assert_eq!(End::read("[bulkhead] linux: off"), None);
    }
}
