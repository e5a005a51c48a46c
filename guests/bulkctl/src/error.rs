// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can go wrong, in words that name the cure, and the exit status of each.

use abi::mailbox::rights::Right;
use abi::mailbox::state::State;
use abi::mailbox::{Code, Failure, Message};
use std::fmt;
use std::io;
use std::time::Duration;

/// The hypervisor refused, or the way to it broke.
pub const FAILED: u8 = 1;
/// What was typed is wrong.
pub const USAGE: u8 = 2;
/// No answer came in time, as `timeout(1)` says it.
pub const TIMEOUT: u8 = 124;

/// Why a command failed.
#[derive(Debug)]
pub enum Error {
    /// Nobody answered.
    Silent {
        /// What was asked.
        message: Message,
        /// How long each attempt waited.
        patience: Duration,
        /// How often it was asked.
        attempts: u32,
    },
    /// The way to the hypervisor is gone: why.
    Gone(String),
    /// The hypervisor said no.
    Refused {
        /// What was asked.
        message: Message,
        /// About which partition; none if about the machine.
        about: Option<String>,
        /// Why not.
        failure: Failure,
    },
    /// No partition has that name.
    NoSuch {
        /// The name.
        name: String,
        /// Those that there are.
        names: Vec<String>,
    },
    /// Output or input failed.
    Io(io::Error),
}

impl Error {
    /// The exit status.
    #[must_use]
    pub const fn status(&self) -> u8 {
        match self {
            Self::Silent { .. } => TIMEOUT,
            Self::NoSuch { .. } => USAGE,
            Self::Gone(_) | Self::Refused { .. } | Self::Io(_) => FAILED,
        }
    }

    /// Whether the asker lacks a right.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.has(Code::Denied)
    }

    /// Whether the hypervisor answered with this code.
    #[must_use]
    pub fn has(&self, code: Code) -> bool {
        matches!(self, Self::Refused { failure, .. } if failure.code == code)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent { message, patience, attempts } => {
                let (word, seconds) = (message.word(), patience.as_secs_f64());
                let times = if *attempts == 1 {
                    "; whether it was done is not known, `list` tells".to_owned()
                } else {
                    format!(", asked {attempts} times")
                };
                write!(
                    f,
                    "no answer to `{word}` within {seconds} s{times}: see whether the machine still \
                     runs and whether nobody else uses this line, or wait longer with --patience"
                )
            }
            Self::Gone(why) => f.write_str(why),
            Self::Refused { message, about, failure } => {
                refusal(f, *message, about.as_deref(), *failure)
            }
            Self::NoSuch { name, names } => {
                write!(f, "there is no partition {name}; there are: {}", names.join(", "))
            }
            Self::Io(error) => error.fmt(f),
        }
    }
}

/// Why the hypervisor said no, and what helps.
fn refusal(
    f: &mut fmt::Formatter<'_>,
    message: Message,
    about: Option<&str>,
    failure: Failure,
) -> fmt::Result {
    let word = message.word();
    let whom = about.unwrap_or("the machine");
    let detail = failure.detail;
    match failure.code {
        Code::Denied => {
            let right = right(detail);
            let scope = about.map_or("true".to_owned(), |name| format!("[\"{name}\"]"));
            write!(
                f,
                "{whom}: `{word}` needs the right `{right}`; the manifest gives it to a partition \
                 with `mailbox = {{ {right} = {scope} }}`"
            )
        }
        Code::State => write!(f, "{whom} is {}: no `{word}` in that state", state(detail)),
        Code::Busy => {
            write!(f, "{whom} is {}, which ends by itself: try again", state(detail))
        }
        Code::Unknown => write!(f, "this hypervisor does not know `{word}`: it is older"),
        Code::Unsupported => write!(f, "{whom}: this machine cannot do `{word}`"),
        Code::Nothing => write!(f, "{whom}: there is nothing to tell"),
        Code::NoVcpu => write!(f, "{whom} has {detail} vCPUs; the first is 0"),
        Code::Version => write!(f, "this hypervisor speaks version {detail} of the mailbox alone"),
        Code::Argument if message == Message::Stop => {
            write!(f, "{whom}: --within is at most an hour")
        }
        Code::Ok | Code::Length | Code::Argument | Code::NoPartition => {
            let code = failure.code.word();
            write!(f, "{whom}: `{word}` was answered `{code}` {detail}")
        }
    }
}

/// The word of a state's number.
#[must_use]
pub fn state(number: u32) -> &'static str {
    let known = u16::try_from(number).ok().and_then(State::from_number);
    known.map_or("in a state unknown here", State::word)
}

/// The words of rights.
#[must_use]
pub fn rights(bits: u16) -> Vec<&'static str> {
    let words =
        [(Right::OBSERVE, "observe"), (Right::CONSOLE, "console"), (Right::CONTROL, "control")];
    let has = Right::from_bits_truncate(bits);
    words.into_iter().filter(|(right, _)| has.contains(*right)).map(|(_, word)| word).collect()
}

/// The word of the right that a denial names.
fn right(bit: u32) -> &'static str {
    let bits = u16::try_from(bit).unwrap_or(0);
    rights(bits).first().copied().unwrap_or("a newer one")
}
