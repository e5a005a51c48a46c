// SPDX-License-Identifier: MIT OR Apache-2.0
//! The CPU and the machine around it. One folder for each architecture, with
//! the same names in each; `contract` writes them down.
#![expect(unsafe_code, reason = "this is where the machine is touched")]

#[cfg(all(target_os = "none", target_arch = "aarch64"))]
mod aarch64;
mod contract;
#[cfg(not(target_os = "none"))]
mod fake;
#[cfg(all(target_os = "none", target_arch = "x86_64"))]
mod x86_64;

#[cfg(all(target_os = "none", target_arch = "x86_64"))]
pub use self::x86_64::*;
#[cfg(all(target_os = "none", target_arch = "aarch64"))]
pub use aarch64::*;
#[cfg(not(target_os = "none"))]
pub use fake::*;
