// SPDX-License-Identifier: MIT OR Apache-2.0
//! One partition's console, through the mailbox: read by asking what came since,
//! written in pieces that the guest has room for.

use crate::error::Error;
use crate::keys::{Escape, Raw, Typed};
use crate::person::Person;
use crate::session::Session;
use abi::mailbox::Message;
use abi::mailbox::body::{Piece, Written};
use abi::mailbox::request::{DATA_LEN, Request};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

/// How much of what was written before is shown.
const TAIL: u64 = 400;
/// From look to look, while nothing happens.
const PERIOD: Duration = Duration::from_millis(50);
/// How long a partition is silent before a script that has typed everything ends.
const SILENCE: Duration = Duration::from_secs(1);

/// Attaches keys and output to a partition's console, until the person leaves.
///
/// # Errors
/// [`Error`].
pub fn attach(session: &mut Session<'_>, person: &mut Person<'_>, name: &str) -> Result<(), Error> {
    let row = session.find(name)?.index.get();
    let mut next = tail(&read(session, row, name, 0)?);
    let _raw = Raw::take()?;
    let keys = person.typed();
    let mut escape = Escape::default();
    let mut ended = false;
    let mut typed: Vec<u8> = Vec::new();
    let mut heard = Instant::now();
    loop {
        let piece = read(session, row, name, next)?;
        let bytes = bytes(&piece);
        let lost = piece.lost.get();
        if lost > 0 {
            person.line(&format!("\n({lost} bytes came too fast and are lost)"))?;
        }
        if !bytes.is_empty() {
            person.raw(bytes)?;
            heard = Instant::now();
        }
        next = piece.next.get();
        let idle = bytes.is_empty() && typed.is_empty();
        if ended && idle && heard.elapsed() >= SILENCE {
            return Ok(());
        }
        match hear(&keys, if idle { PERIOD } else { Duration::ZERO }) {
            Heard::Nothing => {}
            Heard::Ended => ended = true,
            Heard::Bytes(bytes) => match escape.read(&bytes) {
                Typed::Leave => return Ok(()),
                Typed::Keys(more) => typed.extend(more),
            },
        }
        if !typed.is_empty() {
            let taken = write(session, row, name, &typed)?;
            typed.drain(..taken.min(typed.len()));
            heard = Instant::now();
        }
    }
}

/// What the keys did.
enum Heard {
    Nothing,
    Ended,
    Bytes(Vec<u8>),
}

/// The next keys; after their end the time passes all the same.
fn hear(keys: &Receiver<Vec<u8>>, patience: Duration) -> Heard {
    let heard = match keys.try_recv() {
        Err(TryRecvError::Empty) => keys.recv_timeout(patience),
        Err(TryRecvError::Disconnected) => Err(RecvTimeoutError::Disconnected),
        Ok(bytes) => Ok(bytes),
    };
    match heard {
        Ok(bytes) => Heard::Bytes(bytes),
        Err(RecvTimeoutError::Timeout) => Heard::Nothing,
        Err(RecvTimeoutError::Disconnected) => {
            std::thread::sleep(patience);
            Heard::Ended
        }
    }
}

/// What the console said from a byte on.
fn read(session: &mut Session<'_>, row: u16, name: &str, from: u64) -> Result<Piece, Error> {
    session.get(&Request::new(Message::ConsoleRead, row).first(from), Some(name))
}

/// Types what fits into one request; how much was taken.
fn write(session: &mut Session<'_>, row: u16, name: &str, typed: &[u8]) -> Result<usize, Error> {
    let mut data = [0; DATA_LEN];
    let mut count = 0_u64;
    for (to, from) in data.iter_mut().zip(typed) {
        *to = *from;
        count += 1;
    }
    let request = Request { data, ..Request::new(Message::ConsoleWrite, row).first(count) };
    let written: Written = session.get(&request, Some(name))?;
    Ok(usize::try_from(written.count.get()).unwrap_or(usize::MAX).min(DATA_LEN))
}

/// The bytes of a piece.
fn bytes(piece: &Piece) -> &[u8] {
    let count = usize::try_from(piece.count.get()).unwrap_or(usize::MAX);
    piece.bytes.get(..count).unwrap_or(&piece.bytes)
}

/// Where the last lines begin, by a piece from the beginning.
fn tail(piece: &Piece) -> u64 {
    let next = piece.next.get();
    // The total is told modulo 2^32, and is not before where the piece ends.
    let low = next & u64::from(u32::MAX);
    let ahead = u64::from(piece.total.get()).wrapping_sub(low) & u64::from(u32::MAX);
    let begin = piece.lost.get();
    next.wrapping_add(ahead).saturating_sub(TAIL).max(begin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::records::{U32, U64};

    #[test]
    fn the_last_bytes_are_found_also_behind_four_gibibytes() {
        let piece = |next: u64, lost: u64, total: u32| Piece {
            next: U64::new(next),
            lost: U64::new(lost),
            total: U32::new(total),
            ..Piece::default()
        };
        assert_eq!(tail(&piece(100, 0, 100)), 0);
        assert_eq!(tail(&piece(216, 0, 10_000)), 10_000 - TAIL);
        assert_eq!(tail(&piece(0x1_0000_0010, 0xffff_f000, 0x30)), 0x1_0000_0030 - TAIL);
        assert_eq!(tail(&piece(1000, 900, 1000)), 900);
    }
}
