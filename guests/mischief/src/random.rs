// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random numbers that are the same in every run (Marsaglia's xorshift64*).

/// A generator.
pub(crate) struct Random(u64);

impl Random {
    /// Starts from a seed that is not zero.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}
