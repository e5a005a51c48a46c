// SPDX-License-Identifier: MIT OR Apache-2.0
//! All unsafe code of the runtime: entry and exception vectors in assembly,
//! device registers, translation tables, and what a loader left in memory.
//!
//! One folder per architecture, whose modules have the same names. What only
//! one of them has (`gic`, `ports` …) a guest of that architecture finds here.
#![allow(unsafe_code, reason = "entry, vectors, registers and tables have no safe form")]

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub use aarch64::*;
#[cfg(target_arch = "x86_64")]
pub use x86_64::*;
