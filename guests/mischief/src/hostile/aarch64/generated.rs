// SPDX-License-Identifier: MIT OR Apache-2.0
//! Instructions made at run time, for sweeps over an encoding's fields.

use super::{Code, Outcome, attempt};
use core::arch::asm;
use core::cell::UnsafeCell;

/// RET.
const RET: u32 = 0xd65f_03c0;

#[repr(C, align(64))]
struct Buffer(UnsafeCell<[u32; 2]>);

// SAFETY: one CPU generates and runs code, one instruction at a time.
unsafe impl Sync for Buffer {}

static BUFFER: Buffer = Buffer(UnsafeCell::new([0, RET]));

/// Runs one instruction at EL1; it may use x0 to x17.
pub(crate) fn generated(instruction: u32, arguments: [u64; 4]) -> Outcome {
    let at = BUFFER.0.get();
    // SAFETY: only this function touches the buffer. The maintenance is the sequence of "Ordering and
    // completion of data and instruction cache instructions" in the Arm ARM.
    unsafe {
        at.cast::<u32>().write_volatile(instruction);
        asm!("dc cvau, {0}", "dsb ish", "ic ivau, {0}", "dsb ish", "isb", in(reg) at, options(nostack));
    }
    // SAFETY: the buffer holds one instruction and RET, which is a function of this type.
    let code = unsafe { core::mem::transmute::<*mut [u32; 2], Code>(at) };
    attempt(code, arguments)
}
