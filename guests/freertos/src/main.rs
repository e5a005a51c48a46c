// SPDX-License-Identifier: MIT OR Apache-2.0
//! The FreeRTOS guest: the kernel and the tasks are C (`c/`), the platform
//! below them is Rust ([`board`]).

#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod board;

use guest_rt::channel::Channels;
use guest_rt::facts::Facts;
use guest_rt::machine::gic;
use guest_rt::{Boot, machine, println};

guest_rt::entry!(main);

fn main(boot: Boot) -> ! {
    machine::enable_mmu();
    let facts = Facts::find(boot);
    let channels = facts.map_or_else(Channels::new, |facts| facts.channels());
    println!("freertos: 1 kHz tick, {} channels", channels.len());
    for channel in &channels {
        println!("freertos: channel {}", channel.name());
    }
    gic::init();
    board::run(channels, facts.and_then(|facts| facts.mailbox()))
}
