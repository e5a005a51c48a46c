// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a request's bytes to its one answer: understood, allowed, possible now,
//! then carried out by the kernel. The same for a partition's ring and for the
//! host's serial line; the kernel is behind [`Backend`], so this runs on the host too.

use super::answer::Answer;
use super::request::{Order, Request, Source};
use super::rights::{About, Asker, MACHINE};
use super::state::{State, Step};
use super::{Code, Failure, HEAD_LEN, Message, OWN};
use crate::records::U16;

/// What stands behind a server.
pub trait Backend {
    /// How many partitions there are.
    fn partitions(&self) -> usize;
    /// How many vCPUs a partition has.
    fn vcpus(&self, partition: usize) -> usize;
    /// Where a partition is in its life.
    fn state(&self, partition: usize) -> State;
    /// A request was denied, for the count and the log.
    fn denied(&mut self, asker: &Asker, message: Message, member: usize);
    /// Carries out what was understood and allowed, and writes the answer's body.
    /// `member` is the row of a partition that exists, or [`MACHINE`].
    ///
    /// # Errors
    /// Why it could not be done; then the body does not matter.
    fn carry_out(
        &mut self,
        order: &Order,
        member: usize,
        asker: &Asker,
        answer: &mut Answer,
    ) -> Result<(), Failure>;
}

/// Answers a request.
#[must_use]
pub fn serve(bytes: &[u8], asker: &Asker, backend: &mut dyn Backend) -> Answer {
    let mut answer = Answer::EMPTY;
    answer.set_length(HEAD_LEN);
    let (request, outcome) = match Request::read(bytes) {
        Ok(request) => (request, try_serve(&request, asker, backend, &mut answer)),
        Err((request, failure)) => (request, Err(failure)),
    };
    if let Err(Failure { code, detail }) = outcome {
        answer = Answer::EMPTY;
        answer.set_length(HEAD_LEN);
        answer.code = U16::from(code.number());
        answer.detail = detail.into();
    }
    answer.number = request.number;
    answer.message = request.message;
    answer
}

fn try_serve(
    request: &Request,
    asker: &Asker,
    backend: &mut dyn Backend,
    answer: &mut Answer,
) -> Result<(), Failure> {
    let message = request.known()?;
    let order = request.order(message)?;
    let member = find(request, message, &order, asker, backend)?;
    if message.need().about != About::Asker {
        asker.may(message, member).inspect_err(|_| backend.denied(asker, message, member))?;
    }
    if let Order::Vcpu(vcpu, _) | Order::Inject(vcpu) = order {
        let vcpus = backend.vcpus(member);
        if usize::from(vcpu) >= vcpus {
            let vcpus = u32::try_from(vcpus).unwrap_or(u32::MAX);
            return Err(Failure::with(Code::NoVcpu, vcpus));
        }
    }
    if member != MACHINE {
        possible(message, backend.state(member))?;
    }
    backend.carry_out(&order, member, asker, answer)
}

/// Whom a request is about.
fn find(
    request: &Request,
    message: Message,
    order: &Order,
    asker: &Asker,
    backend: &dyn Backend,
) -> Result<usize, Failure> {
    let of_machine = matches!(order, Order::Fault(_, Source::HypervisorBefore));
    if message.need().about != About::Partition || of_machine {
        return Ok(MACHINE);
    }
    let row = match request.partition.get() {
        OWN => asker.own,
        row => Some(usize::from(row)),
    };
    row.filter(|row| *row < backend.partitions()).ok_or(Failure::new(Code::NoPartition))
}

/// Whether a message can be served in a state.
///
/// # Errors
/// [`State::refusal`].
pub fn possible(message: Message, state: State) -> Result<(), Failure> {
    let may = match Step::of(message) {
        Some(step) => state.after(step).is_some(),
        None => match message {
            Message::Inject | Message::WatchdogArm | Message::WatchdogKick => state.runs(),
            Message::ConsoleWrite | Message::WatchdogDisarm => {
                state.runs() || state == State::Paused
            }
            Message::Hello
            | Message::Machine
            | Message::List
            | Message::Partition
            | Message::Statistics
            | Message::Vcpu
            | Message::Start
            | Message::Stop
            | Message::Kill
            | Message::Restart
            | Message::Pause
            | Message::Resume
            | Message::ConsoleRead
            | Message::Fault
            | Message::Log
            | Message::Subscribe
            | Message::Reboot
            | Message::PowerOff => true,
        },
    };
    if may { Ok(()) } else { Err(state.refusal()) }
}
