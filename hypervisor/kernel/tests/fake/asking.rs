// SPDX-License-Identifier: MIT OR Apache-2.0
//! Those who ask: a guest by its mailbox page, as it would, and the host by the
//! serial line.

use crate::rig::{Rig, add, draft, write};
use abi::crc32c::software;
use abi::draft::Draft;
use abi::mailbox::answer::Answer;
use abi::mailbox::client::Client;
use abi::mailbox::event::{Event, Kind, KindSet};
use abi::mailbox::frame::{LINE_START, decode_line, encode_request};
use abi::mailbox::request::Request;
use abi::mailbox::rights::{Rights, Set};
use abi::mailbox::ring::Words;
use abi::mailbox::{Code, Failure, Message};
use abi::platform::channel::DOORBELL;
use abi::platform::{MAILBOX_MEMORY, MAILBOX_REGISTERS};
use abi::records::{PartitionFlags, PartitionRecord};
use kernel::exit::Exit;
use paging::{GuestPhys, HostPhys};
use zerocopy::IntoBytes;

/// One second, in nanoseconds.
pub(crate) const SECOND: u64 = 1_000_000_000;

/// The page of a partition's mailbox, by the guest's hand, with its caches on.
#[derive(Clone, Copy)]
pub(crate) struct Page {
    rig: Rig,
    host: HostPhys,
}

impl Page {
    /// Where it lies.
    fn at(&self, offset: u32) -> HostPhys {
        HostPhys::new(self.host.get() + u64::from(offset))
    }
}

impl Words for Page {
    fn load(&self, offset: u32) -> [u8; 8] {
        self.rig.machine.cached(self.at(offset), 8).try_into().expect("eight")
    }

    fn store(&self, offset: u32, bytes: [u8; 8]) {
        self.rig.machine.store(self.at(offset), &bytes);
    }

    fn count(&self, offset: u32) -> u32 {
        let bytes = self.rig.machine.cached(self.at(offset), 4);
        u32::from_le_bytes(bytes.try_into().expect("four"))
    }

    fn set_count(&self, offset: u32, count: u32) {
        self.rig.machine.store(self.at(offset), &count.to_le_bytes());
    }

    fn barrier(&self) {}
}

/// Stores to the doorbell.
pub(crate) fn ring() -> Exit {
    write(MAILBOX_REGISTERS + DOORBELL, 1_u32)
}

/// A guest that asks.
pub(crate) struct Guest {
    rig: Rig,
    number: usize,
    client: Client<Page>,
}

/// A request about a partition.
pub(crate) fn about(message: Message, partition: usize) -> Request {
    Request::new(message, partition as u16)
}

/// What an answer says in its head.
pub(crate) fn code(answer: &Answer) -> Code {
    Code::from_number(answer.code.get()).expect("a code of this build")
}

impl Rig {
    /// The memory of a partition's mailbox.
    pub(crate) fn page(&self, partition: usize) -> Page {
        let stage2 = &self.partition(partition).stage2;
        let found = self.machine.on(0, || stage2.find(GuestPhys::new(MAILBOX_MEMORY)));
        let host = found.expect("no unwinding").expect("it has a mailbox").host;
        Page { rig: *self, host }
    }

    /// The guest of a partition begins to use its mailbox.
    pub(crate) fn guest(&self, number: usize) -> Guest {
        let client = Client::attach(self.page(number)).expect("a mailbox");
        Guest { rig: *self, number, client }
    }

    /// The host types a request.
    pub(crate) fn type_request(&self, request: &Request) {
        let mut typed = Vec::new();
        encode_request(request.as_bytes(), software, &mut |byte| typed.push(byte));
        self.machine.type_in(&typed);
    }

    /// The host asks, and the machine goes on until it comes to rest; the one answer, and
    /// the console's other lines.
    pub(crate) fn ask_and_listen(&self, request: &Request) -> (Answer, String) {
        let before = self.console();
        self.type_request(request);
        self.settle();
        let console = self.console();
        let answers: Vec<Answer> = answers(&console);
        assert_eq!(answers.len(), 1, "{request:?}: {console}");
        let others = console.split_inclusive("\r\n").filter(|line| !line.starts_with(LINE_START));
        (answers[0], before + &others.collect::<String>())
    }

    /// The same, where nobody listens.
    pub(crate) fn ask(&self, request: &Request) -> Answer {
        self.ask_and_listen(request).0
    }

    /// The host asks, and no CPU but the console's takes a turn.
    pub(crate) fn ask_quietly(&self, request: &Request) -> Answer {
        let _ = self.console();
        self.type_request(request);
        let mut console = String::new();
        while !console.ends_with("\r\n") {
            self.turn(0).expect("the machine is on");
            console += &self.console();
        }
        answers(&console)[0]
    }

    /// The host asks something of a partition, and that is done.
    pub(crate) fn order(&self, message: Message, partition: usize) {
        assert_eq!(self.ask(&about(message, partition)).outcome(), Ok(()), "{message:?}");
    }

    /// The host asks something of a partition, and that is not done.
    pub(crate) fn refused(&self, message: Message, partition: usize) -> Failure {
        self.ask(&about(message, partition)).outcome().expect_err("it was done")
    }

    /// What the log says of events of these kinds, oldest first.
    pub(crate) fn told(&self, kinds: &[Kind]) -> Vec<Event> {
        let mut events = Vec::new();
        let mut next = 1;
        loop {
            let log: abi::mailbox::body::Log = self.ask(&about(Message::Log, 0).first(next)).get();
            events.extend_from_slice(&log.events[..log.count.get() as usize]);
            next = log.next.get();
            if log.more.get() == 0 {
                break;
            }
        }
        events.retain(|event| event.known().is_some_and(|kind| kinds.contains(&kind)));
        events
    }

    /// The same, without what differs from run to run: kind, partition, code, first, second.
    pub(crate) fn story(&self, kinds: &[Kind]) -> Vec<Told> {
        self.told(kinds).iter().map(brief).collect()
    }
}

/// An event in brief: kind, partition, code, first, second.
pub(crate) type Told = (Kind, u16, u32, u64, u64);

/// That of an event.
pub(crate) fn brief(event: &Event) -> Told {
    let kind = event.known().expect("a kind of this build");
    let numbers = (event.first.get(), event.second.get());
    (kind, event.partition.get(), event.code.get(), numbers.0, numbers.1)
}

/// The answers among a console's lines.
pub(crate) fn answers(console: &str) -> Vec<Answer> {
    let lines = console.lines().filter(|line| line.starts_with(LINE_START));
    let frames = lines.map(|line| decode_line(line.as_bytes(), software).expect("a whole frame"));
    frames.map(|(_, decoder)| Answer::read(decoder.payload())).collect()
}

impl Guest {
    /// Writes a request and rings; its number.
    pub(crate) fn post(&mut self, request: &Request) -> u32 {
        let number = self.client.ask(request).expect("there is room");
        self.rig.machine.play(self.number, 0, [ring()]);
        number
    }

    /// The next answer, if there is one.
    pub(crate) fn answer(&mut self) -> Option<Answer> {
        self.client.answer()
    }

    /// Asks, and the machine goes on until it comes to rest; the one answer.
    pub(crate) fn ask(&mut self, request: &Request) -> Answer {
        let number = self.post(request);
        self.rig.settle();
        let answer = self.answer().expect("every request is answered");
        assert_eq!((answer.number.get(), answer.message), (number, request.message));
        assert_eq!(self.answer(), None, "answered twice");
        answer
    }

    /// Wants these events from now on.
    pub(crate) fn subscribe(&mut self, kinds: &[Kind]) {
        let bits = kinds.iter().fold(0, |all, kind| all | 1 << kind.number());
        let request = Request::new(Message::Subscribe, 0).first(bits);
        assert_eq!(self.ask(&request).outcome(), Ok(()));
        assert_eq!(KindSet::from_bits(bits).map(|set| set.bits()), Some(bits));
    }

    /// The events told since the last call.
    pub(crate) fn events(&mut self) -> Vec<Event> {
        core::iter::from_fn(|| self.client.event()).collect()
    }

    /// Events that the ring lost since the last call.
    pub(crate) fn take_lost(&mut self) -> u64 {
        self.client.take_lost()
    }
}

/// A set of partitions, and of [`abi::mailbox::rights::MACHINE`].
pub(crate) fn set(members: &[usize]) -> Set {
    let mut set = Set::default();
    members.iter().for_each(|member| set.add(*member));
    set
}

/// The row that was added last gets a mailbox with these rights.
pub(crate) fn with_mailbox(draft: &mut Draft, rights: Rights) {
    let record = last(draft);
    record.flags = (record.flags.get() | PartitionFlags::MAILBOX.bits()).into();
    record.rights = rights;
}

/// The row that was added last.
pub(crate) fn last(draft: &mut Draft) -> &mut PartitionRecord {
    draft.partitions.last_mut().expect("one was added")
}

/// The row that was added last gets a flag.
pub(crate) fn flag(draft: &mut Draft, flag: PartitionFlags) {
    let record = last(draft);
    record.flags = (record.flags.get() | flag.bits()).into();
}

/// Partitions, each with a vCPU on a CPU of its own, by name.
pub(crate) fn rows(names: &[&str]) -> Draft {
    let mut draft = draft();
    for (cpu, name) in names.iter().enumerate() {
        add(&mut draft, name, &[cpu as u32], crate::rig::SMALL);
    }
    draft
}
