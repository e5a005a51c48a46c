// SPDX-License-Identifier: MIT OR Apache-2.0
//! All that crosses a binary border: the bundle in flash, the registers of a
//! channel, the numbers of hypercalls, and the facts of the guest platform.
//!
//! `xtask` writes these layouts and the kernel reads them, so both sides share
//! one definition. Nothing here is unsafe, and nothing allocates but [`draft`],
//! which only `xtask` and the tests have (feature `draft`).
#![no_std]
#![forbid(unsafe_code)]
#![warn(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

#[cfg(any(test, feature = "draft"))]
extern crate alloc;

pub mod bundle;
pub mod crc32c;
#[cfg(any(test, feature = "draft"))]
pub mod draft;
pub mod layout;
pub mod machine;
pub mod mailbox;
pub mod placement;
pub mod platform;
pub mod range;
pub mod records;
pub mod refusal;
pub mod rules;
