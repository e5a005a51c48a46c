// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest's own mailbox as a [`Link`]. Several programs may use it in turn:
//! each question is asked and answered under a lock on /dev/mem.

use crate::page::Pages;
use crate::place;
use abi::mailbox::answer::Answer;
use abi::mailbox::client::{Attach, Client};
use abi::mailbox::request::Request;
use bulkctl::error::Error;
use bulkctl::link::{Broken, Link};
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::path::Path;
use std::time::{Duration, Instant};

/// From look to look for an answer, and while somebody else is still being answered.
const PERIOD: Duration = Duration::from_micros(200);

/// The mailbox.
pub(crate) struct Mailbox {
    memory: File,
    pages: Pages,
}

impl Mailbox {
    /// Finds and maps it.
    pub(crate) fn open() -> Result<Self, Error> {
        let place = place::find(Path::new("/")).ok_or_else(|| {
            Error::Gone(
                "this guest has no mailbox, or you are not root: the manifest gives it one by \
                 `mailbox = true` or by rights in a table"
                    .to_owned(),
            )
        })?;
        let opened = OpenOptions::new().read(true).write(true).open("/dev/mem");
        let memory = opened
            .map_err(|error| Error::Gone(format!("/dev/mem: {error}; bulkctl needs root")))?;
        let pages = Pages::map(&memory, place)
            .map_err(|error| Error::Gone(format!("mapping the mailbox: {error}")))?;
        Ok(Self { memory, pages })
    }

    /// A client of the mailbox, which nobody else uses until the returned lock is dropped.
    pub(crate) fn attach(&self, until: Instant) -> Result<(Client<Pages>, Lock<'_>), Broken> {
        let gone = |error: rustix::io::Errno| Broken::Gone(format!("locking /dev/mem: {error}"));
        flock(&self.memory, FlockOperation::LockExclusive).map_err(gone)?;
        let lock = Lock(&self.memory);
        loop {
            match Client::attach(self.pages) {
                Ok(client) => return Ok((client, lock)),
                Err(Attach::Busy) if Instant::now() < until => std::thread::sleep(PERIOD),
                Err(Attach::Busy) => return Err(Broken::Silent),
                Err(Attach::NoMailbox | Attach::BadHeader) => {
                    let why = "the mailbox's memory has no header that this program understands";
                    return Err(Broken::Gone(why.to_owned()));
                }
            }
        }
    }
}

/// Nobody else uses the mailbox.
pub(crate) struct Lock<'a>(&'a File);

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        // It is given back at the end of the program anyway.
        let _ = flock(self.0, FlockOperation::Unlock);
    }
}

impl Link for Mailbox {
    fn ask(&mut self, request: &Request, patience: Duration) -> Result<Answer, Broken> {
        let until = Instant::now() + patience;
        let (mut client, _lock) = self.attach(until)?;
        let full = |_| Broken::Gone("the mailbox has no room for a request".to_owned());
        let number = client.ask(request).map_err(full)?;
        self.pages.ring();
        loop {
            match client.answer() {
                Some(answer) if answer.number.get() == number => return Ok(answer),
                Some(_) => {}
                None if Instant::now() >= until => return Err(Broken::Silent),
                None => std::thread::sleep(PERIOD),
            }
        }
    }
}

#[cfg(test)]
#[path = "../tests/machine/mod.rs"]
mod machine;

#[cfg(test)]
mod tests {
    use super::machine::{Machine, NAMES};
    use super::*;
    use crate::place::Place;
    use abi::mailbox::ring::{Found, Server};
    use bulkctl::session::{Session, text};
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    /// A file in the place of /dev/mem, which is gone at the end.
    struct Memory(PathBuf);

    impl Memory {
        const PLACE: Place = Place { registers: 0, memory: 0x1000 };

        fn new(name: &str) -> Self {
            let name = format!("bulkctl-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::write(&path, [0; 0x3000]).unwrap();
            Self(path)
        }

        fn mailbox(&self) -> Mailbox {
            let memory = OpenOptions::new().read(true).write(true).open(&self.0).unwrap();
            let pages = Pages::map(&memory, Self::PLACE).unwrap();
            Mailbox { memory, pages }
        }
    }

    impl Drop for Memory {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn several_programs_use_a_mailbox_in_turn() {
        let memory = Memory::new("turns");
        let done = AtomicBool::new(false);
        let words = memory.mailbox().pages;
        let mut server = Server::begin(&words);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let pages = memory.mailbox().pages;
                let mut machine = Machine::new();
                while !done.load(Relaxed) {
                    match server.next(&pages) {
                        Found::Request(request) => {
                            server.answer(&pages, &machine.answer(&request));
                        }
                        Found::Nothing => std::thread::yield_now(),
                        Found::Refused => unreachable!(),
                    }
                }
            });
            let several: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        let mut mailbox = memory.mailbox();
                        for _ in 0..20 {
                            let mut session =
                                Session::open(&mut mailbox, Duration::from_secs(20)).unwrap();
                            let rows = session.rows().unwrap();
                            let names: Vec<String> =
                                rows.iter().map(|row| text(&row.name)).collect();
                            assert_eq!(names, NAMES);
                        }
                    })
                })
                .collect();
            several.into_iter().for_each(|one| one.join().unwrap());
            done.store(true, Relaxed);
        });
    }

    #[test]
    fn a_mailbox_that_nobody_serves_is_silent_and_one_without_a_header_is_none() {
        let memory = Memory::new("silent");
        let mut mailbox = memory.mailbox();
        let mut ask = || mailbox.ask(&Request::hello(), Duration::from_millis(20)).err();
        assert!(matches!(ask(), Some(Broken::Gone(_))));
        let _ = Server::begin(&memory.mailbox().pages);
        assert_eq!(ask(), Some(Broken::Silent));
    }
}
