// SPDX-License-Identifier: MIT OR Apache-2.0
//! The first program of the measured Linux, as the interpreter of `/init`. Its
//! first instruction reads the virtual counter; it prints `stamp: COUNT` and
//! powers off. Without a library, so that nothing runs before.
//!
//! Manual: Linux, "include/uapi/asm-generic/unistd.h" and "reboot(2)".
#![no_std]
#![no_main]

use core::arch::{asm, global_asm};

global_asm!(".global _start", "_start: mrs x0, cntvct_el0", "bl stamp",);

const WRITE: u64 = 64;
const EXIT: u64 = 93;
const REBOOT: u64 = 142;
/// Magic numbers of reboot(2), and its command to power off.
const POWER_OFF: [u64; 3] = [0xfee1_dead, 0x2812_1969, 0x4321_fedc];
const STANDARD_OUTPUT: u64 = 1;
/// What is printed, with room for twenty digits.
const TEXT: [u8; 28] = *b"stamp: 00000000000000000000\n";
/// Where the digits end.
const END: usize = 27;

#[unsafe(no_mangle)]
extern "C" fn stamp(mut count: u64) -> ! {
    let mut text = TEXT;
    for digit in text.iter_mut().take(END).rev().take(20) {
        *digit = b'0' + (count % 10) as u8;
        count /= 10;
    }
    call(WRITE, [STANDARD_OUTPUT, text.as_ptr() as u64, text.len() as u64]);
    call(REBOOT, POWER_OFF);
    loop {
        call(EXIT, [0; 3]);
    }
}

fn call(number: u64, [first, second, third]: [u64; 3]) {
    // SAFETY: the calls are write, reboot and exit; write reads the buffer it is given, which is alive.
    unsafe {
        asm!("svc #0", in("x8") number, inlateout("x0") first => _, in("x1") second, in("x2") third, options(nostack));
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        call(EXIT, [1, 0, 0]);
    }
}
