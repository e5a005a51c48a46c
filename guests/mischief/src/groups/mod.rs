// SPDX-License-Identifier: MIT OR Apache-2.0
//! The groups. Most belong to an architecture, whose folder lists all that it has.

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod endless;
mod floods;
mod mailbox;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
use aarch64 as machine;
#[cfg(target_arch = "x86_64")]
use x86_64 as machine;

pub(crate) use machine::{GROUPS, MEMORY};

use crate::Setting;
use crate::tally::Tally;

/// One group of forbidden things.
pub(crate) struct Group {
    /// Its name on the command line and on the console.
    pub name: &'static str,
    /// Whether it comes to an end.
    pub ends: bool,
    /// Does them.
    pub run: fn(&mut Setting, &mut Tally),
}

const fn group(name: &'static str, run: fn(&mut Setting, &mut Tally)) -> Group {
    Group { name, ends: true, run }
}

const fn forever(name: &'static str, run: fn(&mut Setting, &mut Tally)) -> Group {
    Group { name, ends: false, run }
}
