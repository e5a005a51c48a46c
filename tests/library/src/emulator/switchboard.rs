// SPDX-License-Identifier: MIT OR Apache-2.0
//! Several `ctl` programs at one console. Each request reaches the machine whole
//! and alone, whatever a program sent; what the machine answers, all hear, and each
//! knows its own by the number.

use super::frames::Parted;
use super::machine::Event;
use abi::crc32c::software;
use abi::mailbox::frame::{Carries, Input, Receiver, encode_request};
use std::collections::{BTreeMap, VecDeque};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// Bytes read at once.
const BLOCK: usize = 4096;
/// How long the next request waits for the answer to the one before.
const ANSWERED: Duration = Duration::from_secs(1);
/// How long a program may take to read what it is told.
const PATIENCE: Duration = Duration::from_millis(100);
/// Requests that wait at most.
const WAITING: usize = 64;

/// What a program did.
#[derive(Debug)]
pub enum News {
    /// It has connected, under this number.
    Joined(u64, UnixStream),
    /// A request came, as its payload.
    Asked(Vec<u8>),
    /// It has gone.
    Left(u64),
}

/// Who is connected, and what waits.
#[derive(Debug, Default)]
pub struct Switchboard {
    programs: BTreeMap<u64, UnixStream>,
    waiting: VecDeque<Vec<u8>>,
    asked: Option<Instant>,
}

impl Switchboard {
    /// Takes news in.
    pub fn take(&mut self, news: News) {
        match news {
            News::Joined(number, stream) => {
                self.programs.insert(number, stream);
            }
            News::Asked(payload) if self.waiting.len() < WAITING => self.waiting.push_back(payload),
            News::Asked(_) => {}
            News::Left(number) => {
                self.programs.remove(&number);
            }
        }
    }

    /// What to type at the machine now: the next request, if none is being answered.
    pub fn next_request(&mut self) -> Option<Vec<u8>> {
        if self.asked.is_some_and(|since| since.elapsed() < ANSWERED) {
            return None;
        }
        let payload = self.waiting.pop_front()?;
        self.asked = Some(Instant::now());
        let mut bytes = Vec::new();
        encode_request(&payload, software, &mut |byte| bytes.push(byte));
        Some(bytes)
    }

    /// Tells everybody the frames of a line that has nothing else to tell.
    pub fn pass_on(&mut self, parted: Parted) {
        parted.frames.iter().for_each(|(carries, line)| self.tell(*carries, line));
    }

    /// Tells everybody a frame, without those who do not listen.
    pub fn tell(&mut self, carries: Carries, line: &[u8]) {
        if carries == Carries::Answer {
            self.asked = None;
        }
        let line = [line, b"\r\n"].concat();
        self.programs.retain(|_, program| program.write_all(&line).is_ok());
    }
}

impl Drop for Switchboard {
    /// Nobody waits for a machine that has ended.
    fn drop(&mut self) {
        for program in self.programs.values() {
            // One that has gone needs no telling.
            let _ = program.shutdown(Shutdown::Both);
        }
    }
}

/// Sends news of everybody who connects.
pub fn listen(listener: UnixListener, sender: Sender<Event>) {
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            join(stream, &sender);
        }
    });
}

/// Sends news of a program at the other end of a socket.
pub fn join(stream: UnixStream, sender: &Sender<Event>) {
    static JOINED: AtomicU64 = AtomicU64::new(0);
    let number = JOINED.fetch_add(1, Ordering::Relaxed);
    let told = sender.clone();
    let Ok(writing) = stream.try_clone() else { return };
    if writing.set_write_timeout(Some(PATIENCE)).is_err()
        || told.send(Event::Program(News::Joined(number, writing))).is_err()
    {
        return;
    }
    std::thread::spawn(move || {
        requests(stream, |news| told.send(Event::Program(news)).is_ok());
        // Nobody listens to a machine that was dropped.
        let _ = told.send(Event::Program(News::Left(number)));
    });
}

/// Tells each request of a program, as long as it and the session live.
fn requests(mut program: impl Read, mut tell: impl FnMut(News) -> bool) {
    let mut receiver = Receiver::new();
    let mut block = [0; BLOCK];
    while let Ok(read @ 1..) = program.read(&mut block) {
        for &byte in block.iter().take(read) {
            if receiver.push(byte, software) == Input::Frame(Carries::Request)
                && !tell(News::Asked(receiver.payload().to_vec()))
            {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_request(payload, software, &mut |byte| bytes.push(byte));
        bytes
    }

    #[test]
    fn requests_go_one_at_a_time() {
        let mut board = Switchboard::default();
        board.take(News::Asked(b"one".to_vec()));
        board.take(News::Asked(b"two".to_vec()));
        assert_eq!(board.next_request(), Some(typed(b"one")));
        assert_eq!(board.next_request(), None);
        board.tell(Carries::Event, b"event");
        assert_eq!(board.next_request(), None);
        board.tell(Carries::Answer, b"answer");
        assert_eq!(board.next_request(), Some(typed(b"two")));
        board.tell(Carries::Answer, b"answer");
        assert_eq!(board.next_request(), None);
    }

    #[test]
    fn nothing_but_whole_requests_gets_through() {
        let sent = [b"\x1d0ls\nx\x1d:AAAA".to_vec(), typed(b"good"), b"\x1d:bad\r\x1d".to_vec()];
        let mut asked = Vec::new();
        requests(&sent.concat()[..], |news| {
            asked.push(news);
            true
        });
        assert!(matches!(&asked[..], [News::Asked(payload)] if payload == b"good"), "{asked:?}");
    }
}
