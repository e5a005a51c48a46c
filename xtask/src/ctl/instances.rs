// SPDX-License-Identifier: MIT OR Apache-2.0
//! Running machines: each `cargo xtask run` listens on a socket for `ctl`, and
//! leaves a record that names it.
//!
//! ```text
//! target/run/PID.sock    the console's frames, as on a serial line
//! target/run/PID.json    which process, which system
//! ```

use crate::failure::mistake;
use crate::workspace::{Workspace, made};
use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// A running machine.
#[derive(Debug, Deserialize, Serialize)]
pub struct Record {
    /// The process that attends it.
    pub pid: u32,
    /// What it runs.
    pub system: String,
    /// Partitions, and the file that each one's guest was taken from.
    #[serde(default)]
    pub programs: BTreeMap<String, PathBuf>,
    /// Where it listens.
    pub socket: PathBuf,
}

/// A machine that can be found until this is dropped.
#[derive(Debug)]
pub struct Published {
    /// Where `ctl` connects.
    pub listener: UnixListener,
    record: PathBuf,
    socket: PathBuf,
}

impl Published {
    /// Listens, and leaves a record.
    pub fn new(
        workspace: &Workspace,
        system: &str,
        programs: BTreeMap<String, PathBuf>,
    ) -> Result<Self> {
        let folder = folder(workspace)?;
        let pid = std::process::id();
        let [record, socket] = ["json", "sock"].map(|kind| folder.join(format!("{pid}.{kind}")));
        // Of a process of before that had the same number.
        let _ = fs::remove_file(&socket);
        let listener =
            through_folder(&socket, UnixListener::bind).context(socket.display().to_string())?;
        let published = Self { listener, record, socket: socket.clone() };
        // The record comes last: whoever finds it can connect.
        let record = Record { pid, system: system.to_owned(), programs, socket };
        let text = serde_json::to_string(&record)?;
        fs::write(&published.record, text).context(published.record.display().to_string())?;
        Ok(published)
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        // What is gone already need not be removed.
        let _ = fs::remove_file(&self.record);
        let _ = fs::remove_file(&self.socket);
    }
}

fn folder(workspace: &Workspace) -> Result<PathBuf> {
    made(workspace.target().join("run"))
}

/// Connects to the machine of a process, or to the only one that runs.
pub fn connect(workspace: &Workspace, pid: Option<u32>) -> Result<(Record, UnixStream)> {
    choose(running(&folder(workspace)?)?, pid)
}

/// The machine of a process, or the only one.
fn choose<T>(mut running: Vec<(Record, T)>, pid: Option<u32>) -> Result<(Record, T)> {
    running.sort_by_key(|(record, _)| record.pid);
    let listed: Vec<String> =
        running.iter().map(|(record, _)| format!("{} ({})", record.pid, record.system)).collect();
    let listed = listed.join(", ");
    let mut fitting = running.into_iter().filter(|(record, _)| pid.is_none_or(|p| p == record.pid));
    match (fitting.next(), fitting.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => {
            Err(mistake(format!("several machines run: {listed}; name one by --run PID")))
        }
        (None, _) if listed.is_empty() => Err(anyhow!(
            "no machine runs here: start one with `cargo xtask run`, or name a serial device by --port"
        )),
        (None, _) => {
            Err(mistake(format!("no machine is attended by that process; there are: {listed}")))
        }
    }
}

/// All machines that answer. Records of those that were killed are removed.
fn running(folder: &Path) -> Result<Vec<(Record, UnixStream)>> {
    let mut running = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_none_or(|kind| kind != "json") {
            continue;
        }
        let record = fs::read_to_string(&path).ok();
        let record = record.and_then(|text| serde_json::from_str::<Record>(&text).ok());
        let Some(record) = record else { continue };
        match through_folder(&record.socket, UnixStream::connect) {
            Ok(stream) => running.push((record, stream)),
            Err(_) => {
                // Another `ctl` may have removed them.
                let _ = fs::remove_file(&path);
                let _ = fs::remove_file(&record.socket);
            }
        }
    }
    Ok(running)
}

/// Uses a socket by a path that is short whatever the folder's is: a socket's name
/// has at most 107 bytes (unix(7), "Pathname sockets").
fn through_folder<T>(
    socket: &Path,
    with: impl FnOnce(PathBuf) -> std::io::Result<T>,
) -> std::io::Result<T> {
    let folder = File::open(socket.parent().unwrap_or(Path::new("/")))?;
    let name = socket.file_name().unwrap_or_default();
    with(Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{FAILED, USAGE, status_of};

    fn record(pid: u32) -> (Record, u32) {
        (
            Record { pid, system: "pc".into(), programs: BTreeMap::new(), socket: PathBuf::new() },
            pid,
        )
    }

    #[test]
    fn the_only_machine_or_the_named_one_is_meant() {
        assert_eq!(choose(vec![record(7)], None).unwrap().1, 7);
        assert_eq!(choose(vec![record(7), record(9)], Some(9)).unwrap().1, 9);
        let none = choose::<u32>(Vec::new(), None).unwrap_err();
        assert!(none.to_string().contains("cargo xtask run"), "{none}");
        assert_eq!(status_of(&none), FAILED);
        for (running, pid) in [(vec![record(9), record(7)], None), (vec![record(7)], Some(8))] {
            let error = choose(running, pid).unwrap_err();
            assert_eq!(status_of(&error), USAGE);
            assert!(error.to_string().contains("7 (pc)"), "{error}");
        }
    }

    #[test]
    fn records_of_the_dead_are_removed() {
        let folder = std::env::temp_dir().join(format!("bulkhead-run-{}", std::process::id()));
        let deep = folder.join("a-folder-whose-name-is-long-enough".repeat(5));
        fs::create_dir_all(&deep).unwrap();
        let socket = deep.join("1.sock");
        let listener = through_folder(&socket, UnixListener::bind).unwrap();
        let record = Record { socket, ..record(1).0 };
        let text = serde_json::to_string(&record).unwrap();
        fs::write(deep.join("1.json"), text).unwrap();
        assert_eq!(running(&deep).unwrap().len(), 1);
        drop(listener);
        assert!(running(&deep).unwrap().is_empty());
        assert_eq!(fs::read_dir(&deep).unwrap().count(), 0);
        fs::remove_dir_all(folder).unwrap();
    }
}
