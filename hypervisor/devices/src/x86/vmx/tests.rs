// SPDX-License-Identifier: MIT OR Apache-2.0
//! Words of controls, and what firmware has to say.

use super::*;
use proptest::prelude::*;

#[test]
fn firmware_decides_whether_there_is_vt_x() {
    assert_eq!(feature_control(5), Ok(None));
    assert_eq!(feature_control(0), Ok(Some(5)));
    assert_eq!(feature_control(2), Ok(Some(7)));
    assert!(feature_control(1).is_err_and(|why| why.contains("firmware")));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_word_has_a_bit_that_the_cpu_does_not_allow(ones: u32, more: u32, table in 0..5_usize) {
        let allowed = ones | more;
        let table = [PIN, PRIMARY, SECONDARY, EXIT, ENTRY][table];
        if let Ok(word) = adjust(table, u64::from(allowed) << 32 | u64::from(ones)) {
            prop_assert_eq!(word & !allowed, 0);
            prop_assert_eq!(ones & !word, 0);
        }
    }
}
