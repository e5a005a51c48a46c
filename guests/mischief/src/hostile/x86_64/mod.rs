// SPDX-License-Identifier: MIT OR Apache-2.0
//! x86's instructions, all at CPL 0, and the windows through which they reach
//! addresses that the runtime's map has not.

mod generated;
mod names;
pub(crate) mod storms;
mod table;
mod window;

pub(crate) use generated::{generated, race, straddling};
pub(crate) use names::{exception, name};
pub(crate) use table::Instruction;
pub(crate) use window::{Level, entry, fill, forget, give, lie, look, take_away, window};

use super::{Code, Outcome, attempt, scratch};
use core::arch::asm;
use guest_rt::machine::{Frame, Vector, mask_interrupts, on_fault};
use guest_rt::{power, println};

/// Waits for an interrupt that never comes: HLT with interrupts masked.
pub(crate) fn idle_for_ever() -> ! {
    loop {
        mask_interrupts();
        let _ = Instruction::HALT.run([0; 4]);
    }
}

/// Lets pass what may come at any time between two probes: an NMI that was asked for, a trap of
/// debug registers that were set.
pub(crate) fn prepare() {
    on_fault(|vector: Vector, frame: &mut Frame| {
        if !matches!(vector.number(), 1 | 2 | 18) {
            println!("mischief: {} at {:#x} between two probes", vector.name(), frame.rip);
            power::off()
        }
    });
}

/// What LIDT (0) or LGDT (1) would have to load to change nothing.
pub(crate) fn store_table(number: usize) -> [u8; 10] {
    let mut table = [0u8; 10];
    let at = table.as_mut_ptr();
    // SAFETY: each writes the ten bytes of `table`.
    unsafe {
        match number {
            0 => asm!("sidt [{}]", in(reg) at, options(nostack, preserves_flags)),
            _ => asm!("sgdt [{}]", in(reg) at, options(nostack, preserves_flags)),
        }
    }
    table
}

/// Puts bytes into the scratch memory.
pub(crate) fn write_bytes(at: u64, bytes: &[u8]) {
    let end = at + bytes.len() as u64;
    assert!(at >= scratch() && end <= scratch() + 0x1_0000, "outside the scratch memory");
    // SAFETY: inside the scratch memory, which nothing else uses.
    unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), at as *mut u8, bytes.len()) };
}

/// Jumps to `address`; comes back only through a fault or a return instruction there.
pub(crate) fn execute(address: u64) -> Outcome {
    // SAFETY: a `fn` pointer is any non-zero address here; groups pass addresses outside this guest's memory.
    let code = unsafe { core::mem::transmute::<u64, Code>(address.max(4)) };
    attempt(code, [0; 4])
}
