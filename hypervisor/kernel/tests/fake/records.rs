// SPDX-License-Identifier: MIT OR Apache-2.0
//! What outlives a reset: records of crashes and panics, told at the next boot;
//! and that memory which was damaged meanwhile costs records, nothing else.

use crate::asking::{SECOND, about, answers, brief, rows};
use crate::rig::{Rig, cases};
use abi::mailbox::body::{Hello, Piece};
use abi::mailbox::event::Kind;
use abi::mailbox::request::{Request, Source};
use abi::mailbox::state::Why as Cause;
use abi::mailbox::{Code, Failure, Message, NOBODY};
use core::sync::atomic::{AtomicU64, Ordering};
use kernel::arch::{Machine, Stopped};
use kernel::boot::panicked;
use kernel::exit::Exit;
use kernel::fault::{GuestFault, Why};
use kernel::partition::Partition;
use proptest::prelude::*;

/// Places for records in the fake's 32 KiB, each of 2 KiB; the first one is the header.
const PLACES: usize = 15;
/// Words of a place.
const PLACE: usize = 256;

/// The guest of a partition fails.
fn fail(rig: &Rig, partition: usize, why: Why) {
    rig.play(partition, 0, &[Exit::Fault(GuestFault::Stop(why))]);
}

/// A record's text, read piece by piece.
fn record(rig: &Rig, partition: usize, source: Source) -> Result<String, Failure> {
    let mut text = Vec::new();
    loop {
        let request = about(Message::Fault, partition).first(text.len() as u64);
        let answer = rig.ask(&Request { second: source.number().into(), ..request });
        answer.outcome()?;
        let piece: Piece = answer.get();
        let count = piece.count.get() as usize;
        text.extend_from_slice(&piece.bytes[..count]);
        assert_eq!(piece.next.get(), text.len() as u64);
        if count == 0 {
            assert_eq!(piece.total.get() as usize, text.len());
            return Ok(String::from_utf8(text).expect("a record is ASCII"));
        }
    }
}

const NOTHING: Failure = Failure::new(Code::Nothing);

/// The same machine after a reset, and what it said before its guests started.
fn reset(rig: &Rig, names: &[&str]) -> (Rig, Vec<String>) {
    let rig = Rig::boot_again(rows(names), rig.machine.kept);
    let console = rig.console();
    rig.settle();
    let tells = |line: &&str| line.starts_with("[bulkhead] before the reset: ");
    (rig, console.lines().filter(tells).map(str::to_owned).collect())
}

fn boot_number(rig: &Rig) -> u32 {
    rig.ask(&Request::hello()).get::<Hello>().boot.get()
}

#[test]
#[cfg_attr(miri, ignore = "takes about a minute there")]
fn a_crash_leaves_a_record_of_what_happened_and_of_the_last_words() {
    let rig = Rig::running(rows(&["one", "two"]));
    rig.print(0, b"all is well\nKernel panic - \x1b[0m\xff");
    rig.machine.advance(5 * SECOND);
    assert_eq!(record(&rig, 0, Source::Partition), Err(NOTHING));
    fail(&rig, 0, Why::SystemError);
    let text = record(&rig, 0, Source::Partition).expect("a record");
    assert!(text.starts_with("one: the memory system reported an error\n"), "{text}");
    assert!(text.contains("\n5000 ms after boot, 5000 ms after its start, restarted 0 times\n"));
    assert!(text.contains("\nvCPU 0: the memory system reported an error\n"), "{text}");
    assert!(text.contains("\nvCPU 0, last exits first: fault"), "{text}");
    assert!(text.ends_with("\nconsole:\nall is well\nKernel panic - .[0m."), "{text}");
    assert_eq!(record(&rig, 1, Source::Partition), Err(NOTHING));
    assert_eq!(record(&rig, 0, Source::PartitionBefore), Err(NOTHING));
    assert_eq!(record(&rig, 0, Source::HypervisorBefore), Err(NOTHING));
    // A start changes nothing of it, the next crash does.
    rig.order(Message::Start, 0);
    assert_eq!(record(&rig, 0, Source::Partition), Ok(text));
    fail(&rig, 0, Why::UnknownExit);
    let text = record(&rig, 0, Source::Partition).expect("a record");
    assert!(text.starts_with("one: an exit of an unknown class\n"), "{text}");
}

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn a_watchdog_leaves_a_record_too() {
    let mut draft = rows(&["one", "two"]);
    draft.partitions[0].watchdog_ns = SECOND.into();
    let rig = Rig::running(draft);
    rig.machine.advance(SECOND);
    rig.settle();
    let text = record(&rig, 0, Source::Partition).expect("a record");
    assert!(text.starts_with("one: its watchdog was not kicked in time\n"), "{text}");
}

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn records_are_told_after_a_reset_once_and_read_as_those_before() {
    let rig = Rig::running(rows(&["one", "two"]));
    assert_eq!(boot_number(&rig), 1);
    fail(&rig, 1, Why::SystemError);
    let before = record(&rig, 1, Source::Partition).expect("a record");
    let stopped = rig.machine.on(0, || panicked(format_args!("index 7 of 3")));
    assert_eq!(stopped.err(), Some(Stopped::Machine), "the last one has ended");

    let (rig, told) = reset(&rig, &["one", "two"]);
    let panic = "panic on CPU 0, 0 ms after boot: index 7 of 3";
    let start = "[bulkhead] before the reset: ";
    let crash = "two: the memory system reported an error";
    assert_eq!(told, [format!("{start}{crash}"), format!("{start}{panic}")]);
    assert_eq!(boot_number(&rig), 2);
    assert_eq!(record(&rig, 1, Source::PartitionBefore), Ok(before));
    assert_eq!(record(&rig, 0, Source::HypervisorBefore), Ok(format!("{panic}\n")));
    assert_eq!(record(&rig, 1, Source::Partition), Err(NOTHING));
    assert_eq!(record(&rig, 0, Source::PartitionBefore), Err(NOTHING));
    let events: Vec<_> = rig.told(&[Kind::Crashed, Kind::Panic]).iter().map(brief).collect();
    assert_eq!(events, [(Kind::Crashed, 1, 0, 0, 1), (Kind::Panic, NOBODY, 0, 0, 1)]);

    // Two resets later they are history.
    let (rig, told) = reset(&rig, &["one", "two"]);
    assert_eq!((told.len(), boot_number(&rig)), (0, 3));
    assert_eq!(record(&rig, 1, Source::PartitionBefore), Err(NOTHING));
    assert_eq!(record(&rig, 0, Source::HypervisorBefore), Err(NOTHING));
}

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn a_record_is_not_taken_for_that_of_another_partition_in_its_row() {
    let rig = Rig::running(rows(&["one", "two"]));
    fail(&rig, 0, Why::SystemError);
    let (rig, told) = reset(&rig, &["new", "two", "one"]);
    assert_eq!(told.len(), 1);
    for row in 0..3 {
        assert_eq!(record(&rig, row, Source::PartitionBefore), Err(NOTHING));
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn a_machine_without_kept_memory_runs_and_keeps_nothing() {
    let rig = Rig::boot_again(rows(&["one", "two"]), &[]);
    rig.settle();
    fail(&rig, 0, Why::SystemError);
    assert_eq!(record(&rig, 0, Source::Partition), Err(NOTHING));
    let hello: Hello = rig.ask(&Request::hello()).get();
    assert_eq!((hello.boot.get(), hello.features.get() & 2), (0, 0));
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there; abi's own tests run the same code under Miri")]
fn of_more_failing_partitions_than_places_the_last_ones_are_kept() {
    let names: Vec<String> = (0..PLACES + 5).map(|row| format!("row{row}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let rig = Rig::running(rows(&names));
    for row in 0..PLACES + 4 {
        fail(&rig, row, Why::SystemError);
    }
    // Who fails again replaces its own record, not the oldest.
    rig.order(Message::Start, PLACES + 3);
    fail(&rig, PLACES + 3, Why::UnknownExit);
    let kept = |rig: &Rig, source| -> Vec<usize> {
        let has = |row: &usize| record(rig, *row, source).is_ok();
        (0..PLACES + 5).filter(has).collect()
    };
    let last: Vec<usize> = (4..PLACES + 4).collect();
    assert_eq!(kept(&rig, Source::Partition), last);
    let (rig, told) = reset(&rig, &names);
    assert_eq!(told.len(), PLACES);
    assert_eq!(kept(&rig, Source::PartitionBefore), last);
    // Records of this boot take the places of those before, oldest first.
    fail(&rig, 0, Why::SystemError);
    assert_eq!(kept(&rig, Source::PartitionBefore), last[1..]);
    assert!(record(&rig, 0, Source::Partition).is_ok());
}

/// A machine that crashed and panicked, as its kept memory says.
fn kept() -> (Vec<u64>, Vec<Result<String, Failure>>) {
    let rig = Rig::running(rows(&["one", "two", "three"]));
    fail(&rig, 1, Why::SystemError);
    rig.machine.on(0, || panicked(format_args!("index 7 of 3"))).expect_err("it stops");
    let words = rig.machine.kept.iter().map(|word| word.load(Ordering::Relaxed)).collect();
    let (rig, _) = reset(&rig, &["one", "two", "three"]);
    (words, found(&rig))
}

/// What there is of the boot before.
fn found(rig: &Rig) -> Vec<Result<String, Failure>> {
    let mut found: Vec<_> = (0..3).map(|row| record(rig, row, Source::PartitionBefore)).collect();
    found.push(record(rig, 0, Source::HypervisorBefore));
    found
}

/// Boots with this kept memory: what it finds is right, or nothing, and it runs and keeps on.
fn assert_nothing_wrong(words: &[u64], right: &[Result<String, Failure>]) -> usize {
    let kept: Vec<AtomicU64> = words.iter().map(|word| AtomicU64::new(*word)).collect();
    let rig = Rig::boot_again(rows(&["one", "two", "three"]), kept.leak());
    let console = rig.console();
    rig.settle();
    let found = found(&rig);
    for (found, right) in found.iter().zip(right) {
        assert!(found == right || *found == Err(NOTHING), "{found:?}");
    }
    let told = console.lines().filter(|line| line.contains("before the reset"));
    let known = told.clone().filter(|line| {
        let text = line.trim_start_matches("[bulkhead] before the reset: ");
        right.iter().flatten().any(|right| right.starts_with(text))
    });
    assert_eq!(told.count(), known.count(), "{console}");
    fail(&rig, 2, Why::UnknownExit);
    assert!(record(&rig, 2, Source::Partition).is_ok());
    found.iter().filter(|found| found.is_ok()).count()
}

/// What a kernel that begins with this kept memory finds, without its guests.
fn found_at_once(rig: &Rig, words: &[u64]) -> Vec<Option<String>> {
    let kept: Vec<AtomicU64> = words.iter().map(|word| AtomicU64::new(*word)).collect();
    let machine = Machine::start_again(kept.leak());
    let found = machine.on(0, || {
        kernel::records::begin();
        let records = machine.shared.records.lock();
        let read = |partition: Option<&Partition>| {
            let mut text = Vec::new();
            while let Some(piece) = records.read(partition, true, text.len() as u32)
                && piece.count.get() > 0
            {
                text.extend_from_slice(&piece.bytes[..piece.count.get() as usize]);
            }
            (!text.is_empty()).then(|| String::from_utf8(text).expect("a record is ASCII"))
        };
        [Some(0), Some(1), Some(2), None]
            .map(|row: Option<usize>| read(row.map(|row| rig.partition(row))))
    });
    found.expect("no unwinding").into()
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there; abi's own tests run the same code under Miri")]
fn no_damaged_byte_of_kept_memory_makes_a_wrong_record() {
    let (words, right) = kept();
    let right: Vec<Option<String>> = right.into_iter().map(Result::ok).collect();
    let rig = Rig::running(rows(&["one", "two", "three"]));
    assert_eq!(found_at_once(&rig, &words), right);
    // All bytes of the header, and of both records more than they have.
    let most = right.iter().flatten().map(String::len).max().unwrap_or(0) + 5 * 8;
    let bytes = [0..64, PLACE * 8..PLACE * 8 + most, 2 * PLACE * 8..2 * PLACE * 8 + most];
    let mut lost = [0, 0, 0];
    for at in bytes.into_iter().flatten().step_by(if cfg!(miri) { 101 } else { 1 }) {
        let mut damaged = words.clone();
        damaged[at / 8] ^= 1_u64 << (at % 8 * 8 + at / 8 % 8);
        let found = found_at_once(&rig, &damaged);
        for (found, right) in found.iter().zip(&right) {
            assert!(found == right || found.is_none(), "byte {at}: {found:?}");
        }
        lost[2 - found.iter().flatten().count()] += 1;
    }
    // A byte of a record costs that one, and a byte of the header both.
    assert!(cfg!(miri) || lost[1] > 300 && (8..=16).contains(&lost[2]), "{lost:?}");
}

proptest! {
    #![proptest_config(cases(30))]

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes there; abi's own tests run the same code under Miri")]
    fn random_kept_memory_makes_no_record_and_no_panic(
        seed in any::<u64>(),
        header in any::<bool>(),
        flips in prop::collection::vec((0..16 * PLACE, any::<u64>()), 0..20),
    ) {
        let (good, right) = kept();
        // Noise everywhere, with the right header or without.
        let mut state = seed | 1;
        let mut noise: Vec<u64> = good
            .iter()
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state
            })
            .collect();
        if header {
            noise[..2].copy_from_slice(&good[..2]);
        }
        prop_assert_eq!(assert_nothing_wrong(&noise, &right), 0);
        // Some words of a good one.
        let mut damaged = good;
        for (at, word) in flips {
            damaged[at] = word;
        }
        assert_nothing_wrong(&damaged, &right);
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes some ten seconds there, and the suite has no more of them")]
fn a_panic_with_the_records_lock_held_is_told_and_leaves_no_record() {
    let rig = Rig::running(rows(&["one", "two"]));
    core::mem::forget(rig.machine.shared.records.lock());
    let stopped = rig.machine.on(0, || panicked(format_args!("a bug")));
    assert_eq!(stopped.err(), Some(Stopped::Cpu));
    assert_eq!(rig.console(), "[bulkhead] panic on CPU 0: a bug\r\n");
    assert_eq!(rig.partition(0).life().why(), Some(Cause::Panic));
    assert!(answers(&rig.console()).is_empty());
}
