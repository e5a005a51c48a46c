// SPDX-License-Identifier: MIT OR Apache-2.0
//! A mailbox's page: each side against another that changes the words while they are read, and both
//! sides against a memory that shows stores as late, and between barriers in as strange an order, as
//! it may. The first byte chooses; what follows is what the other side, or the memory, does.

#![no_main]
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may stop")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test may pick a few of many")]

mod client;
mod late;
#[expect(dead_code, reason = "the tests that it is shared with use more of it")]
#[path = "../../../tests/mailbox/machine.rs"]
mod machine;
mod page;
mod server;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((what, bytes)) = data.split_first() else { return };
    match what % 4 {
        0 => server::run(bytes),
        1 => client::run(bytes),
        _ => late::run(bytes),
    }
});
