// SPDX-License-Identifier: MIT OR Apache-2.0
//! The start on a PC, and its system calls.

use core::arch::{asm, global_asm};

global_asm!(
    ".global _start",
    "_start: rdtsc",
    "mov edi, eax",
    "shl rdx, 32",
    "or rdi, rdx",
    "mov rsi, rsp",
    "call stamp",
);

pub(crate) const WRITE: u64 = 1;
pub(crate) const IOCTL: u64 = 16;
pub(crate) const EXIT: u64 = 60;
pub(crate) const REBOOT: u64 = 169;

pub(crate) fn call(number: u64, [first, second, third]: [u64; 3]) {
    // SAFETY: the calls are write, ioctl, reboot and exit; write reads the buffer it is given, which is alive.
    unsafe {
        asm!("syscall", inlateout("rax") number => _, in("rdi") first, in("rsi") second, in("rdx") third, out("rcx") _, out("r11") _, options(nostack));
    }
}
