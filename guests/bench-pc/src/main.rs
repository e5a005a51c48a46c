// SPDX-License-Identifier: MIT OR Apache-2.0
//! Counts what an operation costs on a PC, in instructions, and prints one
//! line a row: `bench: NAME SMALLEST MEDIAN LARGEST` of sixteen, or
//! `bench: NAME none` where the operation is undefined.
//!
//! It runs alone (the reference) and under any hypervisor that starts PVH.
//! Meant for Bochs with one instruction a tick and for QEMU's `-icount
//! shift=0`, where one tick of the time stamp counter is one instruction; the
//! rows `self-*` say whether that holds. All figures but those are net of the
//! empty bracket and of what readies an operation's registers inside it.
//!
//! Manual: Intel SDM, "Time-Stamp Counter", "Advanced Programmable Interrupt Controller".

#![no_std]
#![no_main]
#![deny(unsafe_code)]

#[allow(unsafe_code, reason = "brackets and handlers in assembly are fenced here")]
mod counted;
mod rows;

use guest_rt::{Boot, power};

guest_rt::entry!(main);

fn main(_: Boot) -> ! {
    rows::measure();
    power::off()
}
