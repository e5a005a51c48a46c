// SPDX-License-Identifier: MIT OR Apache-2.0
//! The partition that is watched: from the first mark to the second it does nothing
//! but count down.

use crate::nap;
use core::hint::black_box;
use guest_rt::machine::call;
use guest_rt::{power, println, timer};

/// Calls that nobody answers: the plugin `xtask/counter` counts from one to the other.
const BEGIN: u64 = 0x8600_ffe0;
const END: u64 = 0x8600_ffe1;
/// Turns of the loop: with four instructions in each, ten million.
const TURNS: u32 = 2_500_000;
/// A wait, as a share of a second, until the hypervisor has finished what the start began.
const SETTLE: u64 = 100;

/// Runs the loop, says how long it took, and ends.
pub(crate) fn run() -> ! {
    nap(SETTLE);
    let call = call::way();
    let _ = call(BEGIN, 0);
    let begun = timer::now();
    for turn in 0..TURNS {
        black_box(turn);
    }
    let took = timer::now() - begun;
    let _ = call(END, 0);
    println!("bench: loop {took} {took} {took}");
    nap(SETTLE);
    power::off()
}
