// SPDX-License-Identifier: MIT OR Apache-2.0
//! Groups that never end by themselves; the other partitions must not notice.

use crate::Setting;
use crate::hostile::storms;
use crate::tally::Tally;
use guest_rt::println;

/// A base of tables where no memory is.
const NOWHERE: u64 = 0xd800_0000;

/// #DB in the delivery of #DB.
pub(super) fn breakpoints(_: &mut Setting, _: &mut Tally) {
    println!("mischief: breakpoints for ever");
    storms::breakpoints()
}

/// #AC in the delivery of #AC.
pub(super) fn alignment(_: &mut Setting, _: &mut Tally) {
    println!("mischief: alignment for ever");
    storms::alignment_checks()
}

/// Tasks that switch to each other.
pub(super) fn tasks(_: &mut Setting, _: &mut Tally) {
    println!("mischief: tasks for ever");
    storms::tasks()
}

/// A triple fault: no IDT.
pub(super) fn no_idt(_: &mut Setting, _: &mut Tally) {
    println!("mischief: shutdown for ever");
    storms::no_idt(0, 0)
}

/// A triple fault: tables where nothing is.
pub(super) fn no_gdt(setting: &mut Setting, _: &mut Tally) {
    println!("mischief: shutdown for ever");
    match setting.random.next() & 1 {
        0 => storms::no_gdt(NOWHERE, 0xffff),
        _ => storms::no_idt(NOWHERE, 0xffff),
    }
}
