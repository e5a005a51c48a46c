// SPDX-License-Identifier: MIT OR Apache-2.0
//! An RTOS in Rust, the same on Arm and x86: embassy's executor, a 1 kHz tick
//! of our own below its clock, tasks that meet deadlines, and a numbered
//! heartbeat with the worst lateness of each second.
//!
//! ```text
//! tick (interrupt) -> sampler (10 ms) -> queue -> reporter (1 s): heartbeat, telemetry
//!                     runner (5 ms): a deadline each time
//!                     keeper (1 s): watchdog and driver, by the mailbox, if there is one
//! ```
//! Tasks do not pre-empt each other, so only the reporter waits for the
//! console, and how late the others are then is part of what it reports.

#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod bells;
mod clock;
mod section;
mod tasks;

use guest_rt::channel::Channels;
use guest_rt::facts::Facts;
use guest_rt::interrupts::{self, Trigger};
use guest_rt::{Boot, machine, println, timer};

guest_rt::entry!(main);

fn main(boot: Boot) -> ! {
    machine::enable_mmu();
    let facts = Facts::find(boot);
    let channels = facts.map_or_else(Channels::new, |facts| facts.channels());
    tasks::keep(facts.and_then(|facts| facts.mailbox()));
    println!("rtos: 1 kHz tick, {} channels", channels.len());
    for channel in &channels {
        println!("rtos: channel {}", channel.name());
    }
    interrupts::init();
    for channel in &channels {
        interrupts::enable(channel.intid(), Trigger::Edge);
    }
    interrupts::enable(timer::INTID, Trigger::Level);
    bells::keep(channels);
    machine::on_interrupt(interrupt);
    clock::start();
    section::run(tasks::spawn)
}

fn interrupt() {
    while let Some(intid) = interrupts::acknowledge() {
        if intid == timer::INTID {
            clock::tick();
        } else {
            bells::heard(intid);
        }
        interrupts::end(intid);
    }
}
