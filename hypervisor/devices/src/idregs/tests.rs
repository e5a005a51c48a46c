// SPDX-License-Identifier: MIT OR Apache-2.0
//! What guests see on three CPUs, whose registers were read at EL2 on QEMU 10.0.

use super::visible;
use crate::esr::Register;
use proptest::prelude::*;

/// CRm, op2, then host value and visible value on cortex-a57, neoverse-n1 and max.
type Row = (u8, u8, [(u64, u64); 3]);

const ROWS: [Row; 10] = [
    (
        4,
        0,
        [
            (0x0000_0000_0100_0222, 0x0000_0000_0100_0012),
            (0x1100_0000_1111_0112, 0x1100_0000_0111_0012),
            (0x1301_0011_2111_0222, 0x1101_0000_0111_0012),
        ],
    ),
    (4, 1, [(0, 0), (0x20, 0x20), (0x0000_0010_0100_0121, 0x21)]),
    (4, 4, [(0, 0), (0, 0), (0x0110_1101_0021_0021, 0)]),
    (
        5,
        0,
        [
            (0x1030_5106, 0x1030_5106),
            (0x1030_5408, 0x1030_5408),
            (0x1000_0000_1030_560a, 0x1030_5408),
        ],
    ),
    (
        6,
        0,
        [
            (0x0001_1120, 0x0001_1120),
            (0x0000_1000_1021_1120, 0x0000_1000_1021_1120),
            (0x1221_1111_1021_2120, 0x1221_1111_1021_2120),
        ],
    ),
    (6, 1, [(0, 0), (0x0010_0001, 0x0010_0001), (0x0111_2111_1021_1502, 0x0111_2111_0021_1002)]),
    (6, 2, [(0, 0), (0, 0), (0x0011_0012, 0x0010_0010)]),
    (
        7,
        0,
        [
            (0x1124, 0x0124),
            (0x0010_1125, 0x0010_0125),
            (0x2100_0323_1020_1126, 0x0000_0000_0010_0125),
        ],
    ),
    (7, 1, [(0, 0), (0x1021_2122, 0x0020_2002), (0x0110_1120_1031_2122, 0x0010_1020_0030_2002)]),
    (7, 2, [(0, 0), (0x1011, 0x0011), (0x1221_0111_1201_1011, 0x1021_0011_1001_0011)]),
];

#[test]
fn three_cpus_show_what_is_saved() {
    for (crm, op2, cpus) in ROWS {
        for (host, expected) in cpus {
            let shown = visible(Register::new(3, 0, 0, crm, op2), host);
            assert_eq!(shown, expected, "S3_0_C0_C{crm}_{op2} {host:#018x}: {shown:#018x}");
        }
    }
}

#[test]
fn thirty_two_bit_programs_see_their_instructions() {
    let show = |crm, op2, host| visible(Register::new(3, 0, 0, crm, op2), host);
    assert_eq!(show(1, 0, 0x1102_0131), 0x0101_0131);
    assert_eq!(show(1, 2, 0x0600_000a), 0x0400_0008);
    assert_eq!(show(2, 5, 0x1101_1121), 0x1101_1121);
    assert_eq!(show(3, 0, 0x1011_0222), 0x1011_0222);
}

#[test]
fn a_pmu_of_a_makers_own_is_hidden_and_a_missing_granule_stays_missing() {
    assert_eq!(visible(Register::new(3, 0, 0, 5, 0), 0xf00), 0);
    assert_eq!(visible(Register::new(3, 0, 0, 7, 0), 0xf000_0000), 0xf000_0000);
    assert_eq!(visible(Register::new(3, 0, 0, 4, 0), 0x00ff_0000), 0x00ff_0000);
}

/// Numbers that mean more as they grow: CRm, op2, shift.
const FEATURES: [(u8, u8, u32); 6] =
    [(4, 0, 0), (4, 0, 24), (5, 0, 0), (6, 0, 4), (7, 0, 0), (7, 1, 0)];

proptest! {
    #[test]
    fn nothing_is_shown_that_the_cpu_lacks(host: u64) {
        for (crm, op2, shift) in FEATURES {
            let shown = visible(Register::new(3, 0, 0, crm, op2), host);
            prop_assert!(shown >> shift & 15 <= host >> shift & 15);
        }
    }

    #[test]
    fn what_is_not_saved_is_never_shown(host: u64) {
        let show = |crm, op2| visible(Register::new(3, 0, 0, crm, op2), host);
        // EL2, EL3; RAS, SVE, SEL2, MPAM, AMU; RME.
        prop_assert_eq!(show(4, 0) & 0x00f0_ffff_f000_ff00, 0);
        // MTE, RAS_frac, MPAM_frac, SME; NMI to PFAR.
        prop_assert_eq!(show(4, 1) & 0xffff_fff0_ffff_ff00, 0);
        // APA, API, GPA, GPI, LS64.
        prop_assert_eq!(show(6, 1) & 0xf000_0000_ff00_0ff0, 0);
        prop_assert_eq!(show(7, 3) | show(7, 4) | show(4, 4) | show(4, 5) | show(4, 7), 0);
    }

    #[test]
    fn outside_the_space_everything_reads_zero(op0: u8, op1: u8, crn: u8, crm: u8, op2: u8, host: u64) {
        let register = Register::new(op0, op1, crn, crm, op2);
        let inside = (register.op0(), register.op1(), register.crn()) == (3, 0, 0);
        if !(inside && (1..=7).contains(&register.crm())) {
            prop_assert_eq!(visible(register, host), 0);
        }
    }
}
