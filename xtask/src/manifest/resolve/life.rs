// SPDX-License-Identifier: MIT OR Apache-2.0
//! What concerns a partition's life: when it is started, watched and started
//! again, and whom it may steer.

use super::super::file::{
    Else, EndWord, MailboxTable, ManifestFile, PartitionFile, RestartFile, WhomFile,
};
use super::super::mistake::Kind;
use super::super::read::{At, Reader, nearest};
use super::super::{Partition, Restart};
use abi::mailbox::policy::MOST_RESTARTS;
use abi::mailbox::request::{LONGEST_NS, SHORTEST_WATCHDOG_NS};
use abi::mailbox::rights::{Rights, Set};
use abi::mailbox::state::Why;

/// A restart policy with its numbers in bounds.
pub(super) fn restart(file: &RestartFile, reader: &mut Reader) -> Restart {
    let most = MOST_RESTARTS as u32;
    if !(1..=most).contains(&file.max.value) {
        let message = format!("{} restarts, at least 1 and at most {most}", file.max.value);
        reader.wrong_value(file.max.span.clone(), message, "write a number from 1 to 16");
    }
    if file.within.value.0 == 0 {
        let message = "no time in which restarts are counted";
        reader.wrong_value(file.within.span.clone(), message, "write a time such as \"60 s\"");
    }
    let why = |word: &EndWord| match word {
        EndWord::Crash => Why::Crash,
        EndWord::Watchdog => Why::Watchdog,
        EndWord::Off => Why::Off,
    };
    Restart {
        on: file.on.iter().fold(0, |all, word| all | 1 << why(word).number()),
        max: file.max.value,
        within: file.within.value.0,
        backoff: file.backoff.map_or(0, |time| time.0),
        uptime: file.uptime.map_or(0, |time| time.0),
        reboots: file.r#else == Some(Else::RebootMachine),
    }
}

/// The rows of partitions, all of which must exist.
pub(super) fn rows<'a>(
    names: &'a [At<String>],
    known: &'a [&str],
    reader: &mut Reader,
) -> Vec<usize> {
    let row = |name: &'a At<String>| {
        let row = known.iter().position(|known| *known == name.value);
        if row.is_none() {
            let message = format!("partition `{}` does not exist", name.value);
            let cure = nearest(name, known);
            reader.tell(Kind::UnknownPartition, name.span.clone(), "nobody", message, &cure);
        }
        row
    };
    names.iter().filter_map(row).collect()
}

/// Whom a right is over.
fn whom(file: Option<&WhomFile>, names: &[&str], reader: &mut Reader) -> Set {
    let mut set = Set::default();
    match file {
        Some(WhomFile::All(true)) => set = Set::all(),
        Some(WhomFile::All(false)) | None => {}
        Some(WhomFile::These(these)) => {
            rows(these, names, reader).into_iter().for_each(|row| set.add(row));
        }
    }
    set
}

/// The rights of a mailbox.
pub(super) fn rights(file: &MailboxTable, names: &[&str], reader: &mut Reader) -> Rights {
    Rights {
        observe: whom(file.observe.as_ref(), names, reader),
        console: whom(file.console.as_ref(), names, reader),
        control: whom(file.control.as_ref(), names, reader),
    }
}

/// A watchdog's time in bounds, of a partition that can kick it.
pub(super) fn watchdog(file: &PartitionFile, reader: &mut Reader) -> Option<u64> {
    let time = file.watchdog.as_ref()?.0.as_ref()?;
    if !(SHORTEST_WATCHDOG_NS..=LONGEST_NS).contains(&time.value.0) {
        let message = format!("a watchdog of {}, at least 1 ms and at most an hour", time.value);
        reader.wrong_value(time.span.clone(), message, "write a time such as \"2 s\"");
    }
    if file.mailbox.is_none() {
        let message = "a watchdog is kicked by the mailbox, and this partition has none";
        let cure = "add `mailbox = {}`: it needs no right to kick its own watchdog";
        reader.wrong_value(time.span.clone(), message, cure);
    }
    Some(time.value.0)
}

/// Partitions that wait for each other never start.
pub(super) fn no_circle(file: &ManifestFile, partitions: &[Partition], reader: &mut Reader) {
    let depends = |row: usize| partitions.get(row).map_or(&[][..], |one| &one.depends);
    for (row, partition) in partitions.iter().enumerate() {
        let (mut seen, mut ask) = (Vec::new(), depends(row).to_vec());
        while let Some(next) = ask.pop() {
            if !seen.contains(&next) {
                seen.push(next);
                ask.extend(depends(next));
            }
        }
        let written = file.partition.tables().find(|(name, _)| name.value == partition.name);
        let first = written.and_then(|(_, file)| file.depends.as_ref()?.0.as_ref()?.first());
        if let (true, Some(first)) = (seen.contains(&row), first) {
            let message =
                format!("partition {} waits for itself, so it never starts", partition.name);
            reader.wrong_value(
                first.span.clone(),
                message,
                "leave out one of those that wait in a circle",
            );
        }
    }
}
