// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a partition, or the hypervisor itself, looked like when it failed: as
//! text, in memory that outlives a warm reset ([`arch::kept`]).
//!
//! ```text
//!  place 0: | magic | boot, its complement |
//!  others:  | boot, row, length | sequence | CRC-32C | name (2 words) | text … |
//! ```
//! A place whose checksum is wrong is empty. Records of this boot and of the one
//! before are told; a new one takes the place of its partition's last one, else
//! an empty or the oldest place, so there are always as many as there are places.

use crate::arch::{self, Vcpu};
use crate::fault::Why;
use crate::log;
use crate::mailbox::nanoseconds;
use crate::partition::Partition;
use crate::statistics::Counters;
use crate::terminal::Terminal;
use crate::{MAILBOX, console};
use abi::bundle::label;
use abi::mailbox::body::{PIECE, Piece};
use abi::mailbox::event::Kind;
use abi::records::Name;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU64, Ordering};

/// `BULKKEPT`.
const MAGIC: u64 = u64::from_le_bytes(*b"BULKKEPT");
/// Words of a place: 2 KiB.
const PLACE: usize = 256;
/// Most places for records that are used.
const PLACES: usize = 31;
/// Words before the text.
const HEAD: usize = 5;
/// Most bytes of a text.
const TEXT: usize = (PLACE - HEAD) * 8;
/// The row of the hypervisor's own record.
const HYPERVISOR: u16 = 0xffff;
/// Bytes of a partition's console that are kept.
const CONSOLE: u64 = 640;

/// What is known of the kept memory.
#[derive(Debug)]
pub struct Records {
    boot: u32,
    sequence: u64,
    heads: [Option<Head>; PLACES],
}

/// Text of bounded length; what does not fit is left out.
struct Text {
    bytes: [u8; TEXT],
    len: usize,
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if let Some(place) = self.bytes.get_mut(self.len) {
                *place = byte;
                self.len += 1;
            }
        }
        Ok(())
    }
}

fn load(word: Option<&AtomicU64>) -> u64 {
    word.map_or(0, |word| word.load(Ordering::Relaxed))
}

fn places() -> impl Iterator<Item = &'static [AtomicU64]> {
    arch::kept().chunks_exact(PLACE).skip(1).take(PLACES)
}

/// A record's head.
#[derive(Clone, Copy, Debug)]
struct Head {
    boot: u32,
    row: u16,
    len: u16,
    sequence: u64,
}

impl Head {
    fn word(self) -> u64 {
        u64::from(self.boot) << 32 | u64::from(self.row) << 16 | u64::from(self.len)
    }

    /// The head of a place whose checksum is right.
    fn read(place: &[AtomicU64]) -> Option<Self> {
        let (first, sequence) = (load(place.first()), load(place.get(1)));
        let len = first as u16;
        let right = usize::from(len) <= TEXT && load(place.get(2)) == checksum(place, len.into());
        let (boot, row) = ((first >> 32) as u32, (first >> 16) as u16);
        right.then_some(Self { boot, row, len, sequence })
    }
}

/// The checksum over a place's head and text.
fn checksum(place: &[AtomicU64], len: usize) -> u64 {
    let words = place.iter().enumerate().filter(|(at, _)| *at != 2);
    let crc = words
        .take(HEAD - 1 + len.div_ceil(8))
        .fold(0, |crc, (_, word)| arch::crc32c(crc, &word.load(Ordering::Relaxed).to_le_bytes()));
    // A place of zeros is none.
    u64::from(crc) | 1 << 32
}

fn byte(place: &[AtomicU64], at: usize) -> u8 {
    let word = load(place.get(HEAD + at / 8)).to_le_bytes();
    word.get(at % 8).copied().unwrap_or(0)
}

/// The two words of a name.
fn name_words(name: &Name) -> [u64; 2] {
    let mut words = [0; 2];
    for (word, bytes) in words.iter_mut().zip(name.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

impl Records {
    /// Before [`begin`].
    #[must_use]
    pub const fn new() -> Self {
        Self { boot: 0, sequence: 0, heads: [None; PLACES] }
    }

    fn write(&mut self, row: u16, name: &Name, text: &Text) {
        let boot = self.boot;
        let old = self.heads.iter_mut().zip(places()).min_by_key(|(head, _)| match head {
            Some(head) if head.boot == boot && head.row == row => 0,
            None => 1,
            Some(head) => head.sequence.saturating_add(1),
        });
        let Some((place_head, place)) = old else { return };
        self.sequence = self.sequence.saturating_add(1);
        let head = Head { boot, row, len: text.len as u16, sequence: self.sequence };
        let [first, second] = name_words(name);
        let store = |at: usize, value: u64| {
            if let Some(word) = place.get(at) {
                word.store(value, Ordering::Relaxed);
            }
        };
        // While it is written its checksum is wrong.
        store(2, 0);
        for (at, value) in [(0, head.word()), (1, head.sequence), (3, first), (4, second)] {
            store(at, value);
        }
        for (at, bytes) in text.bytes.as_chunks::<8>().0.iter().enumerate() {
            store(HEAD + at, u64::from_le_bytes(*bytes));
        }
        store(2, checksum(place, text.len));
        *place_head = Some(head);
        arch::keep(place);
    }

    /// Bytes of the last record of a partition, or of the hypervisor (no row), of this boot or
    /// the one before.
    #[must_use]
    pub fn read(&self, partition: Option<&Partition>, before: bool, from: u32) -> Option<Piece> {
        let boot = if before { self.boot.checked_sub(1)? } else { self.boot };
        let (row, name) =
            partition.map_or((HYPERVISOR, label("")), |one| (row(one), label(one.name)));
        let (head, place) = self.heads.iter().zip(places()).find_map(|(head, place)| {
            let head = head.filter(|head| head.boot == boot && head.row == row)?;
            let named = [load(place.get(3)), load(place.get(4))] == name_words(&name);
            named.then_some((head, place))
        })?;
        let (len, from) = (usize::from(head.len), (from as usize).min(head.len.into()));
        let count = (len - from).min(PIECE);
        let mut piece = Piece {
            next: ((from + count) as u64).into(),
            count: (count as u32).into(),
            total: (len as u32).into(),
            ..Piece::default()
        };
        for (to, at) in piece.bytes.iter_mut().zip(from..from + count) {
            *to = byte(place, at);
        }
        Some(piece)
    }

    /// Number of this boot.
    #[must_use]
    pub const fn boot(&self) -> u32 {
        self.boot
    }
}

impl Default for Records {
    fn default() -> Self {
        Self::new()
    }
}

fn row(partition: &Partition) -> u16 {
    partition.index as u16
}

/// Looks what outlived the last reset, and tells it, on the console and in the log.
pub fn begin() {
    let kept = arch::kept();
    if !MAILBOX || kept.len() < PLACE {
        return;
    }
    let mut records = arch::shared().records.lock();
    let (magic, boots) = (load(kept.first()), load(kept.get(1)));
    let known = magic == MAGIC && boots as u32 == !((boots >> 32) as u32);
    if !known {
        // A checksum of zero is never right.
        places().filter_map(|place| place.get(2)).for_each(|word| word.store(0, Ordering::Relaxed));
    }
    records.boot = if known { (boots as u32).wrapping_add(1).max(1) } else { 1 };
    let mut sequence = 0;
    for (head, place) in records.heads.iter_mut().zip(places()) {
        *head = Head::read(place);
        sequence = head.map_or(0, |head| head.sequence).max(sequence);
    }
    records.sequence = sequence;
    let [first, second, ..] = kept else { return };
    first.store(MAGIC, Ordering::Relaxed);
    let boot = records.boot;
    second.store(u64::from(boot) | u64::from(!boot) << 32, Ordering::Relaxed);
    arch::keep(kept);
    drop(records);
    for place in places() {
        if let Some(head) = Head::read(place).filter(|head| head.boot.wrapping_add(1) == boot) {
            tell(place, head);
        }
    }
}

/// Tells the first line of a record of the boot before.
fn tell(place: &[AtomicU64], head: Head) {
    let mut line = Text { bytes: [0; TEXT], len: 0 };
    let bytes = (0..head.len.into()).map(|at| byte(place, at));
    bytes.take_while(|byte| *byte != b'\n').for_each(|byte| {
        let _ = line.write_char(byte.into());
    });
    let text = line.bytes.get(..line.len).and_then(|bytes| core::str::from_utf8(bytes).ok());
    console::say(format_args!("before the reset: {}", text.unwrap_or("?")));
    if head.row == HYPERVISOR {
        log::tell(Kind::Panic, None, 0, 0, 1);
    } else {
        log::tell(Kind::Crashed, Some(head.row.into()), 0, 0, 1);
    }
}

/// Writes down how a partition failed, as one of its vCPUs saw it.
#[cold]
#[inline(never)]
pub fn partition_failed(partition: &Partition, vcpu: &Vcpu, why: Why) {
    let say = |line: fmt::Arguments<'_>| console::say(format_args!("{}: {line}", partition.name));
    if !MAILBOX {
        vcpu.record(why, &mut |line| say(line));
        return;
    }
    let mut text = Text { bytes: [0; TEXT], len: 0 };
    let life = partition.life();
    let milliseconds = |ticks: u64| nanoseconds(ticks) / 1_000_000;
    let now = arch::time::now();
    // Writing to a text cannot fail, here and below.
    let _ = writeln!(text, "{}: {why}", partition.name);
    let _ = writeln!(
        text,
        "{} ms after boot, {} ms after its start, restarted {} times",
        milliseconds(now),
        milliseconds(now.saturating_sub(life.times().0)),
        life.restarts(),
    );
    vcpu.record(why, &mut |line| {
        say(line);
        let _ = writeln!(text, "{line}");
    });
    for (vcpu, counters) in partition.counters.iter().enumerate() {
        let _ = write!(text, "vCPU {vcpu}, last exits first:");
        last_exits(&mut text, counters);
    }
    let _ = writeln!(text, "console:");
    partition.platform.terminal(&mut |terminal| last_words(&mut text, terminal));
    let name = label(partition.name);
    arch::shared().records.lock().write(row(partition), &name, &text);
}

fn last_exits(text: &mut Text, counters: &Counters) {
    for reason in counters.last() {
        let _ = write!(text, " {}", reason.word());
    }
    let _ = text.write_char('\n');
}

fn last_words(text: &mut Text, terminal: &Terminal) {
    let mut from = terminal.counts().written.saturating_sub(CONSOLE);
    loop {
        let piece = terminal.read(from);
        let count = piece.count.get() as usize;
        for byte in piece.bytes.iter().take(count) {
            let _ = match byte {
                b'\n' | 0x20..=0x7e => text.write_char((*byte).into()),
                b'\r' => Ok(()),
                _ => text.write_char('.'),
            };
        }
        if count == 0 {
            break;
        }
        from = piece.next.get();
    }
}

/// Writes down that the hypervisor panicked. Whoever panicked may hold the lock itself: then
/// there is no record.
#[cold]
#[inline(never)]
pub fn panicked(cpu: usize, what: fmt::Arguments<'_>) {
    if !MAILBOX {
        return;
    }
    let mut text = Text { bytes: [0; TEXT], len: 0 };
    let now = nanoseconds(arch::time::now()) / 1_000_000;
    let _ = writeln!(text, "panic on CPU {cpu}, {now} ms after boot: {what}");
    if let Some(mut records) = arch::shared().records.try_lock() {
        records.write(HYPERVISOR, &label(""), &text);
    }
}
