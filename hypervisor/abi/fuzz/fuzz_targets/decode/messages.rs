// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests, answers and events: what was read is, written again, what came; every request is
//! answered, with the code that comes first in the specification's order.

use crate::machine::{Machine, PARTITIONS, host, humble, set};
use abi::mailbox::answer::{Answer, BODY_LEN, Body};
use abi::mailbox::body::{
    Changed, Counters, Hello, Histogram, List, Log, Machine as MachineBody, Partition, Piece,
    Statistics, Subscribed, Written,
};
use abi::mailbox::event::{Event, Kind, KindSet};
use abi::mailbox::request::{DATA_LEN, LONGEST_NS, Order, Request, SHORTEST_WATCHDOG_NS};
use abi::mailbox::rights::{Asker, MACHINE, Rights};
use abi::mailbox::server::serve;
use abi::mailbox::state::State;
use abi::mailbox::{ANSWER_LEN, Code, EVENT_LEN, Failure, HEAD_LEN, Message, REQUEST_LEN};
use zerocopy::IntoBytes;

/// The first `told` bytes of what came, filled up with zeros.
fn filled<const LEN: usize>(bytes: &[u8], told: usize) -> [u8; LEN] {
    let mut whole = [0; LEN];
    whole.iter_mut().zip(bytes.iter().take(told)).for_each(|(to, from)| *to = *from);
    whole
}

/// Bytes that are taken for a request.
pub(crate) fn request(bytes: &[u8]) {
    let lengths = HEAD_LEN..=REQUEST_LEN;
    let read = Request::read(bytes);
    let (request, told) = match read {
        Ok(request) => (request, usize::from(request.length.get())),
        Err((head, failure)) => {
            assert_eq!(failure, Failure::new(Code::Length));
            (head, HEAD_LEN)
        }
    };
    assert_eq!(read.is_ok(), lengths.contains(&usize::from(request.length.get())));
    assert_eq!(request.as_bytes(), filled::<REQUEST_LEN>(bytes, told));
    assert_eq!(Request::read(request.as_bytes()), read);

    let understood = understand(&request, read.is_ok());
    if let Ok(order) = &understood {
        assert!(says(order, &request), "{order:?} of {request:?}");
    }
    let some = Rights { observe: set(&[1]), control: set(&[2, MACHINE]), ..Rights::default() };
    for asker in [host(), humble(0), Asker { own: Some(3), rights: some }] {
        served(bytes, &request, understood, &asker);
    }
}

/// What a request asks for, or the first thing that is wrong with it.
fn understand(request: &Request, whole: bool) -> Result<Order, Failure> {
    if !whole {
        return Err(Failure::new(Code::Length));
    }
    let message = Message::from_number(request.message.get());
    request.order(message.ok_or(Failure::new(Code::Unknown))?)
}

/// Whether an order has the fields of the request that it was read from, in their bounds.
fn says(order: &Order, request: &Request) -> bool {
    let first = request.first.get();
    match *order {
        Order::Hello => first > 0,
        Order::List(row) => u64::from(row) == first,
        Order::Vcpu(vcpu, topic) => {
            vcpu == request.vcpu.get() && u64::from(topic.number()) == first
        }
        Order::Stop(time) => time == first && time <= LONGEST_NS,
        Order::ConsoleRead(from) | Order::Log(from) => from == first,
        Order::ConsoleWrite(count, data) => {
            count as u64 == first && count <= DATA_LEN && data == request.data
        }
        Order::Inject(vcpu) => vcpu == request.vcpu.get(),
        Order::WatchdogArm(time) => {
            time == first && (SHORTEST_WATCHDOG_NS..=LONGEST_NS).contains(&time)
        }
        Order::Fault(from, source) => {
            u64::from(from) == first && source.number() == request.second.get()
        }
        Order::Subscribe(kinds) => kinds.bits() == first & KindSet::ALL.bits(),
        Order::Machine
        | Order::Partition
        | Order::Statistics
        | Order::Start
        | Order::Kill
        | Order::Restart
        | Order::Pause
        | Order::Resume
        | Order::WatchdogKick
        | Order::WatchdogDisarm
        | Order::Reboot
        | Order::PowerOff => true,
    }
}

/// One answer, which fits the request, and nothing done that the asker may not.
fn served(bytes: &[u8], request: &Request, understood: Result<Order, Failure>, asker: &Asker) {
    let mut machine = Machine::new();
    let answer = serve(bytes, asker, &mut machine);
    assert_eq!((answer.number, answer.message), (request.number, request.message));
    let code = Code::from_number(answer.code.get()).unwrap();
    let length = usize::from(answer.length.get());
    assert!((HEAD_LEN..=ANSWER_LEN).contains(&length));
    assert!(answer.as_bytes()[length..].iter().all(|byte| *byte == 0));
    assert_eq!(answer.reserved.get(), 0);
    if code != Code::Ok {
        assert!(length == HEAD_LEN && answer.body == [0; BODY_LEN]);
    }
    assert_eq!(machine.denied, u64::from(code == Code::Denied));
    match understood {
        Err(failure) => {
            assert_eq!((answer.outcome(), machine.done.len()), (Err(failure), 0));
        }
        Ok(order) if code == Code::Ok => {
            assert!(matches!(machine.done[..], [(done, _)] if done == order));
        }
        Ok(_) => assert!(machine.done.len() <= 1),
    }
    for (order, member) in &machine.done {
        assert!(*member < PARTITIONS || *member == MACHINE, "{order:?} of {member}");
        let message = Message::from_number(request.message.get()).unwrap();
        let right = message.need().right;
        let may = asker.rights.over(*member).contains(right);
        let own = message.need().own && asker.own == Some(*member);
        assert!(may || own || right.is_empty(), "{order:?} of {member}");
    }
    for (partition, state) in machine.states.iter().enumerate() {
        let own = asker.own == Some(partition);
        assert!(*state == State::Running || own || asker.rights.control.has(partition));
    }
}

/// Bytes that are taken for an answer.
pub(crate) fn answer(bytes: &[u8]) {
    let answer = Answer::read(bytes);
    assert_eq!(answer.as_bytes(), filled::<ANSWER_LEN>(bytes, ANSWER_LEN));
    assert_eq!(Answer::read(answer.bytes()), answer);
    assert_eq!(
        answer.known().map(Message::number).unwrap_or(answer.message.get()),
        answer.message.get()
    );
    match answer.outcome() {
        Ok(()) => assert_eq!(answer.code.get(), 0),
        Err(Failure { code: Code::Unknown, detail }) if answer.code.get() != 1 => {
            assert_eq!(detail, u32::from(answer.code.get()));
            assert_eq!(Code::from_number(answer.code.get()), None);
        }
        Err(Failure { code, detail }) => {
            assert_eq!((code.number(), detail), (answer.code.get(), answer.detail.get()));
        }
    }
    body::<Hello>(&answer);
    body::<MachineBody>(&answer);
    body::<List>(&answer);
    body::<Partition>(&answer);
    body::<Statistics>(&answer);
    body::<Counters>(&answer);
    body::<Histogram>(&answer);
    body::<Piece>(&answer);
    body::<Written>(&answer);
    body::<Log>(&answer);
    body::<Subscribed>(&answer);
    body::<Changed>(&answer);
}

/// A body is as long as its answer says, and the same when it is put and got again.
fn body<T: Body + PartialEq + core::fmt::Debug>(answer: &Answer) {
    let body: T = answer.get();
    let told = usize::from(answer.length.get()).saturating_sub(HEAD_LEN).min(BODY_LEN);
    let whole = filled::<BODY_LEN>(&answer.body, told);
    assert_eq!(body.as_bytes(), &whole[..size_of::<T>()]);
    let mut again = Answer::EMPTY;
    again.put(&body);
    assert_eq!(usize::from(again.length.get()), HEAD_LEN + size_of::<T>());
    assert_eq!(again.get::<T>(), body);
}

/// Bytes that are taken for an event.
pub(crate) fn event(bytes: &[u8]) {
    let event = Event::read(bytes);
    assert_eq!(event.as_bytes(), filled::<EVENT_LEN>(bytes, EVENT_LEN));
    assert_eq!(Event::read(event.as_bytes()), event);
    match event.known() {
        Some(kind) => {
            assert_eq!(kind.number(), event.kind.get());
            assert!(KindSet::ALL.has(kind));
        }
        None => assert!(Kind::ALL.iter().all(|kind| kind.number() != event.kind.get())),
    }
}
