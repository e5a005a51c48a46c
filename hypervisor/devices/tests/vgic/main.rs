// SPDX-License-Identifier: MIT OR Apache-2.0
//! The virtual GIC from outside: examples, agreement with a slow and obvious
//! model over random operations, and hostile guests.
#![expect(clippy::expect_used, clippy::panic, reason = "tests end that way")]

mod agree;
mod examples;
mod hostile;
mod machine;
mod model;
