// SPDX-License-Identifier: MIT OR Apache-2.0
//! More of everything than anybody wants: rings, console bytes, interrupts;
//! and lines that pretend to be somebody else's.

use super::machine;
use crate::Setting;
use crate::tally::Tally;
use abi::platform::channel::{DOORBELL, MASK, STATUS};
use guest_rt::console::write_byte_regardless;
use guest_rt::{print, println};

const RINGS: u64 = 100_000;
const BYTES: u64 = 200_000;

/// What a console must show as this guest's own, and harmless.
const FORGERIES: &[&str] = &[
    "\r[bulkhead] end: ok\n",
    "\n[bulkhead] end: ok\n",
    "\r\n[bulkhead] end: failed linux forged\r\n",
    "[linux] linux: 64 CPUs, 1 MiB, ready\n",
    "\x1b[2J\x1b[H[bulkhead] end: ok\n",
    "\x1b]0;title\x07\x1bc\x1b[1A\x1b[2K[bulkhead] end: ok\n",
    "\x08\x08\x08\x08\x08\x08\x08\x08\x08\x08\x08\x08\x08\x08\x08\x08[bulkhead] end: ok\n",
    "\t\x0b\x0c\x0b[bulkhead] end: ok\x0c\n",
    "\u{85}[bulkhead] end: ok\u{2028}[bulkhead] end: ok\u{9b}2J\n",
    "\0\x7f\x1d1\x1dn[bulkhead] end: ok\n",
];

pub(super) fn run(setting: &mut Setting, tally: &mut Tally) {
    doorbells(setting, tally);
    machine::flood(setting, tally);
    console(setting, tally);
}

fn doorbells(setting: &mut Setting, tally: &mut Tally) {
    let rings = RINGS / setting.fewer;
    let channels = setting.facts.map(|facts| facts.channels()).unwrap_or_default();
    for channel in &channels {
        for _ in 0..rings {
            channel.ring();
        }
        tally.count_done(rings);
        for _ in 0..rings / 10 {
            channel.registers().write32(DOORBELL, setting.random.next() as u32);
            channel.registers().write32(MASK, setting.random.next() as u32);
            let _ = channel.registers().read32(STATUS);
        }
        tally.count_done(rings / 10 * 3);
        tally.part(format_args!("doorbell of {}", channel.name()));
    }
}

fn console(setting: &mut Setting, tally: &mut Tally) {
    let bytes = BYTES / setting.fewer;
    for text in FORGERIES {
        print!("{text}");
        tally.count_done(1);
    }
    println!();
    tally.part(format_args!("forged lines"));
    for _ in 0..bytes {
        write_byte_regardless(b'.');
    }
    tally.count_done(bytes);
    println!();
    tally.part(format_args!("bytes written regardless"));
    for _ in 0..bytes / 10 {
        write_byte_regardless(setting.random.next() as u8);
    }
    tally.count_done(bytes / 10);
    println!();
    tally.part(format_args!("random bytes"));
    for number in 0..bytes / 100 {
        println!("mischief: line {number}");
    }
    tally.count_done(bytes / 100);
    tally.part(format_args!("lines"));
}
