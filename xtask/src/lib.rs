// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line: builds the hypervisor, its guests and the flash image,
//! boots them in an emulator and tests them.
//!
//! One verb is one module with a `run` function and its `Arguments`; what the
//! verbs share lies in the other modules. What a user wrote, at the command
//! line or in a file, is answered with a message and exit status 2, never with
//! a panic.
#![forbid(unsafe_code)]

pub mod audit;
pub mod bench;
pub mod cargo;
pub mod cli;
pub mod compatibility;
pub mod ctl;
pub mod emulator;
pub mod explain;
pub mod failure;
pub mod grub;
pub mod guests;
pub mod image;
pub mod manifest;
pub mod packages;
pub mod paper;
pub mod process;
pub mod product;
pub mod run;
pub mod scenario;
pub mod soak;
pub mod suite;
pub mod system;
pub mod terminal;
pub mod workspace;

pub use cli::main;
