// SPDX-License-Identifier: MIT OR Apache-2.0
//! A conversation: who we are, who there is, and questions asked again where
//! that cannot do anything twice.

use crate::error::Error;
use crate::link::{Broken, Link};
use abi::mailbox::answer::{Answer, Body};
use abi::mailbox::body::{Hello, List, Row};
use abi::mailbox::request::Request;
use abi::mailbox::{Message, OWN};
use abi::records::Name;
use std::time::Duration;

/// How often a question is asked that may be asked again.
const ATTEMPTS: u32 = 3;
/// Most answers to `list`: a server that never says "these were the last" is not followed for ever.
const PAGES: usize = 64;

/// A conversation with a hypervisor.
pub struct Session<'a> {
    link: &'a mut dyn Link,
    patience: Duration,
    hello: Hello,
}

impl<'a> Session<'a> {
    /// Says hello.
    ///
    /// # Errors
    /// [`Error`].
    pub fn open(link: &'a mut dyn Link, patience: Duration) -> Result<Self, Error> {
        let mut session = Self { link, patience, hello: Hello::default() };
        session.hello = session.get(&Request::hello(), None)?;
        Ok(session)
    }

    /// What the hypervisor said of itself and of us.
    #[must_use]
    pub const fn hello(&self) -> &Hello {
        &self.hello
    }

    /// The name of what lies at an address of a partition's guest, where that program is known.
    #[must_use]
    pub fn symbol(&self, partition: &str, address: u64) -> Option<String> {
        self.link.symbol(partition, address)
    }

    /// The body of the answer to a request; `about` is the partition's name, for the message of an error.
    ///
    /// # Errors
    /// [`Error`].
    pub fn get<T: Body>(&mut self, request: &Request, about: Option<&str>) -> Result<T, Error> {
        self.ask(request, about).map(|answer| answer.get())
    }

    /// The answer to a request.
    ///
    /// # Errors
    /// [`Error`].
    pub fn ask(&mut self, request: &Request, about: Option<&str>) -> Result<Answer, Error> {
        let message = Message::from_number(request.message.get()).unwrap_or(Message::Hello);
        let attempts = if asks_only(message) { ATTEMPTS } else { 1 };
        for _ in 0..attempts {
            let answer = match self.link.ask(request, self.patience) {
                Ok(answer) => answer,
                Err(Broken::Silent) => continue,
                Err(Broken::Gone(why)) => return Err(Error::Gone(why)),
            };
            let about = about.map(str::to_owned);
            return match answer.outcome() {
                Ok(()) => Ok(answer),
                Err(failure) => Err(Error::Refused { message, about, failure }),
            };
        }
        Err(Error::Silent { message, patience: self.patience, attempts })
    }

    /// All partitions, in the order of the manifest.
    ///
    /// # Errors
    /// [`Error`].
    pub fn rows(&mut self) -> Result<Vec<Row>, Error> {
        let mut rows = Vec::new();
        let mut next = 0;
        for _ in 0..PAGES {
            let list: List = self.get(&Request::new(Message::List, OWN).first(next), None)?;
            let count = usize::try_from(list.count.get()).unwrap_or(usize::MAX);
            rows.extend(list.rows.iter().take(count));
            next = list.next.get().into();
            if next == 0 {
                break;
            }
        }
        Ok(rows)
    }

    /// The partition with a name.
    ///
    /// # Errors
    /// [`Error`].
    pub fn find(&mut self, name: &str) -> Result<Row, Error> {
        let rows = self.rows()?;
        rows.iter().find(|row| text(&row.name) == name).copied().ok_or_else(|| Error::NoSuch {
            name: name.to_owned(),
            names: rows.iter().map(|row| text(&row.name)).collect(),
        })
    }
}

/// Whether asking twice does nothing twice.
fn asks_only(message: Message) -> bool {
    match message {
        Message::Hello
        | Message::Machine
        | Message::List
        | Message::Partition
        | Message::Statistics
        | Message::Vcpu
        | Message::ConsoleRead
        | Message::Fault
        | Message::Log => true,
        Message::Start
        | Message::Stop
        | Message::Kill
        | Message::Restart
        | Message::Pause
        | Message::Resume
        | Message::ConsoleWrite
        | Message::Inject
        | Message::WatchdogArm
        | Message::WatchdogKick
        | Message::WatchdogDisarm
        | Message::Subscribe
        | Message::Reboot
        | Message::PowerOff => false,
    }
}

/// A name without its padding.
#[must_use]
pub fn text(name: &Name) -> String {
    let used = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    name.iter().take(used).map(|byte| char::from(*byte)).filter(|c| !c.is_control()).collect()
}
