// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one console taken apart again: a file for each partition and one for the
//! hypervisor, with their lines and without their tags.

use super::lines::tagged;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

/// The files, each made when its first line comes.
#[derive(Debug)]
pub struct Streams {
    folder: PathBuf,
    files: BTreeMap<String, File>,
}

impl Streams {
    /// Streams in this folder, which is made.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(folder: PathBuf) -> std::io::Result<Self> {
        std::fs::create_dir_all(&folder)?;
        Ok(Self { folder, files: BTreeMap::new() })
    }

    /// Takes one line of the console; one without a tag is nobody's.
    ///
    /// # Errors
    /// When its file cannot be written.
    pub fn line(&mut self, line: &str) -> Result<()> {
        let Some((tag, text)) = tagged(line) else { return Ok(()) };
        let tag = plain(tag);
        let path = self.folder.join(format!("{tag}.log"));
        let shown = || format!("writing {}", path.display());
        if !self.files.contains_key(&tag) {
            let file = File::create(&path).with_context(shown)?;
            self.files.insert(tag.clone(), file);
        }
        match self.files.get_mut(&tag) {
            Some(file) => writeln!(file, "{text}").with_context(shown),
            None => Ok(()),
        }
    }
}

/// A tag as a file's name.
fn plain(tag: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
    tag.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_has_a_file_of_its_own() {
        let folder = std::env::temp_dir().join(format!("bulkhead-streams-{}", std::process::id()));
        let mut streams = Streams::create(folder.clone()).unwrap();
        for line in ["[a] one", "[b] two", "[a] three", "nobody's", "[../up] x"] {
            streams.line(line).unwrap();
        }
        drop(streams);
        assert_eq!(std::fs::read_to_string(folder.join("a.log")).unwrap(), "one\nthree\n");
        assert_eq!(std::fs::read_to_string(folder.join("b.log")).unwrap(), "two\n");
        assert_eq!(std::fs::read_to_string(folder.join("---up.log")).unwrap(), "x\n");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
