// SPDX-License-Identifier: MIT OR Apache-2.0
//! Verbs that change something: asked once, answered with the state that follows.

use crate::error::{self, Error};
use crate::person::Person;
use crate::session::Session;
use abi::mailbox::body::Changed;
use abi::mailbox::request::Request;
use abi::mailbox::{Message, OWN};
use abi::records::U16;
use serde::Serialize;
use std::time::Duration;

/// What a change led to.
#[derive(Serialize)]
struct View<'a> {
    partition: &'a str,
    state: &'static str,
    restarts: u32,
}

/// Asks a change of a partition.
///
/// # Errors
/// [`Error`].
pub fn partition(
    session: &mut Session<'_>,
    person: &mut Person<'_>,
    json: bool,
    message: Message,
    name: &str,
) -> Result<(), Error> {
    let row = session.find(name)?;
    change(session, person, json, name, &Request::new(message, row.index.get()))
}

/// Asks a partition to end within a time.
///
/// # Errors
/// [`Error`].
pub fn stop(
    session: &mut Session<'_>,
    person: &mut Person<'_>,
    json: bool,
    name: &str,
    within: Duration,
) -> Result<(), Error> {
    let row = session.find(name)?;
    let time = u64::try_from(within.as_nanos()).unwrap_or(u64::MAX);
    let request = Request::new(Message::Stop, row.index.get()).first(time);
    change(session, person, json, name, &request)
}

/// Makes one vCPU's guest dump itself.
///
/// # Errors
/// [`Error`].
pub fn inject(
    session: &mut Session<'_>,
    person: &mut Person<'_>,
    json: bool,
    name: &str,
    vcpu: u16,
) -> Result<(), Error> {
    let row = session.find(name)?;
    let request =
        Request { vcpu: U16::new(vcpu), ..Request::new(Message::Inject, row.index.get()) };
    change(session, person, json, name, &request)
}

/// Asks a change of the machine.
///
/// # Errors
/// [`Error`].
pub fn machine(session: &mut Session<'_>, message: Message) -> Result<(), Error> {
    session.ask(&Request::new(message, OWN), None).map(|_| ())
}

fn change(
    session: &mut Session<'_>,
    person: &mut Person<'_>,
    json: bool,
    name: &str,
    request: &Request,
) -> Result<(), Error> {
    let changed: Changed = session.get(request, Some(name))?;
    let state = error::state(changed.state.get().into());
    if json {
        return person.json(&View { partition: name, state, restarts: changed.restarts.get() });
    }
    person.line(&format!("{name}: {state}"))
}
