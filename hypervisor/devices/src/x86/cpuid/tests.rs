// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a guest sees on CPUs whose answers are known, and on one that answers anything.

use super::*;
use proptest::prelude::*;

const VIEW: View =
    View { vcpu: 2, vcpus: 4, tsc_hz: 3_500_000_000, components: 7, os_xsave: false, apic: true };

fn visible(leaf: u32, subleaf: u32, view: &View, host: impl Fn(u32, u32) -> Leaf) -> Leaf {
    super::visible(leaf, subleaf, || *view, host)
}

fn leaf(eax: u32, ebx: u32, ecx: u32, edx: u32) -> Leaf {
    Leaf { eax, ebx, ecx, edx }
}

/// A Skylake server with everything that a guest must not see.
fn intel(number: u32, subleaf: u32) -> Leaf {
    match (number, subleaf) {
        (0, _) => leaf(0x16, 0x756e_6547, 0x6c65_746e, 0x4965_6e69),
        (1, _) => leaf(0x0005_0654, 0x0010_0800, 0x7ffe_fbff, 0xbfeb_fbff),
        (4, 0) => leaf(0x1c00_4121, 0x01c0_003f, 63, 0),
        (4, 3) => leaf(0x1c03_c163, 0x0240_003f, 1023, 4),
        (7, 0) => leaf(0, 0xd39f_ffeb, 0x18, 0xac00_0400),
        (0xd, 0) => leaf(0x2e7, 0x440, 0xa88, 0),
        (0xd, 1) => leaf(0xf, 0x440, 0x100, 0),
        (0xd, 2) => leaf(0x100, 0x240, 0, 0),
        (0xd, 5) => leaf(0x40, 0x440, 0, 0),
        (0xd, 6) => leaf(0x200, 0x480, 0, 0),
        (0xd, 7) => leaf(0x400, 0x680, 0, 0),
        (0xd, 9) => leaf(8, 0xa80, 0, 0),
        (0x8000_0000, _) => leaf(0x8000_0008, 0, 0, 0),
        (0x8000_0001, _) => leaf(0, 0, 0x121, 0x2c10_0800),
        (0x8000_0008, _) => leaf(0x302e, 0, 0, 0),
        _ => leaf(0xffff_ffff, 0xffff_ffff, 0xffff_ffff, 0xffff_ffff),
    }
}

/// QEMU's EPYC.
fn amd(number: u32, subleaf: u32) -> Leaf {
    match (number, subleaf) {
        (0, _) => leaf(0xd, 0x6874_7541, 0x444d_4163, 0x6974_6e65),
        (1, _) => leaf(0x0080_0f12, 0x0004_0800, 0xfed8_320b, 0x178b_fbff),
        (0x8000_0000, _) => leaf(0x8000_001f, 0x6874_7541, 0x444d_4163, 0x6974_6e65),
        (0x8000_0001, _) => leaf(0x0080_0f12, 0, 0x0040_03f7, 0x2fd3_fbff),
        (0x8000_0008, _) => leaf(0x3028, 0x1007, 0x3003, 0),
        _ => leaf(0xffff_ffff, 0xffff_ffff, 0xffff_ffff, 0xffff_ffff),
    }
}

#[test]
fn virtualization_and_the_machines_own_features_are_hidden() {
    let one = visible(1, 0, &VIEW, intel);
    for (bit, name) in [(3, "MONITOR"), (5, "VMX"), (6, "SMX"), (15, "PDCM"), (27, "OSXSAVE")] {
        assert_eq!(one.ecx >> bit & 1, 0, "{name}");
    }
    for (bit, name) in [(21, "x2APIC"), (24, "TSC-deadline"), (31, "hypervisor"), (26, "XSAVE")] {
        assert_eq!(one.ecx >> bit & 1, 1, "{name}");
    }
    assert_eq!(one.edx & (1 << 7 | 1 << 14 | 1 << 21 | 1 << 22), 0, "machine checks, DS, ACPI");
    assert_eq!((one.ebx >> 24, one.ebx >> 16 & 0xff), (2, 4));
    let extended = visible(0x8000_0001, 0, &VIEW, amd);
    assert_eq!(extended.ecx & 0b1100, 0, "SVM and extended APIC space");
    assert_eq!(visible(0x8000_000a, 0, &VIEW, amd), Leaf::default());
    assert_eq!(visible(0x8000_001f, 0, &VIEW, amd), Leaf::default(), "memory encryption");
}

#[test]
fn some_bits_follow_the_guest() {
    let off = View { os_xsave: true, apic: false, vcpus: 1, vcpu: 0, ..VIEW };
    let one = visible(1, 0, &off, intel);
    assert_eq!(one.ecx & OSXSAVE, OSXSAVE);
    assert_eq!(one.edx & (APIC | HTT), 0);
    assert_eq!(visible(1, 0, &VIEW, intel).edx & (APIC | HTT), APIC | HTT);
    assert_eq!(visible(0x8000_0001, 0, &off, amd).edx & APIC, 0);
}

#[test]
fn the_signature_and_the_frequency_are_ours() {
    let signature = visible(HYPERVISOR, 0, &VIEW, intel);
    let name: Vec<u8> = [signature.ebx, signature.ecx, signature.edx]
        .iter()
        .flat_map(|r| r.to_le_bytes())
        .collect();
    assert_eq!(name, b"BulkheadBulk");
    assert_eq!(visible(0x15, 0, &VIEW, amd), leaf(1, 1, 3_500_000_000, 0));
    assert_eq!(visible(0x16, 0, &VIEW, amd), leaf(3500, 3500, 100, 0));
    let fast = View { tsc_hz: 5_000_000_000, ..VIEW };
    assert_eq!((visible(0x15, 0, &fast, intel).ecx, visible(0x16, 0, &fast, intel).eax), (0, 5000));
    assert_eq!(visible(0, 0, &VIEW, amd).eax, MAX);
}

#[test]
fn all_leaves_agree_about_the_topology() {
    for (vcpus, bits) in [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (8, 3)] {
        let view = View { vcpus, vcpu: vcpus - 1, ..VIEW };
        for number in [0xb, 0x1f] {
            let [thread, core, end] = [0, 1, 2].map(|n| visible(number, n, &view, intel));
            assert_eq!((thread.eax, thread.ebx, thread.ecx), (0, 1, 0x100));
            assert_eq!((core.eax, core.ebx, core.ecx), (bits, vcpus.into(), 0x201));
            assert_eq!((end.eax, end.ebx, end.ecx, end.edx), (0, 0, 2, view.vcpu.into()));
        }
        let cores = (1 << bits) - 1;
        let [first, last] = [0, 3].map(|n| visible(4, n, &view, intel).eax);
        assert_eq!((first >> 26, first >> 14 & 0xfff), (cores, 0));
        assert_eq!((last >> 26, last >> 14 & 0xfff), (cores, cores));
        assert_eq!(visible(0x8000_0008, 0, &view, amd).ecx, bits << 12 | u32::from(vcpus - 1));
        let node = visible(0x8000_001e, 0, &view, amd);
        assert_eq!((node.eax, node.ebx), (view.vcpu.into(), view.vcpu.into()));
    }
}

#[test]
fn only_saved_components_are_offered() {
    let all = visible(0xd, 0, &View { components: 0xe7, ..VIEW }, intel);
    assert_eq!((all.eax, all.edx, all.ecx), (0xe7, 0, 0xa80));
    let some = visible(0xd, 0, &VIEW, intel);
    assert_eq!((some.eax, some.ebx, some.ecx), (7, 0x440, 0x340));
    assert_eq!(visible(0xd, 9, &VIEW, intel), Leaf::default(), "protection keys");
    assert_eq!(visible(0xd, 2, &VIEW, intel), leaf(0x100, 0x240, 0, 0));
    assert_eq!(visible(0xd, 1, &VIEW, intel), leaf(7, 0x440, 0, 0), "no XSAVES");
    assert_eq!(visible(0xd, 200, &VIEW, intel), Leaf::default());
}

#[test]
fn leaf_seven_has_no_speculation_controls_and_no_transactions() {
    let seven = visible(7, 0, &VIEW, intel);
    assert_eq!(seven.edx, 1 << 10);
    assert_eq!(seven.ebx & (1 << 4 | 1 << 11 | 1 << 14 | 1 << 12 | 1 << 25), 0);
    assert_eq!(seven.ebx & (1 << 1 | 1 << 7 | 1 << 20), 1 << 1 | 1 << 7 | 1 << 20);
    assert_eq!(seven.ecx & (1 << 3 | 1 << 4), 0, "protection keys");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn whatever_the_cpu_says_nothing_unnamed_gets_through(
        number in prop_oneof![0..0x40_u32, 0x4000_0000..0x4000_0100_u32, 0x8000_0000..0x8000_0040_u32, any::<u32>()],
        subleaf in prop_oneof![0..64_u32, any::<u32>()],
        answers: [u32; 4],
    ) {
        let [eax, ebx, ecx, edx] = answers;
        let seen = visible(number, subleaf, &VIEW, |_, _| leaf(eax, ebx, ecx, edx));
        let named = matches!(
            number,
            0..=2 | 4 | 6 | 7 | 0xb | 0xd | 0x15 | 0x16 | 0x1f | 0x4000_0000
                | 0x8000_0000..=0x8000_0008 | 0x8000_0019 | 0x8000_001a | 0x8000_001d | 0x8000_001e
        );
        prop_assert!(named || seen == Leaf::default(), "{number:#x}");
    }
}
