// SPDX-License-Identifier: MIT OR Apache-2.0
//! A driver partition of a PC: owns the second serial line, writes a numbered
//! line to it each second by its transmit interrupt, publishes what was sent
//! over every channel it has, prints a numbered heartbeat, and waits by HLT.
//!
//! A heartbeat is printed when the line's last byte has interrupted, so that
//! without interrupts there is none. Lateness is that of the timer's handler.
//! With `crash=N` on the command line it crashes after heartbeat N.

#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod line;

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use guest_rt::channel::{Channel, Channels, SERIAL_COUNTS};
use guest_rt::facts::Facts;
use guest_rt::interrupts::{self, Trigger};
use guest_rt::{Boot, machine, number, power, println, timer};

guest_rt::entry!(main);

/// When the next line is due, and the worst lateness of the last one, in counts.
static DUE: AtomicU64 = AtomicU64::new(0);
static LATENESS: AtomicU64 = AtomicU64::new(0);
/// A second has begun; a line is out. The main loop has not seen it.
static SECOND: AtomicBool = AtomicBool::new(false);
static SENT: AtomicBool = AtomicBool::new(false);
/// Interrupts of the line.
static INTERRUPTS: AtomicU64 = AtomicU64::new(0);

fn main(boot: Boot) -> ! {
    let facts = Facts::find(boot);
    let channels = facts.map_or_else(Channels::new, |facts| facts.channels());
    let crash = number(facts.map_or("", |facts| facts.command_line()), "crash=");
    if !line::start() {
        println!("serial-driver: nothing answers at COM2");
        power::off();
    }
    announce(&channels);
    interrupts::init();
    interrupts::enable(line::INTID, Trigger::Edge);
    machine::on_interrupt(interrupt);
    next_second(timer::now());
    let (mut heartbeat, mut bytes) = (0, 0);
    loop {
        machine::mask_interrupts();
        if SECOND.swap(false, Relaxed) {
            bytes += line::send(heartbeat + 1);
        } else if SENT.swap(false, Relaxed) {
            heartbeat += 1;
            beat(heartbeat, bytes, &channels);
            if crash == Some(heartbeat) {
                power::crash();
            }
        } else {
            machine::wait_for_interrupt();
        }
        machine::unmask_interrupts();
    }
}

fn announce(channels: &[Channel]) {
    println!("serial-driver: owns COM2");
    if channels.is_empty() {
        println!("serial-driver: no channel, counts are only printed");
    }
    for channel in channels {
        println!("serial-driver: counts go to channel {}", channel.name());
    }
}

/// Arms the timer for a second after `last`.
fn next_second(last: u64) {
    let due = last + timer::frequency();
    DUE.store(due, Relaxed);
    timer::arm(due);
}

fn interrupt() {
    while let Some(intid) = interrupts::acknowledge() {
        if intid == timer::INTID {
            let due = DUE.load(Relaxed);
            LATENESS.store(timer::now().saturating_sub(due), Relaxed);
            next_second(due);
            SECOND.store(true, Relaxed);
        } else if intid == line::INTID {
            INTERRUPTS.fetch_add(1, Relaxed);
            if line::interrupted() {
                SENT.store(true, Relaxed);
            }
        }
        interrupts::end(intid);
    }
}

fn beat(heartbeat: u64, bytes: u64, channels: &[Channel]) {
    let interrupts = INTERRUPTS.load(Relaxed);
    let lateness = timer::microseconds(LATENESS.load(Relaxed));
    for channel in channels {
        channel.publish(SERIAL_COUNTS, &[heartbeat, bytes, interrupts, lateness, 0, 0]);
    }
    println!("heartbeat {heartbeat} sent {bytes} interrupts {interrupts} lateness {lateness} us");
}
