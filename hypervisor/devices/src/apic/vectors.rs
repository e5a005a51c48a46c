// SPDX-License-Identifier: MIT OR Apache-2.0
//! A set of interrupt vectors, as IRR, ISR and TMR are. Vectors below 16 are
//! never in one, so zero stands for "none" and no option is needed on the exit path.

/// 256 vectors, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Vectors([u64; 4]);

impl Vectors {
    pub(super) const NONE: Self = Self([0; 4]);

    /// The bit of a vector within its word.
    #[inline(always)]
    pub(super) const fn bit(vector: u8) -> u64 {
        1u64.wrapping_shl(vector as u32)
    }

    /// The word that a vector's bit is in.
    #[inline(always)]
    pub(super) const fn word(vector: u8) -> usize {
        (vector >> 6) as usize
    }

    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "two bits of index, four words")]
    pub(super) const fn set(&mut self, vector: u8) {
        self.0[Self::word(vector)] |= Self::bit(vector);
    }

    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "two bits of index, four words")]
    pub(super) const fn clear(&mut self, vector: u8) {
        self.0[Self::word(vector)] &= !Self::bit(vector);
    }

    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "two bits of index, four words")]
    pub(super) const fn contains(&self, vector: u8) -> bool {
        self.0[Self::word(vector)] & Self::bit(vector) != 0
    }

    /// Whether no vector is in it.
    #[inline(always)]
    pub(super) const fn is_empty(&self) -> bool {
        let [a, b, c, d] = self.0;
        a | b | c | d == 0
    }

    /// The highest vector, or zero.
    #[inline(always)]
    pub(super) const fn highest(&self) -> u8 {
        // Of the word that counts, the last vector.
        let (word, last) = if self.0[3] != 0 {
            (self.0[3], 255)
        } else if self.0[2] != 0 {
            (self.0[2], 191)
        } else if self.0[1] != 0 {
            (self.0[1], 127)
        } else {
            (self.0[0] | 1, 63)
        };
        #[expect(clippy::cast_possible_truncation, reason = "the number of a bit is below 64")]
        let behind = word.leading_zeros() as u8;
        last ^ behind
    }

    /// Adds the vectors of one word: those in `level` become so in `modes`, the others edges.
    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "two bits of index, four words")]
    pub(super) const fn merge(&mut self, word: usize, new: u64, level: u64, modes: &mut Self) {
        let word = word & 3;
        self.0[word] |= new;
        modes.0[word] = modes.0[word] & !new | level & new;
    }

    /// One of the eight registers of 32 bits that the set is read by.
    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "two bits of index, four words")]
    pub(super) const fn register(&self, n: u32) -> u32 {
        let half = (n & 1).wrapping_mul(32);
        (self.0[(n >> 1 & 3) as usize].wrapping_shr(half) & 0xffff_ffff) as u32
    }
}
