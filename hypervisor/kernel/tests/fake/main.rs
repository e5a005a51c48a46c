// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel from boot to power off over `arch/fake`: every machine here is
//! booted from a bundle, as a real one is, and its guests do what scripts say.
#![expect(clippy::expect_used, clippy::panic, reason = "tests end that way")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks at the events it is about")]

mod asking;
mod boot;
mod channels;
mod console;
mod events;
mod exits;
mod heap;
mod hostile;
mod life;
mod line;
mod mailbox;
mod mailbox_hostile;
mod mailbox_races;
mod maintenance;
mod panics;
mod policy;
mod power;
mod races;
mod records;
mod restart;
mod rig;
mod steering;
mod terminal;
