// SPDX-License-Identifier: MIT OR Apache-2.0
//! The mailbox from both sides: rings, requests and answers, growth, hostile askers.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test may pick a few of many")]

mod document;
mod frame;
mod grow;
mod hostile;
mod interleave;
mod life;
mod machine;
mod memory;
#[cfg(not(miri))]
mod races;
mod ring;
mod serve;
