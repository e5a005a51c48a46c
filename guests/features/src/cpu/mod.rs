// SPDX-License-Identifier: MIT OR Apache-2.0
//! All unsafe code of this guest: registers, single instructions, vector
//! registers, caches.
//!
//! Nothing that Rust stands on depends on the registers here, and instructions
//! touch no memory but [`scratch`].
#![allow(unsafe_code, reason = "registers and instructions have no safe form")]

mod caches;
mod debug;
mod float;
mod generated;
pub(crate) mod registers;

pub(crate) use caches::{
    clean_by_way, disable_caches, instruction_follows_store, zero_line, zeroing_size,
};
pub(crate) use debug::{brk, execute, step, stepped_instructions, store};
pub(crate) use float::{VECTORS, Vectors, fill, vectors};
pub(crate) use generated::{Outcome, generated, mrs, msr, run_32};
pub(crate) use registers::Register;

use core::cell::UnsafeCell;

/// Memory that tests may change.
#[repr(C, align(4096))]
pub(crate) struct Scratch(UnsafeCell<[u64; WORDS]>);

/// Words of the scratch memory.
pub(crate) const WORDS: usize = 4096;

// SAFETY: only CPU 0 touches it, by the functions of this module, one at a time.
unsafe impl Sync for Scratch {}

static SCRATCH: Scratch = Scratch(UnsafeCell::new([0; WORDS]));

/// Address of the scratch memory: [`WORDS`] words, aligned to 4 KiB.
pub(crate) fn scratch() -> u64 {
    SCRATCH.0.get() as u64
}

/// Fills the scratch memory with numbers from `seed`.
pub(crate) fn write_scratch(seed: u64) {
    for word in 0..WORDS {
        // SAFETY: inside the scratch memory, which nothing else uses meanwhile.
        unsafe { SCRATCH.0.get().cast::<u64>().add(word).write_volatile(number(seed, word)) }
    }
}

/// Whether the scratch memory still holds the numbers from `seed`.
pub(crate) fn scratch_holds(seed: u64) -> bool {
    // SAFETY: inside the scratch memory, which nothing else uses meanwhile.
    let word = |word| unsafe { SCRATCH.0.get().cast::<u64>().add(word).read_volatile() };
    (0..WORDS).all(|index| word(index) == number(seed, index))
}

/// How many words at its start are zero, if those behind them still are the numbers from `seed`; else none.
pub(crate) fn zero_words(seed: u64) -> u64 {
    // SAFETY: inside the scratch memory, which nothing else uses meanwhile.
    let word = |word| unsafe { SCRATCH.0.get().cast::<u64>().add(word).read_volatile() };
    let zero = (0..WORDS).take_while(|index| word(*index) == 0).count();
    let kept = (zero..WORDS).all(|index| word(index) == number(seed, index));
    if kept { zero as u64 } else { 0 }
}

/// A number that differs from its neighbours in many bits.
pub(crate) fn number(seed: u64, index: usize) -> u64 {
    (seed ^ index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// An `HVC` with this function number in x0: what came back there.
pub(crate) fn hvc(function: u64) -> u64 {
    let result;
    // SAFETY: calls that change nothing; SMCCC lets x0 to x17 change.
    unsafe {
        core::arch::asm!("hvc #0", inout("x0") function => result, out("x1") _, out("x2") _,
            out("x3") _, clobber_abi("C"), options(nostack));
    }
    result
}

/// The same by `SMC`.
pub(crate) fn smc(function: u64) -> u64 {
    let result;
    // SAFETY: calls that change nothing; SMCCC lets x0 to x17 change.
    unsafe {
        core::arch::asm!("smc #0", inout("x0") function => result, out("x1") _, out("x2") _,
            out("x3") _, clobber_abi("C"), options(nostack));
    }
    result
}
