// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line: builds the hypervisor, its guests and the flash image,
//! boots them in an emulator and tests them.
//!
//! One verb is one module with a `run` function; what the verbs share lies in
//! the modules below them. What a user wrote, at the command line or in a file,
//! is answered with a message and exit status 2, never with a panic.
#![forbid(unsafe_code)]

pub mod cli;
pub mod cargo;
pub mod emulator;
pub mod failure;
pub mod guests;
pub mod packages;
pub mod process;
pub mod scenario;
pub mod terminal;
pub mod workspace;

pub use cli::main;
