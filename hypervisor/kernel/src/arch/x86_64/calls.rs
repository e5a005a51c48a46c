// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hypercalls: EAX names the function, RBX its argument, RAX is the result.
//! None is defined yet; every one is answered.

use crate::exit::{Call, PowerAnswer};

const NOT_SUPPORTED: i64 = -1;

/// The answer to a call that changes nothing.
#[inline(always)]
#[must_use]
pub fn answer(_call: Call) -> u64 {
    NOT_SUPPORTED.cast_unsigned()
}

/// What a power request came to: no call makes one on this architecture.
#[must_use]
pub fn power_result(_answer: PowerAnswer) -> u64 {
    NOT_SUPPORTED.cast_unsigned()
}

/// The number of the vCPU with this local APIC id.
#[must_use]
pub fn vcpu_named(id: u64) -> Option<usize> {
    usize::try_from(id).ok()
}
