// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures what the mailbox costs, where one count of the counter is one
//! instruction. A partition with a mailbox asks: it times round trips, restarts the
//! partition `rtos`, and reads the statistics of the partition `watched`. That one
//! has no mailbox: it runs a loop, once unread and once while it is read.
//!
//! Each row is a line `bench: NAME SMALLEST MEDIAN LARGEST`, printed when
//! everything is measured: a console at work interrupts.

#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod asker;
mod watched;

use guest_rt::facts::Facts;
use guest_rt::interrupts::{self, Trigger};
use guest_rt::{Boot, machine, timer};

guest_rt::entry!(main);

fn main(boot: Boot) -> ! {
    machine::enable_mmu();
    interrupts::init();
    interrupts::enable(timer::INTID, Trigger::Level);
    machine::on_interrupt(interrupt);
    match Facts::find(boot).and_then(|facts| facts.mailbox()) {
        Some(mailbox) => asker::run(mailbox),
        None => watched::run(),
    }
}

fn interrupt() {
    while let Some(intid) = interrupts::acknowledge() {
        timer::disarm();
        interrupts::end(intid);
    }
}

/// Idles for a share of a second: one over `share`. Interrupts are let in from then on: Bochs
/// keeps the hypervisor's from it too while a guest runs that masks its own.
fn nap(share: u64) {
    machine::mask_interrupts();
    let end = timer::now() + timer::frequency() / share;
    while timer::now() < end {
        timer::arm(end);
        machine::wait_for_interrupt();
        machine::unmask_interrupts();
        machine::mask_interrupts();
    }
    machine::unmask_interrupts();
}
