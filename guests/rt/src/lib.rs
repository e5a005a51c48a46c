// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a bare guest needs and no more: entry at EL1, exception vectors, the
//! GICv3, the virtual timer, the PL011, PSCI, the device tree and channels.
//!
//! A guest is a `no_std` binary with `guest_rt::entry!(main)` and a build
//! script that asks for `guest.ld`. It sees QEMU's `virt` platform and so runs
//! on that machine unchanged (`-kernel guest.elf`), without channels.
//! All unsafe code is in [`machine`]. The runtime allocates nothing.

#![no_std]
#![deny(unsafe_code)]

pub mod channel;
pub mod console;
pub mod gic;
pub mod machine;
pub mod power;
pub mod timer;
pub mod tree;

use core::panic::PanicInfo;

/// What the platform hands to a guest.
#[derive(Clone, Copy, Debug)]
pub struct Boot {
    /// Value of x0 at entry: the device tree's address under Bulkhead, zero for an ELF on bare QEMU.
    pub argument: u64,
}

/// Names the guest's main function, a `fn(guest_rt::Boot) -> !`.
///
/// It runs on CPU 0 at EL1 with interrupts masked and the MMU off.
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
