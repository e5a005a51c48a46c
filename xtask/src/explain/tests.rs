// SPDX-License-Identifier: MIT OR Apache-2.0
//! A state that the CPU takes, and each mistake in it alone.

use super::checks::CHECKS;
use super::state::{self, State};
use super::{explained, segments};
use proptest::prelude::*;

/// 64-bit kernel code of an unrestricted guest.
fn good() -> State {
    let mut state = State::default();
    for (field, value) in [
        (state::PIN, 0x7f),
        (state::ENTRY, 0xd3ff),
        (state::SECONDARY, 0xaa),
        (state::CR0, 0x8005_0033),
        (state::CR3, 0x1000),
        (state::CR4, 0x20a0),
        (state::EFER, 0xd01),
        (state::PAT, 0x0007_0406_0007_0406),
        (state::LINK, u64::MAX),
        (state::RFLAGS, 0x202),
        (state::RIP, 0xffff_ffff_8100_0000),
        (state::DR7, 0x400),
        (state::GDTR_LIMIT, 0x7f),
        (state::IDTR_LIMIT, 0xfff),
    ] {
        state.set(field, value);
    }
    // ES, CS, SS, DS, FS, GS, LDTR, TR: selector, limit, rights.
    let segments = [
        (0, 0xffff_ffff, 0x1_0000),
        (0x10, 0xffff_ffff, 0xa09b),
        (0x18, 0xffff_ffff, 0xc093),
        (0x18, 0xffff_ffff, 0xc093),
        (0, 0xffff_ffff, 0x1_c000),
        (0, 0xffff_ffff, 0x1_c000),
        (0, 0, 0x1_0000),
        (0x40, 0x206f, 0x8b),
    ];
    for (at, (selector, limit, rights)) in (0..).step_by(2).zip(segments) {
        state.set(state::SELECTOR + at, selector);
        state.set(state::LIMIT + at, limit);
        state.set(state::RIGHTS + at, rights);
    }
    state
}

/// What is wrong with a state, each with its field.
fn wrong(state: &State) -> Vec<String> {
    let found = CHECKS.iter().filter(|check| (check.is)(state));
    let mut lines: Vec<String> =
        found.map(|check| format!("{}: {}", check.field, check.why)).collect();
    lines.extend(segments::wrong(state));
    lines
}

/// That state with some fields changed.
fn with(changes: &[(u32, u64)]) -> State {
    let mut state = good();
    for (field, value) in changes {
        state.set(*field, *value);
    }
    state
}

const CS: u32 = 2;
const SS: u32 = 4;
const DS: u32 = 6;
const FS: u32 = 8;
const LDTR: u32 = 12;
const TR: u32 = 14;
const VALID: u64 = 1 << 31;

#[test]
fn a_good_state_has_nothing_wrong() {
    assert_eq!(wrong(&good()), [""; 0]);
    // In real mode, as a CPU starts; and outside long mode with paging.
    let mut real = with(&[
        (state::ENTRY, 0xd1ff),
        (state::CR0, 0x20),
        (state::CR4, 0x2000),
        (state::EFER, 0),
        (state::RIP, 0xfff0),
        (state::RIGHTS + CS, 0x9b),
        (state::RIGHTS + SS, 0x93),
        (state::RIGHTS + DS, 0x93),
        (state::EVENT, VALID | 0x20),
    ]);
    for at in [CS, SS, DS] {
        real.set(state::LIMIT + at, 0xffff);
    }
    assert_eq!(wrong(&real), [""; 0]);
}

/// Changes of the good state, and what is then said first.
const MISTAKES: &[(&[(u32, u64)], &str)] = &[
    (&[(state::EVENT, VALID | 0x120)], "entry event: its type is reserved"),
    (&[(state::EVENT, VALID | 0x1000)], "entry event: reserved bits"),
    (&[(state::EVENT, VALID | 0x203)], "entry event: an NMI has vector 2"),
    (&[(state::EVENT, VALID | 0x320)], "entry event: an exception has"),
    (&[(state::EVENT, VALID | 0x701)], "entry event: type 7"),
    (&[(state::EVENT, VALID | 0x30d)], "entry event: its error code"),
    (&[(state::EVENT, VALID | 0x404)], "entry instruction length"),
    (&[(state::CR0, 0x1_8005_0033)], "CR0: bits 63:32"),
    (&[(state::CR0, 0x8005_0013)], "CR0: NE"),
    (&[(state::CR0, 0x8005_0032)], "CR0: PG without PE"),
    (&[(state::CR4, 0xa0)], "CR4: VMXE"),
    (&[(state::DEBUG_CONTROL, 4)], "IA32_DEBUGCTL"),
    (&[(state::CR4, 0x2080)], "entry controls: IA-32e mode guest without"),
    (&[(state::CR3, 1 << 60)], "CR3: bits"),
    (&[(state::DR7, 1 << 32)], "DR7"),
    (&[(state::SYSENTER_ESP, 1 << 47)], "IA32_SYSENTER_ESP"),
    (&[(state::SYSENTER_EIP, 1 << 63)], "IA32_SYSENTER_EIP"),
    (&[(state::PAT, 2)], "IA32_PAT"),
    (&[(state::EFER, 0xd03)], "IA32_EFER: reserved"),
    (&[(state::EFER, 0x901)], "IA32_EFER: LMA differs from IA-32e mode guest"),
    (&[(state::EFER, 0xc01)], "IA32_EFER: LMA differs from LME"),
    (&[(state::GDTR_BASE, 1 << 50)], "GDTR base"),
    (&[(state::IDTR_BASE, 1 << 50)], "IDTR base"),
    (&[(state::GDTR_LIMIT, 0x1_0000)], "GDTR limit"),
    (&[(state::IDTR_LIMIT, 0x1_0000)], "IDTR limit"),
    (&[(state::RIP, 1 << 47)], "RIP: not canonical"),
    (&[(state::RIGHTS + CS, 0xc09b)], "RIP: bits 63:32"),
    (&[(state::RFLAGS, 0x200)], "RFLAGS: a reserved bit"),
    (&[(state::RFLAGS, 2), (state::EVENT, VALID | 0x20)], "RFLAGS: IF is zero"),
    (&[(state::ACTIVITY, 4)], "activity state: above 3"),
    (&[(state::ACTIVITY, 1), (state::EVENT, VALID | 0x306)], "activity state: the injected"),
    (&[(state::ACTIVITY, 1), (state::INTERRUPTIBILITY, 1)], "activity state: not active"),
    (&[(state::INTERRUPTIBILITY, 0x20)], "interruptibility: reserved"),
    (&[(state::INTERRUPTIBILITY, 3)], "interruptibility: blocking by STI and by MOV SS"),
    (&[(state::INTERRUPTIBILITY, 1), (state::RFLAGS, 2)], "interruptibility: blocking by STI with"),
    (
        &[(state::INTERRUPTIBILITY, 1), (state::EVENT, VALID | 0x20)],
        "interruptibility: blocking, and an interrupt",
    ),
    (
        &[(state::INTERRUPTIBILITY, 2), (state::EVENT, VALID | 0x202)],
        "interruptibility: blocking by MOV SS, and an NMI",
    ),
    (&[(state::INTERRUPTIBILITY, 4)], "interruptibility: blocking by SMI"),
    (
        &[(state::INTERRUPTIBILITY, 8), (state::EVENT, VALID | 0x202)],
        "interruptibility: blocking by NMI",
    ),
    (&[(state::PENDING_DEBUG, 0x20)], "pending debug exceptions: reserved"),
    (&[(state::INTERRUPTIBILITY, 2), (state::RFLAGS, 0x302)], "pending debug exceptions: BS"),
    (&[(state::LINK, 0)], "VMCS link pointer"),
    (&[(state::RIGHTS + CS, 0xa0fb)], "CS: its DPL"),
    (&[(state::RIGHTS + CS, 0xe09b)], "CS: L and D/B"),
    (&[(state::RIGHTS + CS, 0xa08b)], "CS: S is zero"),
    (&[(state::RIGHTS + CS, 0x1_a09b)], "CS: it is unusable"),
    (&[(state::RIGHTS + SS, 0xc091)], "SS: its type"),
    (&[(state::RIGHTS + DS, 0xc092)], "DS: its type is not accessed"),
    (&[(state::RIGHTS + DS, 0xc099)], "DS: its type is code"),
    (&[(state::RIGHTS + DS, 0xc013)], "DS: P is zero"),
    (&[(state::RIGHTS + DS, 0x4093)], "DS: G does not go"),
    (&[(state::RIGHTS + DS, 0xc193)], "DS: reserved bits"),
    (&[(state::BASE + DS, 1 << 32)], "DS: bits 63:32"),
    (&[(state::BASE + FS, 1 << 47)], "FS: its base is not canonical"),
    (&[(state::RIGHTS + LDTR, 0x83)], "LDTR: its type"),
    (&[(state::RIGHTS + TR, 0x89)], "TR: its type"),
    (&[(state::RIGHTS + TR, 0x1_008b)], "TR: it is unusable"),
    (&[(state::RIGHTS + TR, 0x9b)], "TR: S is one"),
    (&[(state::SELECTOR + TR, 0x44)], "TR: its selector"),
];

#[test]
fn each_mistake_is_named_with_its_field() {
    for (changes, name) in MISTAKES {
        let found = wrong(&with(changes));
        assert!(found.iter().any(|line| line.starts_with(name)), "{name}: {found:?}");
    }
}

#[test]
fn what_the_kernel_wrote_of_a_refused_entry_is_explained() {
    // The console of the scenario pc-bochs-entry, whose kernel asks for these two mistakes.
    assert_eq!(
        explained(include_str!("refused.log")),
        "victim: entry failed: the guest's state\n  \
         RFLAGS: a reserved bit is one, or bit 1 is zero\n  \
         ES: G does not go with its limit\n"
    );
}

#[test]
fn virtual_8086_mode_has_rules_of_its_own() {
    let found = wrong(&with(&[(state::RFLAGS, 0x2_0202)]));
    for line in ["RFLAGS: VM in", "CS: its base is not", "DS: its limit", "SS: its access rights"] {
        assert!(found.iter().any(|found| found.starts_with(line)), "{line}: {found:?}");
    }
}

#[test]
fn tables_of_three_levels_are_looked_at_where_they_are_used() {
    let changes =
        [(state::ENTRY, 0xd1ff), (state::EFER, 0), (state::RIP, 0), (state::RIGHTS + CS, 0xc09b)];
    let mut state = with(&changes);
    assert_eq!(wrong(&state), [""; 0]);
    state.set(state::PDPTE + 6, 0x1003);
    assert_eq!(wrong(&state), ["PDPTEs: reserved bits of a present one are one"]);
}

#[test]
fn other_lines_do_not_disturb_and_a_second_record_is_told_apart() {
    let log = "[bulkhead] linux: vmcs 4400 0 80000021 0 0 0 0 0 0\r\n\
               [rtos] heartbeat 1\n\
               [bulkhead] linux: vmcs 6800 80000000 0 0 0 0 0 0 0\n\
               [bulkhead] linux: vmcs zz\n\
               [linux] linux: vmcs 4400 x\n\
               [bulkhead] linux: vmcs 4400 7 1 0 0 0 0 0 0\n";
    let text = explained(log);
    assert!(text.starts_with("linux: entry failed: the guest's state\n"), "{text}");
    assert!(text.contains("  CR0: PG without PE\n"), "{text}");
    assert!(text.contains("\nlinux: VM-instruction error 7, invalid control fields"), "{text}");
    assert_eq!(explained("nothing\n"), "no record of an entry that VT-x refused\n");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_log_is_too_strange(first in 0..0x7000_u32, values: [u64; 8], junk in ".{0,40}") {
        let words: Vec<String> = values.iter().map(|value| format!("{value:x}")).collect();
        let line = format!("[bulkhead] a: vmcs {first:x} {}\n[bulkhead] a: vmcs {junk}\n", words.join(" "));
        prop_assert!(!explained(&line).is_empty());
    }
}
