// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests: the layout, and what the words mean for each message.
//!
//! ```text
//!  0        4        6       8          10    12          16        24        32         64
//!  | number | message| length| partition| vcpu| zero      | first   | second  | data …   |
//! ```

use super::event::KindSet;
use super::{Code, Failure, HEAD_LEN, Message, OWN, REQUEST_LEN, VERSION, numbers};
use crate::records::{U16, U32, U64};
use core::mem::offset_of;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Most bytes that one [`Message::ConsoleWrite`] types.
pub const DATA_LEN: usize = 32;
/// Longest time that [`Message::Stop`] waits and [`Message::WatchdogArm`] sets: an hour, in nanoseconds.
pub const LONGEST_NS: u64 = 3_600_000_000_000;
/// Shortest time of a watchdog: a millisecond, in nanoseconds.
pub const SHORTEST_WATCHDOG_NS: u64 = 1_000_000;

/// One request.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, Immutable, IntoBytes, KnownLayout,
)]
#[repr(C)]
pub struct Request {
    /// The asker's own number for it, which the answer repeats.
    pub number: U32,
    /// Number of the [`Message`].
    pub message: U16,
    /// Bytes that the asker wrote, from the first on; what follows counts as zero.
    pub length: U16,
    /// Row of the partition it is about, or [`OWN`].
    pub partition: U16,
    /// Number of the vCPU it is about.
    pub vcpu: U16,
    /// Zero.
    pub reserved: U32,
    /// See [`Order`].
    pub first: U64,
    /// See [`Order`].
    pub second: U64,
    /// See [`Order`].
    pub data: [u8; DATA_LEN],
}

const _: () = assert!(size_of::<Request>() == REQUEST_LEN);
const _: () = assert!(offset_of!(Request, first) == HEAD_LEN);

numbers! {
    /// Which counters of a vCPU.
    Topic: u16 {
        /// CPU time, exits by reason, interrupts.
        Counters = 0, "counters";
        /// How long exits took.
        ExitTime = 1, "exit-time";
        /// How late timers were.
        Lateness = 2, "lateness";
    }
}

/// A request that was understood, with its fields in bounds. The numbers of
/// partitions are rows that exist; [`super::server::serve`] has checked the rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// `first`: the highest version that the asker speaks, at least one.
    Hello,
    /// Nothing else.
    Machine,
    /// `first`: rows from this one on.
    List(u16),
    /// Nothing else.
    Partition,
    /// Nothing else.
    Statistics,
    /// `vcpu`, and `first`: the topic.
    Vcpu(u16, Topic),
    /// Nothing else.
    Start,
    /// `first`: nanoseconds after which it is killed, at most [`LONGEST_NS`].
    Stop(u64),
    /// Nothing else.
    Kill,
    /// Nothing else.
    Restart,
    /// Nothing else.
    Pause,
    /// Nothing else.
    Resume,
    /// `first`: bytes written since boot from which on.
    ConsoleRead(u64),
    /// `first`: how many bytes of `data`, at most [`DATA_LEN`].
    ConsoleWrite(usize, [u8; DATA_LEN]),
    /// `vcpu`: who gets the NMI or SError.
    Inject(u16),
    /// `first`: nanoseconds, from [`SHORTEST_WATCHDOG_NS`] to [`LONGEST_NS`].
    WatchdogArm(u64),
    /// Nothing else.
    WatchdogKick,
    /// Nothing else.
    WatchdogDisarm,
    /// `first`: bytes of the record from which on; `second`: see [`Source`].
    Fault(u32, Source),
    /// `first`: number of the first event wanted.
    Log(u64),
    /// `first`: the kinds that are wanted from now on; unknown ones are left out.
    Subscribe(KindSet),
    /// Nothing else.
    Reboot,
    /// Nothing else.
    PowerOff,
}

numbers! {
    /// Whose fault record.
    Source: u64 {
        /// The partition's last one since this boot.
        Partition = 0, "partition";
        /// The partition's last one before the last reset.
        PartitionBefore = 1, "partition-before";
        /// The hypervisor's own before the last reset; asking needs the right over the machine.
        HypervisorBefore = 2, "hypervisor-before";
    }
}

impl Request {
    /// A request about a partition; the ring numbers it.
    #[must_use]
    pub const fn new(message: Message, partition: u16) -> Self {
        let zero = U64::new(0);
        Self {
            number: U32::new(0),
            message: U16::new(message as u16),
            #[expect(clippy::cast_possible_truncation, reason = "64")]
            length: U16::new(REQUEST_LEN as u16),
            partition: U16::new(partition),
            vcpu: U16::new(0),
            reserved: U32::new(0),
            first: zero,
            second: zero,
            data: [0; DATA_LEN],
        }
    }

    /// The first thing to ask: which version, and who am I.
    #[must_use]
    pub const fn hello() -> Self {
        Self { first: U64::new(VERSION as u64), ..Self::new(Message::Hello, OWN) }
    }

    /// With its first word.
    #[must_use]
    pub const fn first(self, first: u64) -> Self {
        Self { first: U64::new(first), ..self }
    }

    /// What bytes of a request say: those beyond its own length count as zero,
    /// and so do those that are not there.
    ///
    /// # Errors
    /// The request with [`Code::Length`], if the length is less than a head or
    /// more than a request; then all behind the head counts as zero.
    pub fn read(bytes: &[u8]) -> Result<Self, (Self, Failure)> {
        let head = Self::prefix(bytes, HEAD_LEN);
        let length = usize::from(head.length.get());
        if !(HEAD_LEN..=REQUEST_LEN).contains(&length) {
            return Err((head, Failure::new(Code::Length)));
        }
        Ok(Self::prefix(bytes, length))
    }

    fn prefix(bytes: &[u8], length: usize) -> Self {
        let mut whole = [0; REQUEST_LEN];
        for (to, from) in whole.iter_mut().zip(bytes.iter().take(length)) {
            *to = *from;
        }
        Self::read_from_bytes(&whole).unwrap_or_default()
    }

    /// Its message, if this build knows it.
    ///
    /// # Errors
    /// [`Code::Unknown`].
    pub fn known(&self) -> Result<Message, Failure> {
        Message::from_number(self.message.get()).ok_or(Failure::new(Code::Unknown))
    }

    /// What it asks for, with every field in bounds.
    ///
    /// # Errors
    /// [`Code::Version`] or [`Code::Argument`].
    pub fn order(&self, message: Message) -> Result<Order, Failure> {
        const FIRST: Failure = argument(HEAD_LEN);
        const SECOND: Failure = argument(HEAD_LEN + size_of::<u64>());
        let first = self.first.get();
        let time = |least: u64| {
            if (least..=LONGEST_NS).contains(&first) { Ok(first) } else { Err(FIRST) }
        };
        let narrow = || u16::try_from(first).map_err(|_| FIRST);
        Ok(match message {
            Message::Hello if first == 0 => return Err(Failure::with(Code::Version, VERSION)),
            Message::Hello => Order::Hello,
            Message::Machine => Order::Machine,
            Message::List => Order::List(narrow()?),
            Message::Partition => Order::Partition,
            Message::Statistics => Order::Statistics,
            Message::Vcpu => {
                let topic = Topic::from_number(narrow()?).ok_or(FIRST)?;
                Order::Vcpu(self.vcpu.get(), topic)
            }
            Message::Start => Order::Start,
            Message::Stop => Order::Stop(time(0)?),
            Message::Kill => Order::Kill,
            Message::Restart => Order::Restart,
            Message::Pause => Order::Pause,
            Message::Resume => Order::Resume,
            Message::ConsoleRead => Order::ConsoleRead(first),
            Message::ConsoleWrite if first > DATA_LEN as u64 => return Err(FIRST),
            Message::ConsoleWrite => Order::ConsoleWrite(usize::from(narrow()?), self.data),
            Message::Inject => Order::Inject(self.vcpu.get()),
            Message::WatchdogArm => Order::WatchdogArm(time(SHORTEST_WATCHDOG_NS)?),
            Message::WatchdogKick => Order::WatchdogKick,
            Message::WatchdogDisarm => Order::WatchdogDisarm,
            Message::Fault => {
                let source = Source::from_number(self.second.get()).ok_or(SECOND)?;
                Order::Fault(u32::try_from(first).map_err(|_| FIRST)?, source)
            }
            Message::Log => Order::Log(first),
            Message::Subscribe => Order::Subscribe(KindSet::from_bits_truncate(first)),
            Message::Reboot => Order::Reboot,
            Message::PowerOff => Order::PowerOff,
        })
    }
}

/// A field cannot have its value.
const fn argument(offset: usize) -> Failure {
    #[expect(clippy::cast_possible_truncation, reason = "an offset in 64 bytes")]
    Failure::with(Code::Argument, offset as u32)
}
