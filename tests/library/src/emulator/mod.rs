// SPDX-License-Identifier: MIT OR Apache-2.0
//! Emulators: how one is started for a board, and what its console says. Tests need
//! none of this, [`crate::System`] is above it; who attends a machine does.

pub mod bochs;
pub mod command;
pub mod frames;
pub mod keys;
pub mod launch;
pub mod lines;
pub mod machine;
pub mod streams;
pub mod switchboard;
pub mod table;
pub mod way;
