// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stands for a user's crate, of which `tests/system.rs` is the integration test.
