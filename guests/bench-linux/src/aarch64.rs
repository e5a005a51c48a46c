// SPDX-License-Identifier: MIT OR Apache-2.0
//! The start on Arm, and its system calls.

use core::arch::{asm, global_asm};

global_asm!(".global _start", "_start: mrs x0, cntvct_el0", "mov x1, sp", "bl stamp");

pub(crate) const WRITE: u64 = 64;
pub(crate) const IOCTL: u64 = 29;
pub(crate) const EXIT: u64 = 93;
pub(crate) const REBOOT: u64 = 142;

pub(crate) fn call(number: u64, [first, second, third]: [u64; 3]) {
    // SAFETY: the calls are write, ioctl, reboot and exit; write reads the buffer it is given, which is alive.
    unsafe {
        asm!("svc #0", in("x8") number, inlateout("x0") first => _, in("x1") second, in("x2") third, options(nostack));
    }
}
