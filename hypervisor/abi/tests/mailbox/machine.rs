// SPDX-License-Identifier: MIT OR Apache-2.0
//! A machine that does what it is told at once, and keeps account of it.

use abi::mailbox::answer::Answer;
use abi::mailbox::body::{Changed, Hello};
use abi::mailbox::request::{Order, Request};
use abi::mailbox::rights::{Asker, Rights, Set};
use abi::mailbox::server::{Backend, serve};
use abi::mailbox::state::{State, Step};
use abi::mailbox::{Code, Failure, Features, Message, VERSION};
use abi::records::{U16, U32, U64, name};
use zerocopy::IntoBytes;

/// Partitions of the machine, each with two vCPUs.
pub(crate) const PARTITIONS: usize = 4;

pub(crate) struct Machine {
    pub(crate) states: [State; PARTITIONS],
    /// What was carried out, about whom.
    pub(crate) done: Vec<(Order, usize)>,
    pub(crate) denied: u64,
}

impl Machine {
    pub(crate) fn new() -> Self {
        Self { states: [State::Running; PARTITIONS], done: Vec::new(), denied: 0 }
    }

    /// The answer to a request as it comes out of a ring.
    pub(crate) fn ask(&mut self, asker: &Asker, request: &Request) -> Answer {
        serve(request.as_bytes(), asker, self)
    }

    fn step(&mut self, step: Step, member: usize, answer: &mut Answer) -> Result<(), Failure> {
        let state = self.states[member];
        let next = state.after(step).ok_or(state.refusal())?;
        self.states[member] = next;
        answer.put(&Changed { state: U16::new(next.number()), ..Changed::default() });
        Ok(())
    }
}

impl Backend for Machine {
    fn partitions(&self) -> usize {
        PARTITIONS
    }

    fn vcpus(&self, _: usize) -> usize {
        2
    }

    fn state(&self, partition: usize) -> State {
        self.states[partition]
    }

    fn denied(&mut self, _: &Asker, _: Message, _: usize) {
        self.denied += 1;
    }

    fn carry_out(
        &mut self,
        order: &Order,
        member: usize,
        asker: &Asker,
        answer: &mut Answer,
    ) -> Result<(), Failure> {
        self.done.push((*order, member));
        match order {
            Order::Hello => answer.put(&hello(asker)),
            Order::Start => self.step(Step::Start, member, answer)?,
            Order::Stop(_) => self.step(Step::Stop, member, answer)?,
            Order::Kill => self.step(Step::Kill, member, answer)?,
            Order::Restart => self.step(Step::Restart, member, answer)?,
            Order::Pause => self.step(Step::Pause, member, answer)?,
            Order::Resume => self.step(Step::Resume, member, answer)?,
            Order::Inject(_) => return Err(Failure::new(Code::Unsupported)),
            _ => {}
        }
        Ok(())
    }
}

fn hello(asker: &Asker) -> Hello {
    Hello {
        version: U32::new(VERSION),
        own: U16::new(asker.own.map_or(abi::mailbox::OWN, |own| own as u16)),
        partitions: U16::new(PARTITIONS as u16),
        features: U64::new(Features::INJECT.bits()),
        last_message: U16::new(Message::PowerOff.number()),
        release: name("0.1.0").unwrap(),
        ..Hello::default()
    }
}

/// A partition with no rights but those over itself.
pub(crate) fn humble(own: usize) -> Asker {
    Asker { own: Some(own), rights: Rights::default() }
}

/// The host, which may do everything.
pub(crate) fn host() -> Asker {
    Asker { own: None, rights: Rights::all() }
}

/// A set of partitions.
pub(crate) fn set(members: &[usize]) -> Set {
    let mut set = Set::default();
    members.iter().for_each(|member| set.add(*member));
    set
}
