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
