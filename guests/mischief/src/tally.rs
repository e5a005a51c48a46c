// SPDX-License-Identifier: MIT OR Apache-2.0
//! Counts how probes came back, and prints one line for each part of a group.

use crate::hostile::{self, Outcome};
use core::fmt;
use guest_rt::machine::Caught;
use guest_rt::{print, println};

/// Different outcomes that a part tells apart; further ones count as `other`.
const KINDS: usize = 12;

/// How a probe came back, in few words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It did what it says.
    Done,
    /// It returned an error code.
    Code(i32),
    /// An exception: its class and what else tells it apart.
    Exception { class: u64, status: u64 },
}

impl fmt::Display for Kind {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Kind::Done => to.write_str("done"),
            Kind::Code(code) => write!(to, "{code}"),
            Kind::Exception { class, status } => hostile::name(class, status, to),
        }
    }
}

fn exception_of(caught: &Caught) -> Kind {
    let (class, status) = hostile::exception(caught);
    Kind::Exception { class, status }
}

/// The counts of one group.
pub(crate) struct Tally {
    group: &'static str,
    probes: u64,
    faults: u64,
    kinds: [Option<(Kind, u64)>; KINDS],
    other: u64,
}

impl Tally {
    /// Counts for a group.
    pub(crate) fn new(group: &'static str) -> Self {
        Self { group, probes: 0, faults: 0, kinds: [None; KINDS], other: 0 }
    }

    /// Counts a probe that either works or faults.
    pub(crate) fn count(&mut self, outcome: Outcome) {
        let kind = match outcome {
            Outcome::Done(_) => Kind::Done,
            Outcome::Caught(caught) => exception_of(&caught),
        };
        self.add(kind, 1);
    }

    /// Counts a call, whose small negative results are error codes.
    pub(crate) fn count_call(&mut self, outcome: Outcome) {
        let kind = match outcome {
            Outcome::Done(value) => match value as i32 {
                code @ -9..=-1 => Kind::Code(code),
                _ => Kind::Done,
            },
            Outcome::Caught(caught) => exception_of(&caught),
        };
        self.add(kind, 1);
    }

    /// Counts something that returned nothing to tell apart.
    pub(crate) fn count_done(&mut self, probes: u64) {
        self.add(Kind::Done, probes);
    }

    fn add(&mut self, kind: Kind, probes: u64) {
        self.probes += probes;
        if matches!(kind, Kind::Exception { .. }) {
            self.faults += probes;
        }
        for slot in &mut self.kinds {
            let (held, count) = slot.get_or_insert((kind, 0));
            if *held == kind {
                *count += probes;
                return;
            }
        }
        self.other += probes;
    }

    /// Prints what came back since the last part.
    pub(crate) fn part(&mut self, what: fmt::Arguments<'_>) {
        print!("mischief: {} {what}:", self.group);
        for (kind, count) in self.kinds.iter().flatten() {
            print!(" {kind} x{count}");
        }
        if self.other > 0 {
            print!(" other x{}", self.other);
        }
        println!();
        self.kinds = [None; KINDS];
        self.other = 0;
    }

    /// Prints the group's closing line.
    pub(crate) fn finish(&self) {
        println!("mischief: {} done {} probes, {} faults", self.group, self.probes, self.faults);
    }
}
