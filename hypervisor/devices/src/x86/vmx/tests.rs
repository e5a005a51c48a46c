// SPDX-License-Identifier: MIT OR Apache-2.0
//! Capability MSRs of CPUs of several generations, as Bochs's models of them
//! and machines of that kind have them.

use super::*;
use proptest::prelude::*;

/// Capabilities of one CPU: pin, primary, secondary, exit, entry, EPT and VPID.
struct Dump {
    name: &'static str,
    words: [u64; 5],
    ept: u64,
}

const SKYLAKE: Dump = Dump {
    name: "skylake",
    words: [
        0x0000_007f_0000_0016,
        0xfff9_fffe_0400_6172,
        0x005f_fcff_0000_0000,
        0x01ff_ffff_0003_6dfb,
        0x0003_ffff_0000_11fb,
    ],
    ept: 0x0f01_0673_4141,
};
const HASWELL: Dump = Dump {
    name: "haswell",
    words: [
        0x0000_007f_0000_0016,
        0xfff9_fffe_0400_6172,
        0x0000_7cff_0000_0000,
        0x007f_ffff_0003_6dfb,
        0x0000_ffff_0000_11fb,
    ],
    ept: 0x0f01_0633_4141,
};
const IVY_BRIDGE: Dump = Dump {
    name: "ivy bridge",
    words: [
        0x0000_007f_0000_0016,
        0xfff9_fffe_0400_6172,
        0x0000_08ff_0000_0000,
        0x007f_ffff_0003_6dfb,
        0x0000_ffff_0000_11fb,
    ],
    ept: 0x0f01_0611_4141,
};
/// No EPT, and no "true" capabilities: CR3 always exits.
const PENRYN: Dump = Dump {
    name: "penryn",
    words: [
        0x0000_003f_0000_0016,
        0xf7f9_fffe_0401_e172,
        0x0000_0041_0000_0000,
        0x0003_ffff_0003_6dff,
        0x0000_3fff_0000_11ff,
    ],
    ept: 0,
};

fn words(dump: &Dump) -> Result<[u32; 5], &'static str> {
    let mut words = [0; 5];
    let tables = [PIN, PRIMARY, SECONDARY, EXIT, ENTRY];
    for ((word, table), capability) in words.iter_mut().zip(tables).zip(dump.words) {
        *word = adjust(table, capability)?;
    }
    Ok(words)
}

#[test]
fn every_cpu_with_ept_and_unrestricted_guests_is_taken() {
    for dump in [SKYLAKE, HASWELL, IVY_BRIDGE] {
        let [pin, primary, secondary, exit, entry] = words(&dump).expect(dump.name);
        assert_eq!(pin, 0x7f, "{}", dump.name);
        assert_eq!(primary & primary::CR3_LOAD, 0, "{}", dump.name);
        assert_ne!(secondary & secondary::UNRESTRICTED, 0, "{}", dump.name);
        let invpcid = secondary & secondary::INVPCID != 0;
        assert_eq!(invpcid, dump.name != "ivy bridge");
        assert_eq!(exit & (exit::HOST_64 | exit::ACKNOWLEDGE), exit::HOST_64);
        assert_eq!(entry & entry::GUEST_64, 0, "the guest starts outside long mode");
    }
}

#[test]
fn what_a_cpu_lacks_is_named() {
    assert_eq!(words(&PENRYN), Err("CR3 loads without exiting"));
    assert_eq!(adjust(SECONDARY, PENRYN.words[2]), Err("EPT"));
    let restricted = HASWELL.words[2] & !(u64::from(secondary::UNRESTRICTED) << 32);
    assert_eq!(adjust(SECONDARY, restricted), Err("unrestricted guest"));
    assert_eq!(ept(PENRYN.ept), Err("EPT page walks of four levels"));
    assert_eq!(ept(SKYLAKE.ept & !(1 << 20)), Err("INVEPT"));
}

#[test]
fn large_pages_and_flags_are_used_where_they_are() {
    let (skylake, ivy) = (ept(SKYLAKE.ept).unwrap(), ept(IVY_BRIDGE.ept).unwrap());
    assert!(skylake.gigabyte && skylake.accessed_dirty && skylake.execute_only);
    assert!(!ivy.gigabyte && !ivy.accessed_dirty);
    assert!(skylake.single && skylake.single_vpid);
}

#[test]
fn firmware_decides_whether_there_is_vt_x() {
    assert_eq!(feature_control(5), Ok(None));
    assert_eq!(feature_control(0), Ok(Some(5)));
    assert_eq!(feature_control(2), Ok(Some(7)));
    assert!(feature_control(1).is_err_and(|why| why.contains("firmware")));
}

#[test]
fn paging_and_protection_are_an_unrestricted_guests_own() {
    let (ones, may) = (0x8000_0021, 0xffff_ffff);
    assert_eq!(fixed(0x10, ones, may, true), 0x30);
    assert_eq!(fixed(0x10, ones, may, false), 0x8000_0031);
    assert_eq!(fixed(u64::MAX, ones, may, true), 0xffff_ffff);
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
