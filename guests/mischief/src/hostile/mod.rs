// SPDX-License-Identifier: MIT OR Apache-2.0
//! All unsafe code of this guest: instructions that may fault, written or
//! generated, privileged and not, each with its outcome.
//!
//! What they do is wrong on purpose; what keeps Rust's own state sound is that
//! every address comes from a group, and groups keep out of this guest's memory
//! but for [`SCRATCH`].
#![allow(unsafe_code, reason = "forbidden things have no safe form")]

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64::*;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::*;

use core::cell::Cell;
use guest_rt::machine::{Caught, probe};

/// How a probe came back.
#[derive(Clone, Copy)]
pub(crate) enum Outcome {
    /// It returned with this value.
    Done(u64),
    /// It ended in this exception.
    Caught(Caught),
}

impl Outcome {
    /// What it returned.
    pub(crate) fn value(self) -> Option<u64> {
        match self {
            Outcome::Done(value) => Some(value),
            Outcome::Caught(_) => None,
        }
    }
}

/// Memory of this guest that probes may change: 64 KiB, aligned to 4 KiB.
#[repr(C, align(4096))]
struct Scratch([Cell<u8>; 0x1_0000]);

// SAFETY: only probes touch it, through its address, and one CPU runs probes.
unsafe impl Sync for Scratch {}

static SCRATCH: Scratch = Scratch([const { Cell::new(0) }; 0x1_0000]);

/// Address of the memory that probes may change.
pub(crate) fn scratch() -> u64 {
    SCRATCH.0.as_ptr() as u64
}

/// Code that takes four values and leaves its result, as C does.
pub(crate) type Code = unsafe extern "C" fn(u64, u64, u64, u64) -> u64;

/// Runs `code` with the guest kernel's privilege.
pub(crate) fn attempt(code: Code, [a, b, c, d]: [u64; 4]) -> Outcome {
    let value = Cell::new(0);
    // SAFETY: the code is a few instructions of a group, which holds no lock; a fault leaves `value` as it was.
    match unsafe { probe(|| value.set(code(a, b, c, d))) } {
        Ok(()) => Outcome::Done(value.get()),
        Err(caught) => Outcome::Caught(caught),
    }
}
