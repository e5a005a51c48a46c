// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scenarios: systems that are booted and whose consoles are judged.

pub mod format;
pub mod play;
pub mod script;
