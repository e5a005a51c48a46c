// SPDX-License-Identifier: MIT OR Apache-2.0
//! Arm's groups, in the order they run.

mod atomics;
mod cache;
mod calls;
mod devices;
mod interrupts;
mod memory;
mod places;
mod power;
mod registers;
mod semihosting;
mod walks;
mod wedge;

use super::{Group, endless, floods, forever, group, mailbox};
pub(super) use interrupts::flood;

/// What this guest takes for its memory where no device tree says more.
pub(crate) const MEMORY: (u64, u64) = (0x4000_0000, 0x80_0000);

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
    group("mailbox", mailbox::run),
    forever("idle", endless::idle),
    forever("loop", endless::spin),
    forever("wedge", wedge::run),
    forever("reset", endless::reset),
    forever("bells", endless::bells),
];
