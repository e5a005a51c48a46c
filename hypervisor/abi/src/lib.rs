// SPDX-License-Identifier: MIT OR Apache-2.0
//! All that crosses a binary border: the bundle in flash, the registers of a
//! channel, the numbers of hypercalls, and the facts of the guest platform.
//!
//! `xtask` writes these layouts and the kernel reads them, so both sides share
//! one definition. Nothing here is unsafe and nothing allocates.
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::cast_possible_truncation)]

pub mod platform;
pub mod records;
