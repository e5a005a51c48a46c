// SPDX-License-Identifier: MIT OR Apache-2.0
//! Emulators: which a board has, and how a person attends one. How it is started and
//! ended is in the library of tests ([`bulkhead_test::emulator`]).

pub mod keyboard;
pub mod session;
pub mod table;
