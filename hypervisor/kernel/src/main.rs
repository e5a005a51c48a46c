// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bootable program. It starts in `arch`; this file names what Rust wants
//! of a program without an operating system.
#![no_std]
#![no_main]

use core::panic::PanicInfo;
use kernel::memory::Heap;

#[global_allocator]
static ALLOCATOR: Heap = Heap;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    kernel::boot::panicked(format_args!("{}", info.message()))
}
