// SPDX-License-Identifier: MIT OR Apache-2.0
//! The capability MSRs of CPUs of several generations, as Bochs's models of them
//! have them (`tests/capabilities/dump`), whole and with each bit inverted.

use super::super::{Control, Use, entry, exit, pin};
use super::*;
use std::collections::BTreeMap;
use std::prelude::rust_2024::*;
use std::vec::Vec;

/// VME to OSXMMEXCPT, which every CPU has.
const CR4: u64 = 0x7ff;

/// A CPU's MSRs.
type Dump = BTreeMap<u32, u64>;

macro_rules! dumps {
    ($($model:literal),* $(,)?) => {
        [$(($model, dump(include_str!(concat!("../../dumps/", $model, ".txt"))))),*]
    };
}

fn models() -> [(&'static str, Dump); 8] {
    dumps![
        "core2_penryn_t9600",
        "corei5_arrandale_m520",
        "corei7_sandy_bridge_2600k",
        "corei7_ivy_bridge_3770k",
        "corei7_haswell_4770",
        "corei3_cnl",
        "corei7_skylake_x",
        "corei7_icelake_u",
    ]
}

/// Those that Bulkhead runs on.
fn usable() -> impl Iterator<Item = (&'static str, Dump)> {
    models().into_iter().filter(|(_, dump)| dump.contains_key(&EPT_VPID))
}

fn dump(text: &str) -> Dump {
    let number = |word: &str| u32::from_str_radix(word, 16).unwrap();
    let line = |line: &str| {
        let words: Vec<u32> = line.strip_prefix("MSR ")?.split(' ').map(number).collect();
        let [msr, high, low] = words[..] else { panic!("{line}") };
        Some((msr, u64::from(high) << 32 | u64::from(low)))
    };
    text.lines().filter_map(line).collect()
}

/// What Bulkhead makes of a CPU; it may only read MSRs that the CPU has.
fn found(dump: &Dump) -> Result<Capabilities, &'static str> {
    capabilities(CR4, |msr| *dump.get(&msr).expect("an MSR that this CPU has"))
}

/// The same CPU with bits of one MSR inverted.
fn changed(dump: &Dump, msr: u32, bits: u64) -> Result<Capabilities, &'static str> {
    let mut dump = dump.clone();
    *dump.get_mut(&msr).unwrap() ^= bits;
    found(&dump)
}

/// Each word with its controls, its MSR, and what is on beside the controls that always are.
fn words(found: &Capabilities) -> [(u32, &'static [Control], u32, u32); 5] {
    let cr8 = if found.apic { 0 } else { primary::CR8_LOAD | primary::CR8_STORE };
    let apic = if found.apic { APIC_ALWAYS } else { 0 };
    [
        (found.pin, PIN, TRUE[0], 0),
        (found.primary, PRIMARY, TRUE[1], primary::HLT | cr8),
        (found.exit, EXIT, TRUE[2], 0),
        (found.entry, ENTRY, TRUE[3], 0),
        (found.secondary, SECONDARY, SECONDARY_MSR, apic),
    ]
}

#[test]
fn every_cpu_with_ept_is_taken_and_the_other_refused_by_name() {
    for (model, dump) in models() {
        match model {
            "core2_penryn_t9600" => assert_eq!(found(&dump), Err("EPT")),
            _ => assert!(found(&dump).is_ok(), "{model}: {:?}", found(&dump)),
        }
    }
}

#[test]
fn each_bit_is_what_the_cpu_forces_or_allows_and_bulkhead_wants() {
    for (model, dump) in usable() {
        let found = found(&dump).unwrap();
        for (word, table, msr, switched) in words(&found) {
            let (allowed, forced) = ((dump[&msr] >> 32) as u32, dump[&msr] as u32);
            let wanted: u32 = table
                .iter()
                .filter(|row| matches!(row.when, Use::On | Use::IfThere))
                .map(|row| row.mask)
                .sum();
            let shadow = msr == TRUE[1] && !found.apic;
            let unused = if shadow { primary::TPR_SHADOW } else { 0 };
            let wanted = wanted & !unused | switched;
            assert_eq!(word, forced | wanted & allowed, "{model}, MSR {msr:#x}");
        }
    }
}

#[test]
fn a_control_that_a_cpu_lacks_is_left_alone_or_refused_by_its_name() {
    for (model, dump) in usable() {
        let whole = found(&dump).unwrap();
        for (at, (word, table, msr, _)) in words(&whole).into_iter().enumerate() {
            for row in table.iter().filter(|row| row.mask != primary::TPR_SHADOW || at != 1) {
                let (allowed, forced) = (dump[&msr] >> 32, dump[&msr]);
                let mask = u64::from(row.mask);
                let gone = changed(&dump, msr, (allowed & mask) << 32 | forced & mask);
                let stuck = changed(&dump, msr, (!allowed & mask) << 32 | !forced & mask);
                let (needs, allows) = match row.when {
                    Use::On => (true, true),
                    Use::IfThere => (false, true),
                    Use::Switched => (true, false),
                    Use::Free => (false, false),
                };
                match gone {
                    Err(why) => assert!(needs && why == row.name, "{model}: {why}"),
                    Ok(found) => {
                        assert!(!needs, "{model}: {}", row.name);
                        assert_eq!(words(&found)[at].0, word & !row.mask, "{model}: {}", row.name);
                    }
                }
                match stuck {
                    Err(why) => assert!(!allows && why == row.name, "{model}: {why}"),
                    Ok(_) => assert!(allows, "{model}: {}", row.name),
                }
            }
        }
    }
}

#[test]
fn local_apics_are_virtualized_wholly_or_not_at_all() {
    const CR8: u32 = primary::CR8_LOAD | primary::CR8_STORE;
    for (model, dump) in usable() {
        let whole = found(&dump).unwrap();
        let newer = ["haswell", "skylake", "icelake"];
        assert_eq!(whole.apic, newer.iter().any(|name| model.contains(name)), "{model}");
        let shadow = (TRUE[1], u64::from(primary::TPR_SHADOW) << 32);
        let others = (0..32).map(|bit| APIC & 1 << bit).filter(|bit| *bit != 0);
        for (msr, bits) in others.map(|bit| (SECONDARY_MSR, bit << 32)).chain([shadow]) {
            if dump[&msr] & bits == 0 {
                continue;
            }
            let less = changed(&dump, msr, bits).unwrap();
            assert!(!less.apic, "{model}");
            assert_eq!(less.primary & (CR8 | primary::TPR_SHADOW), CR8, "{model}");
            assert_eq!(u64::from(less.secondary) & APIC, 0, "{model}");
        }
    }
}

#[test]
fn each_bit_of_ept_and_vpid_is_needed_by_name_used_or_nothing() {
    for (model, dump) in usable() {
        let whole = found(&dump).unwrap();
        for bit in 0..64 {
            let now = changed(&dump, EPT_VPID, 1 << bit);
            match bit {
                6 => assert_eq!(now, Err("EPT page walks of four levels")),
                14 => assert_eq!(now, Err("EPT in write-back memory")),
                16 => assert_eq!(now, Err("EPT pages of 2 MiB")),
                17 => assert_eq!(now.unwrap().gigabyte, !whole.gigabyte, "{model}"),
                20 => assert_eq!(now, Err("INVEPT")),
                26 => assert_eq!(now, Err("INVEPT for all contexts")),
                32 | 42 => assert_eq!(now.unwrap().secondary & secondary::VPID, 0, "{model}"),
                _ => assert_eq!(now, Ok(whole), "{model}, bit {bit}"),
            }
        }
    }
}

#[test]
fn pages_of_a_gigabyte_are_used_where_they_are() {
    for (model, dump) in usable() {
        let older = ["arrandale", "sandy_bridge", "ivy_bridge"];
        let there = !older.iter().any(|name| model.contains(name));
        assert_eq!(found(&dump).unwrap().gigabyte, there, "{model}");
    }
}

#[test]
fn guests_start_outside_long_mode_under_a_hypervisor_with_64_bits() {
    for (_, dump) in usable() {
        let found = found(&dump).unwrap();
        assert_eq!(found.entry & entry::GUEST_64, 0);
        assert_eq!(found.exit & (exit::HOST_64 | exit::ACKNOWLEDGE), exit::HOST_64);
        assert_ne!(found.pin & (pin::EXTERNAL | pin::NMI), 0);
        assert_eq!(found.primary & (primary::CR3_LOAD | primary::CR3_STORE), 0);
    }
}

#[test]
fn without_true_capabilities_cr3_always_exits_and_that_is_said() {
    for (_, dump) in usable() {
        assert_eq!(changed(&dump, BASIC, 1 << 55), Err("CR3 loads without exiting"));
    }
}

#[test]
fn structures_lie_anywhere_in_write_back_memory() {
    for (_, dump) in usable() {
        assert_eq!(changed(&dump, BASIC, 1 << 48), Err("control structures above 4 GiB"));
        let uncacheable = changed(&dump, BASIC, 6 << 50);
        assert_eq!(uncacheable, Err("control structures in write-back memory"));
    }
}

#[test]
fn a_guest_may_set_every_bit_of_cr4_that_it_sees() {
    for (_, dump) in usable() {
        for bit in 0..64 {
            let refused = changed(&dump, CR4_MAY, 1 << bit) != found(&dump);
            assert_eq!(refused, CR4 >> bit & 1 != 0, "bit {bit}");
        }
    }
}
