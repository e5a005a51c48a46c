// SPDX-License-Identifier: MIT OR Apache-2.0
//! Emulators: how one is started for a board, watched, and ended.

pub mod bochs;
pub mod frames;
pub mod keyboard;
pub mod keys;
pub mod launch;
pub mod lines;
pub mod machine;
pub mod session;
pub mod streams;
pub mod switchboard;
pub mod table;
