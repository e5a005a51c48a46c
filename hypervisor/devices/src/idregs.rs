// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a guest sees of the CPU's identification registers.

use crate::esr::Register;

/// What a guest reads from an identification register (`S3_0_C0_C1..7_*`) that
/// reads `host` on this CPU. Reserved encodings read zero.
#[must_use]
pub fn visible(register: Register, host: u64) -> u64 {
    let _ = (register, host);
    0
}
