// SPDX-License-Identifier: MIT OR Apache-2.0
//! Groups that never end; the other partitions must not notice.

use crate::Setting;
use crate::hostile::idle_for_ever;
use crate::tally::Tally;
use guest_rt::{power, println};

/// Waits for an interrupt that never comes.
pub(super) fn idle(_: &mut Setting, _: &mut Tally) {
    println!("mischief: idle for ever");
    idle_for_ever()
}

/// Spins.
pub(super) fn spin(_: &mut Setting, _: &mut Tally) {
    println!("mischief: spinning for ever");
    loop {
        core::hint::black_box(());
    }
}

/// Restarts itself, for ever.
pub(super) fn reset(_: &mut Setting, _: &mut Tally) {
    println!("mischief: resetting for ever");
    power::reset()
}

/// Rings all bells.
pub(super) fn bells(setting: &mut Setting, _: &mut Tally) {
    println!("mischief: ringing for ever");
    let channels = setting.facts.map(|facts| facts.channels()).unwrap_or_default();
    loop {
        channels.iter().for_each(|channel| channel.ring());
    }
}
