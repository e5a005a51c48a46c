// SPDX-License-Identifier: MIT OR Apache-2.0
//! Groups that never end; the other partitions must not notice.

use crate::Setting;
use crate::hostile::Instruction;
use crate::tally::Tally;
use guest_rt::machine::{enable_mmu, mask_interrupts, wait_for_interrupt};
use guest_rt::{power, println};

/// Waits for an interrupt that never comes.
pub(super) fn idle(_: &mut Setting, _: &mut Tally) {
    println!("mischief: idle for ever");
    mask_interrupts();
    loop {
        wait_for_interrupt();
    }
}

/// Spins.
pub(super) fn spin(_: &mut Setting, _: &mut Tally) {
    println!("mischief: spinning for ever");
    loop {
        core::hint::black_box(());
    }
}

/// Takes its own translation away: each exception's vector is an exception.
pub(super) fn wedge(setting: &mut Setting, tally: &mut Tally) {
    println!("mischief: wedged for ever");
    enable_mmu();
    let (_, end) = setting.memory;
    tally.count(Instruction::WEDGES[0].run([end, end, 0, 0]));
}

/// Restarts itself, for ever.
pub(super) fn reset(_: &mut Setting, _: &mut Tally) {
    println!("mischief: resetting for ever");
    power::reset()
}
