// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bytes that come from the other side, taken for each thing that they can be: a message, a line
//! with a frame, or a serial line's stream of keys, frames and noise. The first byte chooses.

#![no_main]
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may stop")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test may pick a few of many")]

mod base64;
mod frames;
#[expect(dead_code, reason = "the tests that it is shared with use more of it")]
#[path = "../../../tests/mailbox/machine.rs"]
mod machine;
mod messages;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((what, bytes)) = data.split_first() else { return };
    match what % 5 {
        0 => messages::request(bytes),
        1 => messages::answer(bytes),
        2 => messages::event(bytes),
        3 => frames::line(bytes),
        _ => frames::stream(bytes),
    }
});
