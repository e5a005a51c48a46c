// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests each CPU feature that a guest is shown, and that each other one is
//! hidden: one line for each item, then a count, then the partition is off.
//!
//! ```text
//! features: breakpoint 0 ok
//! features: ZCR_EL1 ok                                   (it is undefined)
//! features: DISR_EL1 hidden only by ID register
//! features: 130 ok, 0 failed, 9 hidden only by ID register
//! ```
//! It wants two vCPUs: what the second one leaves behind when it switches
//! itself off must be gone when it is switched on again.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod caches;
mod cpu;
mod debug;
mod float;
mod fresh;
mod hidden;
mod identity;
mod interrupts;
mod monitor;
mod report;
mod shown;
mod timers;

use guest_rt::machine::{enable_mmu, gic, unmask_interrupts};
use guest_rt::{Boot, power, println};
use report::Report;

guest_rt::entry!(main);

fn main(_boot: Boot) -> ! {
    let mut report = Report::new();
    float::at_start(&mut report);
    fresh::run(&mut report);
    gic::init();
    interrupts::init();
    unmask_interrupts();
    caches::run(&mut report, "caches off");
    shown::thirty_two_bits(&mut report);
    enable_mmu();
    caches::run(&mut report, "caches on");
    identity::run(&mut report);
    shown::run(&mut report);
    hidden::run(&mut report);
    debug::run(&mut report);
    monitor::run(&mut report);
    timers::run(&mut report);
    float::over_exits(&mut report);
    caches::by_address(&mut report);
    caches::off_again(&mut report);
    println!("{report}");
    power::off()
}
