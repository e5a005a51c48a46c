// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs: found on the path, and shown as a person would type them.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

/// Where a program lies on the path, if it does.
#[must_use]
pub fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(system)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// The command as a person would type it.
#[must_use]
pub fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(quoted).collect::<Vec<_>>().join(" ")
}

/// One word of a command, quoted if a shell would split it.
fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_command_can_be_typed_again() {
        let mut command = Command::new("echo");
        command.args(["a b", "it's", "-drive", "if=pflash,format=raw"]);
        assert_eq!(shown(&command), r"echo 'a b' 'it'\''s' -drive if=pflash,format=raw");
    }
}
