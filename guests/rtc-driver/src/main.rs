// SPDX-License-Identifier: MIT OR Apache-2.0
//! A driver partition: owns the real-time clock, takes an alarm each second,
//! publishes the time over every channel it has, prints a numbered heartbeat,
//! and waits by WFI.
//!
//! The interrupt handler sets the next alarm and notes when it ran; all else
//! happens in the main loop. Lateness is the time from setting an alarm to its
//! handler beyond one second: QEMU's PL031 counts a full second from there.
//! With `crash=N` on the command line it crashes after heartbeat N.

#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod pl031;

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use guest_rt::channel::{Channel, Channels, RTC_TIME};
use guest_rt::facts::Facts;
use guest_rt::machine::gic::{self, Trigger};
use guest_rt::{Boot, machine, number, power, println, timer};

guest_rt::entry!(main);

/// An alarm that the main loop has not seen.
static ALARM: AtomicBool = AtomicBool::new(false);
/// When the pending alarm was set, and how late the last one was, in counts.
static SET_AT: AtomicU64 = AtomicU64::new(0);
static LATENESS: AtomicU64 = AtomicU64::new(0);

fn main(boot: Boot) -> ! {
    machine::enable_mmu();
    let facts = Facts::find(boot);
    let channels = facts.map_or_else(Channels::new, |facts| facts.channels());
    let crash = number(facts.map_or("", |facts| facts.command_line()), "crash=");
    announce(&channels);
    gic::init();
    gic::enable(pl031::INTID, Trigger::Level);
    machine::on_interrupt(interrupt);
    pl031::start();
    alarm();
    let mut heartbeat = 0;
    loop {
        machine::mask_interrupts();
        if ALARM.swap(false, Ordering::Relaxed) {
            heartbeat += 1;
            beat(heartbeat, &channels);
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
    println!("rtc-driver: clock says {}", pl031::seconds());
    if channels.is_empty() {
        println!("rtc-driver: no channel, time is only printed");
    }
    for channel in channels {
        println!("rtc-driver: time goes to channel {}", channel.name());
    }
}

/// Sets the next alarm and remembers when.
fn alarm() {
    pl031::set_alarm();
    SET_AT.store(timer::now(), Ordering::Relaxed);
}

fn interrupt() {
    while let Some(intid) = gic::acknowledge() {
        if intid == pl031::INTID {
            let due = SET_AT.load(Ordering::Relaxed) + timer::frequency();
            LATENESS.store(timer::now().saturating_sub(due), Ordering::Relaxed);
            alarm();
            ALARM.store(true, Ordering::Relaxed);
        }
        gic::end(intid);
    }
}

fn beat(heartbeat: u64, channels: &[Channel]) {
    let seconds = pl031::seconds();
    let lateness = timer::microseconds(LATENESS.load(Ordering::Relaxed));
    for channel in channels {
        channel.publish(RTC_TIME, &[heartbeat, seconds.into(), lateness, 0, 0, 0]);
    }
    println!("heartbeat {heartbeat} rtc {seconds} lateness {lateness} us");
}
