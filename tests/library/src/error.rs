// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a test failed, in words that say what was awaited and what came instead.

use crate::emulator::lines::End;
use std::fmt;
use std::time::Duration;

/// Why something did not happen.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The system was not built, or its emulator did not start.
    Start(anyhow::Error),
    /// What was awaited did not come in time.
    Late {
        /// What was awaited.
        awaited: String,
        /// How long.
        within: Duration,
        /// The console's last lines, and where all of it is.
        console: String,
    },
    /// The machine ended first.
    Ended {
        /// What was awaited.
        awaited: String,
        /// What the hypervisor's last line said, if it had one.
        end: Option<End>,
        /// The console's last lines, and where all of it is.
        console: String,
    },
    /// The hypervisor met a bug of its own.
    Panic {
        /// Its line.
        line: String,
        /// The console's last lines, and where all of it is.
        console: String,
    },
    /// No partition has that name.
    NoPartition {
        /// The name.
        name: String,
        /// Those that there are.
        names: Vec<String>,
    },
    /// The hypervisor refused, or did not answer.
    Mailbox(bulkctl::error::Error),
    /// A regular expression cannot be read.
    Pattern(regex::Error),
    /// A file could not be written.
    File(std::io::Error),
    /// Cases of a report failed.
    Failed(Vec<String>),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(why) => write!(f, "{why:#}"),
            Self::Late { awaited, within, console } => {
                write!(f, "no {awaited} within {} s\n{console}", within.as_secs_f64())
            }
            Self::Ended { awaited, end, console } => {
                let end = match end {
                    Some(End::Ok) => "all partitions went off",
                    Some(End::Failed(why)) => why,
                    None => "without a last line of the hypervisor",
                };
                write!(f, "the machine ended ({end}) before there was {awaited}\n{console}")
            }
            Self::Panic { line, console } => write!(f, "{line}\n{console}"),
            Self::NoPartition { name, names } => {
                write!(f, "there is no partition {name}; there are: {}", names.join(", "))
            }
            Self::Mailbox(why) => why.fmt(f),
            Self::Pattern(why) => why.fmt(f),
            Self::File(why) => why.fmt(f),
            Self::Failed(names) => write!(f, "failed: {}", names.join(", ")),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Mailbox(why) => Some(why),
            Self::Pattern(why) => Some(why),
            Self::File(why) => Some(why),
            Self::Start(_)
            | Self::Late { .. }
            | Self::Ended { .. }
            | Self::Panic { .. }
            | Self::NoPartition { .. }
            | Self::Failed(_) => None,
        }
    }
}

impl From<bulkctl::error::Error> for Error {
    fn from(error: bulkctl::error::Error) -> Self {
        Self::Mailbox(error)
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::File(error)
    }
}

impl From<regex::Error> for Error {
    fn from(error: regex::Error) -> Self {
        Self::Pattern(error)
    }
}
