// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bundles as bytes: what is written is read, what is damaged is refused, and
//! no bytes at all lead to a panic.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod example;

use abi::bundle::Bundle;
use abi::crc32c::{of_bundle, software};
use abi::platform::PLATFORM;
use abi::records::{FORMAT, Header};
use abi::refusal::{Refusal, Rule};
use proptest::prelude::*;

fn open(bytes: &[u8]) -> Result<Bundle<'_>, Refusal> {
    Bundle::open(bytes, software, &PLATFORM)
}

/// Makes the checksum right, as somebody with bad intent would.
fn seal(bytes: &mut [u8]) {
    let crc = of_bundle(bytes, software);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn what_is_written_is_read() {
    let bytes = example::draft().write();
    let bundle = open(&bytes).unwrap();
    assert_eq!(bundle.board(), "qemu-arm64");
    let names: Vec<_> = bundle.partitions().map(|partition| partition.name()).collect();
    assert_eq!(names, ["alpha", "beta"]);
    let beta = bundle.tables().partition(1).unwrap();
    assert_eq!(beta.cpus().iter().map(|cpu| cpu.cpu.get()).collect::<Vec<_>>(), [2]);
    assert_eq!(beta.devices()[0].interrupts[0].get(), 34);
    let segments: Vec<_> = bundle.segments(&beta).collect();
    assert_eq!(segments[1].guest, 0x4010_0000);
    assert_eq!(segments[1].bytes, [7; 77]);
    let channels: Vec<_> = beta.channels().map(|(channel, side)| (channel.name[0], side)).collect();
    assert_eq!(channels, [(b'o', 1), (b't', 0)]);
}

#[test]
fn every_single_damaged_byte_is_refused() {
    let bytes = example::draft().write();
    assert!((3800..5000).contains(&bytes.len()), "{} bytes", bytes.len());
    for place in 0..bytes.len() {
        for bits in [0x01, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[place] ^= bits;
            assert!(open(&damaged).is_err(), "byte {place} ^ {bits:#x} was accepted");
        }
    }
}

#[test]
fn every_value_of_every_header_byte_but_the_written_one_is_refused() {
    let bytes = example::draft().write();
    for place in 0..size_of::<Header>() {
        for value in 0..=255 {
            let mut damaged = bytes.clone();
            damaged[place] = value;
            assert_eq!(open(&damaged).is_ok(), value == bytes[place], "byte {place} = {value:#x}");
        }
    }
}

#[test]
fn every_length_but_the_written_one_is_refused() {
    let bytes = example::draft().write();
    for len in 0..bytes.len() {
        assert!(open(&bytes[..len]).is_err());
    }
    let len = bytes.len();
    let mut longer = bytes;
    longer.push(0);
    assert_eq!(
        open(&longer).unwrap_err().to_string(),
        format!("bundle: {} bytes in flash, {len} in its header", len + 1)
    );
}

#[test]
fn a_bundle_lies_at_a_multiple_of_eight() {
    let mut bytes = vec![0; 4];
    bytes.extend(example::draft().write());
    let refusal = open(&bytes[4..]).unwrap_err().to_string();
    assert!(refusal.starts_with("bundle: lies at 0x"), "{refusal}");
    assert!(
        refusal.ends_with("4, not at a multiple of 8")
            || refusal.ends_with("c, not at a multiple of 8")
    );
}

#[test]
fn the_first_thing_that_is_wrong_is_told() {
    let bytes = example::draft().write();
    let refused = |place: usize| {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1;
        open(&damaged).unwrap_err().to_string()
    };
    assert_eq!(refused(0), "bundle: does not begin with BULKHEAD");
    let other = format!("bundle: format {}, this kernel reads {FORMAT}", FORMAT ^ 1);
    assert_eq!(refused(8), other);
    assert_eq!(refused(16), "bundle: written by another build of xtask");
    assert!(refused(24).starts_with("bundle: "));
    assert!(refused(400).starts_with("bundle: damaged, CRC-32C 0x"));
    assert_eq!(open(&bytes[..10]).unwrap_err().to_string(), "bundle: shorter than its header");
}

#[test]
fn tables_and_images_outside_are_refused_even_with_a_right_checksum() {
    let bytes = example::draft().write();
    let sealed = |place: usize, value: u32| {
        let mut changed = bytes.clone();
        changed[place..place + 4].copy_from_slice(&value.to_le_bytes());
        seal(&mut changed);
        open(&changed).unwrap_err()
    };
    let tables = std::mem::offset_of!(Header, partitions);
    for (row, name) in
        ["partitions", "cpus", "segments", "devices", "channels"].into_iter().enumerate()
    {
        for (field, value) in [(0, u32::MAX), (4, u32::MAX), (4, 1000), (0, 10_000)] {
            let refusal = sealed(tables + row * 8 + field, value);
            assert_eq!(refusal.to_string(), format!("bundle: table of {name} lies outside"));
        }
    }
    let segments = u32::from_le_bytes(bytes[tables + 16..tables + 20].try_into().unwrap()) as usize;
    assert_eq!(
        sealed(segments, 0x10_0000).to_string(),
        "bundle: image of partition alpha lies outside"
    );
    assert_eq!(sealed(segments + 8, 0x10_0000).rule, Rule::Payload);
    assert_eq!(sealed(segments + 12, u32::MAX).rule, Rule::Payload);
    assert_eq!(sealed(segments, 65).rule, Rule::Payload);
}

/// Reads everything that a checked bundle offers.
fn visit(bundle: &Bundle) -> usize {
    let rows = |partition: abi::bundle::Partition| {
        partition.cpus().len()
            + partition.devices().len()
            + partition.channels().count()
            + partition.name().len()
    };
    let bytes =
        |partition| bundle.segments(&partition).map(|segment| segment.bytes.len()).sum::<usize>();
    bundle.partitions().map(|partition| rows(partition) + bytes(partition)).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(open(&bytes).is_err());
    }

    #[test]
    fn changed_bytes_with_a_right_checksum_are_answered(
        changes in proptest::collection::vec((32_usize..1100, any::<u8>()), 1..8),
    ) {
        let mut bytes = example::draft().write();
        for (place, value) in changes {
            bytes[place] = value;
        }
        seal(&mut bytes);
        match open(&bytes) {
            Ok(bundle) => prop_assert!(visit(&bundle) > 0),
            Err(refusal) => prop_assert!(!refusal.to_string().is_empty()),
        }
    }
}
