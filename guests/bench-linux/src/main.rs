// SPDX-License-Identifier: MIT OR Apache-2.0
//! The first program of the measured Linux, as the interpreter of `/init`. Its
//! first instruction reads the counter; it prints `stamp: COUNT` and powers off.
//! On a PC the count begins at the kernel's entry, where `entry.S` read it last.
//! Without a library, so that nothing runs before.
//!
//! Manual: Linux, "include/uapi/asm-generic/unistd.h" and "reboot(2)".
#![no_std]
#![no_main]

use core::ffi::CStr;

#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
mod machine;

use machine::{EXIT, IOCTL, REBOOT, WRITE, call};

/// Magic numbers of reboot(2), and its command to power off.
const POWER_OFF: [u64; 3] = [0xfee1_dead, 0x2812_1969, 0x4321_fedc];
const STANDARD_OUTPUT: u64 = 1;
/// ioctl(2)'s TCSBRK with 1: waits until a terminal has sent everything.
const DRAIN: [u64; 2] = [0x5409, 1];
/// The environment variable with what the counter read at the entry, in hexadecimal.
const ENTRY: &[u8] = b"entry=";
/// What is printed, with room for twenty digits.
const TEXT: [u8; 28] = *b"stamp: 00000000000000000000\n";
/// Where the digits end.
const END: usize = 27;

/// Goes on from `_start`, with what the counter read and the stack as Linux made it: the number
/// of arguments, their pointers, zero, the environment's pointers, zero.
#[unsafe(no_mangle)]
extern "C" fn stamp(count: u64, stack: *const *const core::ffi::c_char) -> ! {
    // SAFETY: that many arguments and a zero follow the number.
    let mut variable = unsafe { stack.add(stack.read() as usize + 2) };
    let mut begun = 0;
    loop {
        // SAFETY: the environment's pointers end with a zero.
        let text = unsafe { variable.read() };
        if text.is_null() {
            break;
        }
        // SAFETY: each is of a string that ends with a zero.
        if let Some(digits) = unsafe { CStr::from_ptr(text) }.to_bytes().strip_prefix(ENTRY) {
            begun = digits.iter().fold(0, |number, digit| number << 4 | value(*digit));
        }
        // SAFETY: the last one is not reached yet.
        variable = unsafe { variable.add(1) };
    }
    print(count.wrapping_sub(begun));
    call(REBOOT, POWER_OFF);
    loop {
        call(EXIT, [0; 3]);
    }
}

/// A hexadecimal digit's value.
fn value(digit: u8) -> u64 {
    (digit as char).to_digit(16).unwrap_or(0).into()
}

fn print(mut count: u64) {
    let mut text = TEXT;
    for digit in text.iter_mut().take(END).rev().take(20) {
        *digit = b'0' + (count % 10) as u8;
        count /= 10;
    }
    call(WRITE, [STANDARD_OUTPUT, text.as_ptr() as u64, text.len() as u64]);
    call(IOCTL, [STANDARD_OUTPUT, DRAIN[0], DRAIN[1]]);
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        call(EXIT, [1, 0, 0]);
    }
}
