// SPDX-License-Identifier: MIT OR Apache-2.0
//! A frequency derived from the TSC's. Exact to 2^-50 at any frequency that a
//! machine has: a guest that calibrates one against the other finds no drift.

/// So many counts in so many ticks of the TSC.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    /// Counts in one tick, times 2^64.
    counts: u64,
    /// Ticks in one count, times 2^32.
    ticks: u64,
}

impl Rate {
    /// `hz` counts where the TSC has `tsc_hz` ticks. A TSC that is slower counts once a tick.
    pub(super) const fn new(hz: u64, tsc_hz: u64) -> Self {
        Self { counts: quotient(hz, tsc_hz, 64), ticks: quotient(tsc_hz, hz, 32) }
    }

    /// Counts since the TSC was zero.
    #[inline]
    pub(super) const fn count(&self, tsc: u64) -> u64 {
        (product(tsc, self.counts) >> 64) as u64
    }

    /// Ticks after which so many counts have certainly passed.
    #[inline]
    pub(super) const fn wait(&self, counts: u64) -> u64 {
        let ticks = product(counts, self.ticks) >> 32;
        let ticks = if ticks >> 63 != 0 { u64::MAX >> 1 } else { (ticks & LOW) as u64 };
        ticks.wrapping_add(2)
    }
}

/// The low half of a product.
const LOW: u128 = u64::MAX as u128;

/// Two factors of 64 bits cannot overflow.
#[inline]
const fn product(a: u64, b: u64) -> u128 {
    (a as u128).wrapping_mul(b as u128)
}

/// `dividend` times two to the power of `bits`, divided; rounded up, so that a whole number of
/// counts is not missed; saturated. Bit by bit, as it happens once and a division of 128 bits
/// would be a kilobyte of program.
const fn quotient(dividend: u64, divisor: u64, bits: u32) -> u64 {
    let (Some(mut quotient), Some(mut rest)) =
        (dividend.checked_div(divisor), dividend.checked_rem(divisor))
    else {
        return u64::MAX;
    };
    let mut n = 0;
    while n < bits {
        if quotient >> 63 != 0 {
            return u64::MAX;
        }
        // The rest is below the divisor, so twice the rest overflows only if it is not.
        let carries = rest >> 63 != 0;
        rest = rest.wrapping_shl(1);
        let fits = carries || rest >= divisor;
        if fits {
            rest = rest.wrapping_sub(divisor);
        }
        quotient = quotient.wrapping_shl(1) | fits as u64;
        n = n.wrapping_add(1);
    }
    quotient.saturating_add((rest != 0) as u64)
}

#[cfg(test)]
mod tests {
    use super::Rate;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn counts_are_what_division_says(hz in 1..4_000_000_u64, tsc_hz in 100_000_000..6_000_000_000_u64, tsc in 0..1_u64 << 60) {
            let exact = u128::from(tsc) * u128::from(hz) / u128::from(tsc_hz);
            let count = u128::from(Rate::new(hz, tsc_hz).count(tsc));
            prop_assert!(exact <= count && count - exact <= 1, "{count} for {exact}");
        }

        #[test]
        fn whoever_waits_sees_the_counts(hz in 1000..4_000_000_u64, tsc_hz in 100_000_000..6_000_000_000_u64, now in 0..1_u64 << 58, counts in 0..1_u64 << 20) {
            let rate = Rate::new(hz, tsc_hz);
            let later = now + rate.wait(counts);
            prop_assert!(rate.count(later) - rate.count(now) >= counts);
            prop_assert!(rate.count(later) - rate.count(now) <= counts + 1);
        }

        #[test]
        fn no_number_is_too_much(hz: u64, tsc_hz: u64, n: u64) {
            let rate = Rate::new(hz, tsc_hz);
            let _ = (rate.count(n), rate.wait(n));
        }
    }
}
