// SPDX-License-Identifier: MIT OR Apache-2.0
//! The groups, in the order they run.

mod atomics;
mod cache;
mod calls;
mod devices;
mod endless;
mod floods;
mod memory;
mod places;
mod power;
mod registers;
mod semihosting;
mod walks;

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

const fn endless(name: &'static str, run: fn(&mut Setting, &mut Tally)) -> Group {
    Group { name, ends: false, run }
}

/// Every group.
pub(crate) const GROUPS: &[Group] = &[
    group("memory", memory::run),
    group("atomics", atomics::run),
    group("cache", cache::run),
    group("calls", calls::run),
    group("semihosting", semihosting::run),
    group("registers", registers::run),
    group("power", power::run),
    group("gic", devices::gic),
    group("devices", devices::others),
    group("floods", floods::run),
    group("million", calls::million),
    group("walks", walks::run),
    endless("idle", endless::idle),
    endless("loop", endless::spin),
    endless("wedge", endless::wedge),
    endless("reset", endless::reset),
];
