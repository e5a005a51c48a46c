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

use crate::partition::Partition;
use crate::run::{Next, exits};

/// Runs a vCPU until its CPU has something else to do.
///
/// In a section of its own: where a function has one, the compiler does not move what occurs
/// elsewhere too out of it, which would cost a call on the path of every exit.
#[cfg_attr(target_os = "none", unsafe(link_section = ".text.exits"))]
#[inline(never)]
pub fn run(vcpu: &mut Vcpu, partition: &Partition) -> Next {
    exits(vcpu, partition)
}
