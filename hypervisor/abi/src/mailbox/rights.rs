// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who may do what to whom: for each right a set of partitions.
//!
//! The manifest gives them (`mailbox = { observe = true, control = ["rtos"] }`);
//! a partition always has some over itself ([`Need::own`]).

use super::{Code, Failure, Message};
use crate::records::U64;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

bitflags::bitflags! {
    /// Rights, as `hello` and `list` tell them and as a denial names them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Right: u16 {
        /// To see: details, statistics, faults, events.
        const OBSERVE = 1 << 0;
        /// To read and write a console.
        const CONSOLE = 1 << 1;
        /// To start, stop, pause and the like.
        const CONTROL = 1 << 2;
    }
}

/// The member of a [`Set`] that stands for the machine as a whole; the number of no partition.
pub const MACHINE: usize = crate::rules::PARTITIONS;

/// A set of partitions by their rows in the manifest, and of [`MACHINE`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, Immutable, IntoBytes, KnownLayout,
)]
#[repr(C)]
pub struct Set([U64; 4]);

impl Set {
    /// Everybody, and the machine.
    #[must_use]
    pub fn all() -> Self {
        Self([U64::from(u64::MAX); 4])
    }

    /// Adds a member.
    pub fn add(&mut self, member: usize) {
        if let Some(word) = self.0.get_mut(member / 64) {
            *word = U64::from(word.get() | 1 << (member % 64));
        }
    }

    /// Whether it has a member.
    #[must_use]
    pub fn has(&self, member: usize) -> bool {
        self.0.get(member / 64).is_some_and(|word| word.get() >> (member % 64) & 1 != 0)
    }
}

/// The rights of one asker.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, Immutable, IntoBytes, KnownLayout,
)]
#[repr(C)]
pub struct Rights {
    /// Whom it may observe.
    pub observe: Set,
    /// Whose console it may use.
    pub console: Set,
    /// Whom it may control.
    pub control: Set,
}

impl Rights {
    /// All of them: `mailbox = true`.
    #[must_use]
    pub fn all() -> Self {
        let all = Set::all();
        Self { observe: all, console: all, control: all }
    }

    /// The rights over one partition, or over [`MACHINE`].
    #[must_use]
    pub fn over(&self, member: usize) -> Right {
        let sets = [
            (&self.observe, Right::OBSERVE),
            (&self.console, Right::CONSOLE),
            (&self.control, Right::CONTROL),
        ];
        let have = sets.into_iter().filter(|(set, _)| set.has(member));
        have.fold(Right::empty(), |all, (_, right)| all | right)
    }
}

/// Whom a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// Nobody, or whoever the asker may observe.
    Asker,
    /// The machine.
    Machine,
    /// A partition.
    Partition,
}

/// What an asker needs for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Whom it is about.
    pub about: About,
    /// The right over that.
    pub right: Right,
    /// A partition needs no right to ask this of itself.
    pub own: bool,
}

impl Message {
    /// What an asker needs for it.
    #[must_use]
    pub const fn need(self) -> Need {
        let (about, right, own) = match self {
            Self::Hello | Self::List | Self::Log | Self::Subscribe => {
                (About::Asker, Right::empty(), true)
            }
            Self::Machine => (About::Machine, Right::OBSERVE, false),
            Self::Reboot | Self::PowerOff => (About::Machine, Right::CONTROL, false),
            Self::Partition | Self::Statistics | Self::Vcpu | Self::Fault => {
                (About::Partition, Right::OBSERVE, true)
            }
            Self::Stop
            | Self::Kill
            | Self::Restart
            | Self::WatchdogArm
            | Self::WatchdogKick
            | Self::WatchdogDisarm => (About::Partition, Right::CONTROL, true),
            Self::Start | Self::Pause | Self::Resume | Self::Inject => {
                (About::Partition, Right::CONTROL, false)
            }
            Self::ConsoleRead | Self::ConsoleWrite => (About::Partition, Right::CONSOLE, false),
        };
        Need { about, right, own }
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    /// Its partition; none for the host at the serial line.
    pub own: Option<usize>,
    /// What it may do.
    pub rights: Rights,
}

impl Asker {
    /// Whether it may ask a message about a partition, or about [`MACHINE`].
    ///
    /// # Errors
    /// [`Code::Denied`] with the missing right.
    pub fn may(&self, message: Message, member: usize) -> Result<(), Failure> {
        let need = message.need();
        let own = need.own && self.own == Some(member);
        if own || self.rights.over(member).contains(need.right) {
            return Ok(());
        }
        Err(Failure::with(Code::Denied, need.right.bits().into()))
    }

    /// Whether it may see a partition, or [`MACHINE`], at all.
    #[must_use]
    pub fn sees(&self, member: usize) -> bool {
        self.own == Some(member) || self.rights.observe.has(member)
    }
}
