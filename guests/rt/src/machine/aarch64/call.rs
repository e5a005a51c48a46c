// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hypercalls. Manual: SMC Calling Convention (DEN 0028).

/// How to call: [`hvc`]. The same name as a PC's, where it has to be found out.
#[must_use]
pub fn way() -> fn(u64, u64) -> u64 {
    hvc
}

/// Calls function `function` by HVC; -1 means that nobody knows it.
#[must_use]
pub fn hvc(function: u64, argument: u64) -> u64 {
    let mut arguments = [0; 17];
    arguments[0] = argument;
    smccc::hvc64(function as u32, arguments)[0]
}
