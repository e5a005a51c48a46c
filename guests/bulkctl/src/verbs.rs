// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be typed, and which part carries it out.

use crate::error::Error;
use crate::link::Link;
use crate::person::Person;
use crate::session::Session;
use crate::{changes, console, faults, log, show, top};
use abi::mailbox::Message;
use std::time::Duration;

/// How it ends, for the help.
pub const STATUSES: &str = "\
Ends with 0 if it was done, 1 if the hypervisor refused or the way to it
broke, 2 for mistakes in what you wrote, 124 if no answer came in time.";

/// Options of every verb.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Print data as JSON, one value a line.
    #[arg(long, global = true)]
    pub json: bool,
    /// How long to wait for an answer. What only asks is asked three times.
    #[arg(long, global = true, value_name = "TIME", default_value = "2s", value_parser = time)]
    pub patience: Duration,
}

/// What to do.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Verb {
    /// Print which partitions there are and what they do.
    List,
    /// Print one partition in detail, or the machine.
    Show {
        /// A partition; the machine if left out.
        name: Option<String>,
    },
    /// Start a partition that does not run.
    Start(Whom),
    /// Ask a partition to end, and kill it when the time is over.
    Stop {
        /// The partition.
        name: String,
        /// The time it has, such as 500ms, 10s or 2m.
        #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
        within: Duration,
    },
    /// End a partition now.
    Kill(Whom),
    /// Start a partition afresh.
    Restart(Whom),
    /// Keep a partition's vCPUs from running.
    Pause(Whom),
    /// Let a paused partition run again.
    Resume(Whom),
    /// Read and write a partition's console; Ctrl-A x leaves.
    ///
    /// Ctrl-A Ctrl-A types one Ctrl-A. If the standard input is no terminal, it is typed, and
    /// the command ends when it has ended and the partition has been silent for a second.
    Console(Whom),
    /// Print what happened.
    Log {
        /// Go on with what happens from now on.
        #[arg(short, long)]
        follow: bool,
    },
    /// Print the last fault records: of one partition, or of all and the hypervisor.
    Faults {
        /// A partition; all and the hypervisor if left out.
        name: Option<String>,
    },
    /// Make a guest dump itself, by an NMI or SError.
    Inject {
        /// The partition.
        name: String,
        /// The vCPU that gets it.
        #[arg(long, value_name = "N", default_value_t = 0)]
        vcpu: u16,
    },
    /// Show CPU time, exits by reason and latencies, anew each second; q leaves.
    ///
    /// Prints one frame below the other where the standard output is no terminal that moves its
    /// cursor (TERM=dumb), as is the hypervisor's console.
    Top {
        /// Print one frame and end; so it is without a terminal.
        #[arg(long)]
        once: bool,
        /// From frame to frame, such as 500ms or 5s.
        #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time)]
        every: Duration,
    },
    /// Reset the machine.
    Reboot,
    /// Switch the machine off.
    PowerOff,
}

/// One partition.
#[derive(Clone, Debug, clap::Args)]
pub struct Whom {
    /// The partition.
    pub name: String,
}

/// A time as it is typed: a number with ms, s or m; seconds without.
fn time(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim_end();
    let unit = text.get(digits.len()..).unwrap_or("").trim();
    let scale = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        _ => return Err("a time has ms, s or m, such as 500ms or 10s".to_owned()),
    };
    let number: f64 =
        digits.parse().map_err(|_| "a time is a number such as 500ms or 10s".to_owned())?;
    Duration::try_from_secs_f64(number * scale).map_err(|error| error.to_string())
}

/// Carries out a verb.
///
/// # Errors
/// [`Error`], whose [`Error::status`] the program should end with.
pub fn run(
    verb: &Verb,
    options: &Options,
    link: &mut dyn Link,
    person: &mut Person<'_>,
) -> Result<(), Error> {
    let mut session = Session::open(link, options.patience)?;
    let session = &mut session;
    let json = options.json;
    let mut change = |message, name: &str| changes::partition(session, person, json, message, name);
    match verb {
        Verb::Start(whom) => change(Message::Start, &whom.name),
        Verb::Kill(whom) => change(Message::Kill, &whom.name),
        Verb::Restart(whom) => change(Message::Restart, &whom.name),
        Verb::Pause(whom) => change(Message::Pause, &whom.name),
        Verb::Resume(whom) => change(Message::Resume, &whom.name),
        Verb::Stop { name, within } => changes::stop(session, person, json, name, *within),
        Verb::Inject { name, vcpu } => changes::inject(session, person, json, name, *vcpu),
        Verb::Reboot => changes::machine(session, Message::Reboot),
        Verb::PowerOff => changes::machine(session, Message::PowerOff),
        Verb::List => show::list(session, person, json),
        Verb::Show { name: None } => show::machine(session, person, json),
        Verb::Show { name: Some(name) } => show::partition(session, person, json, name),
        Verb::Console(whom) => console::attach(session, person, &whom.name),
        Verb::Log { follow } => log::print(session, person, json, *follow),
        Verb::Faults { name } => faults::print(session, person, json, name.as_deref()),
        Verb::Top { once, every } => top::show(session, person, json, *once, *every),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_numbers_with_a_unit() {
        for (text, milliseconds) in
            [("500ms", 500), ("2", 2000), ("1.5s", 1500), ("10 s", 10_000), ("2m", 120_000)]
        {
            assert_eq!(time(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "s", "-1s", "2h", "1e40", "nan"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
