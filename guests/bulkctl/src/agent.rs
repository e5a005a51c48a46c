// SPDX-License-Identifier: MIT OR Apache-2.0
//! `bulkctl agent`: ends the guest in order when somebody asks it to. It looks at
//! its mailbox's events, which costs no exit.

use crate::mailbox::Mailbox;
use abi::mailbox::event::{Kind, KindSet};
use abi::mailbox::request::Request;
use abi::mailbox::{Message, OWN};
use bulkctl::error::Error;
use bulkctl::link::Broken;
use bulkctl::session::Session;
use std::process::Command;
use std::time::{Duration, Instant};

/// From look to look.
const PERIOD: Duration = Duration::from_millis(100);

/// Waits for `stop-requested`, and runs a command then.
pub(crate) fn run(
    mailbox: &mut Mailbox,
    patience: Duration,
    command: &[String],
) -> Result<(), Error> {
    let until = Instant::now() + patience;
    // Attached before the subscription, so that no event comes in between.
    let mut events = match mailbox.attach(until) {
        Ok((client, _)) => client,
        Err(Broken::Gone(why)) => return Err(Error::Gone(why)),
        Err(Broken::Silent) => {
            let message = Message::Subscribe;
            return Err(Error::Silent { message, patience, attempts: 1 });
        }
    };
    let wanted = KindSet::from_bits_truncate(1 << Kind::StopRequested.number());
    let subscribe = Request::new(Message::Subscribe, OWN).first(wanted.bits());
    Session::open(mailbox, patience)?.ask(&subscribe, None)?;
    loop {
        match events.event() {
            Some(event) if event.known() == Some(Kind::StopRequested) => break,
            Some(_) => {}
            None => std::thread::sleep(PERIOD),
        }
    }
    let [program, arguments @ ..] = command else { return Ok(()) };
    let status = Command::new(program).args(arguments).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Error::Gone(format!("{program} ended with {status}"))),
        Err(error) => Err(Error::Gone(format!("{program}: {error}"))),
    }
}
