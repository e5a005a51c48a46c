// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a bare guest needs and no more: entry, exception vectors, interrupts,
//! a timer, the console, power, the platform's description and channels.
//!
//! A guest is a `no_std` binary with `guest_rt::entry!(main)` and a build
//! script that asks for `guest.ld`. It sees QEMU's `virt` platform or a PC and
//! so runs there unchanged (`-kernel guest.elf`), without channels.
//! All unsafe code is in [`machine`]. The runtime allocates nothing.

#![no_std]
#![deny(unsafe_code)]

pub mod channel;
pub mod console;
pub mod keeper;
pub mod machine;
pub mod mailbox;

pub use machine::{facts, interrupts, power, timer};

use core::panic::PanicInfo;

/// What the platform hands to a guest.
#[derive(Clone, Copy, Debug)]
pub struct Boot {
    /// Arm: x0 at entry, the device tree's address under Bulkhead, zero for an ELF on bare QEMU.
    /// x86: EBX at entry, the address of PVH's start information.
    pub argument: u64,
}

/// The number behind a word on a command line, such as `crash=3`.
#[must_use]
pub fn number(line: &str, word: &str) -> Option<u64> {
    line.split_ascii_whitespace().find_map(|text| text.strip_prefix(word)?.parse().ok())
}

/// Names the guest's main function, a `fn(guest_rt::Boot) -> !`.
///
/// It runs on CPU 0 with interrupts masked: on Arm at EL1 with the MMU off, on
/// x86 in 64-bit mode with the first 4 GiB mapped where they are.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        #[allow(unsafe_code, reason = "the runtime finds the main function by this symbol")]
        #[unsafe(no_mangle)]
        extern "Rust" fn guest_main(boot: $crate::Boot) -> ! {
            let main: fn($crate::Boot) -> ! = $main;
            main(boot)
        }
    };
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    println!("{info}");
    power::off()
}
