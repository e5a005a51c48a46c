// SPDX-License-Identifier: MIT OR Apache-2.0
//! The archive that Linux unpacks into its first root: cpio's `newc` format,
//! as the kernel's "initramfs buffer format" document describes it.
//!
//! The same entries give the same bytes: times and owners are zero and inode
//! numbers count up.

/// Mode bits of a folder that everybody may enter.
const FOLDER: u32 = 0o040_755;
/// Mode bits of a file that everybody may run.
const PROGRAM: u32 = 0o100_755;
/// Mode bits of a symbolic link.
const LINK: u32 = 0o120_777;
/// Mode bits of a character device for root.
const CHARACTER_DEVICE: u32 = 0o020_600;
/// The name of the entry that ends the archive.
const TRAILER: &str = "TRAILER!!!";

/// An archive being written.
#[derive(Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// Adds an empty folder. Its parents come before it.
    pub fn folder(&mut self, path: &str) -> &mut Self {
        self.entry(path, FOLDER, (0, 0), &[])
    }

    /// Adds a program or script.
    pub fn program(&mut self, path: &str, content: &[u8]) -> &mut Self {
        self.entry(path, PROGRAM, (0, 0), content)
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: &str, to: &str) -> &mut Self {
        self.entry(path, LINK, (0, 0), to.as_bytes())
    }

    /// Adds a character device by its numbers.
    pub fn character_device(&mut self, path: &str, major: u32, minor: u32) -> &mut Self {
        self.entry(path, CHARACTER_DEVICE, (major, minor), &[])
    }

    /// The whole archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.entries = 0;
        self.entry(TRAILER, 0, (0, 0), &[]);
        self.bytes
    }

    /// One header, its name and its content, each padded to four bytes.
    fn entry(&mut self, path: &str, mode: u32, device: (u32, u32), content: &[u8]) -> &mut Self {
        let links = if mode == FOLDER { 2 } else { 1 };
        let fields = [
            self.entries,
            mode,
            0, // owner
            0, // group
            links,
            0, // time of the last change
            length(content.len()),
            0, // device the file lay on
            0,
            device.0,
            device.1,
            length(path.len() + 1),
            0, // checksum, of another format
        ];
        self.entries += 1;
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
        self
    }

    /// Fills up to a multiple of four bytes.
    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// A length as the format's 32-bit field holds it. Files of 4 GiB do not fit
/// into the flash image that this archive goes into.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    fn sample() -> Vec<u8> {
        let mut archive = Archive::default();
        archive.folder("bin").program("bin/sh", b"#!/bin/true\n").link("init", "bin/sh");
        archive.finish()
    }

    #[test]
    fn the_same_entries_give_the_same_bytes_in_whole_words() {
        assert_eq!(sample(), sample());
        assert_eq!(sample().len() % 4, 0);
        assert!(sample().starts_with(b"070701"));
    }

    #[test]
    fn an_entry_holds_its_name_and_content_where_the_format_says() {
        let mut archive = Archive::default();
        archive.program("a", b"xy");
        let bytes = archive.finish();
        assert_eq!(&bytes[54..62], b"00000002", "file size");
        assert_eq!(&bytes[94..102], b"00000002", "name size with its zero");
        assert_eq!(&bytes[110..112], b"a\0");
        assert_eq!(&bytes[112..116], b"xy\0\0");
    }

    #[test]
    fn cpio_lists_what_was_written() {
        let Ok(mut cpio) = Command::new("cpio")
            .args(["--list", "--quiet"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
        else {
            return; // A machine without cpio has the other tests.
        };
        cpio.stdin.take().unwrap().write_all(&sample()).unwrap();
        let listed = cpio.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(listed.stdout).unwrap(), "bin\nbin/sh\ninit\n");
    }
}
