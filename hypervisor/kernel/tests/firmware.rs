// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a PC's firmware and boot loader tell, read from made-up memory; and that
//! nothing there, however wrong, does more than be refused.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use abi::range::Range;
use kernel::acpi::{self, Memory, Override, Uart};
use kernel::loader;
use proptest::prelude::*;

/// Bytes from an address on.
struct Ram(u64, Vec<u8>);

impl Memory for Ram {
    fn bytes(&self, start: u64, len: u64) -> Option<&[u8]> {
        let first = usize::try_from(start.checked_sub(self.0)?).ok()?;
        self.1.get(first..first.checked_add(usize::try_from(len).ok()?)?)
    }
}

const BASE: u64 = 0xe_0000;

/// A table with its length and checksum.
fn table(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut bytes = name.to_vec();
    bytes.extend(u32::try_from(36 + body.len()).unwrap().to_le_bytes());
    bytes.resize(36, 0);
    bytes.extend(body);
    bytes[9] = bytes.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte));
    bytes
}

/// Two CPUs, one of which cannot be used; an I/O APIC; IRQ 0 on line 2.
fn interrupts() -> Vec<u8> {
    let mut body = 0xfee0_0000_u32.to_le_bytes().to_vec();
    body.extend([1, 0, 0, 0]);
    body.extend([0, 8, 0, 7, 1, 0, 0, 0]);
    body.extend([0, 8, 1, 9, 0, 0, 0, 0]);
    body.extend([1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0]);
    body.extend([2, 10, 0, 0, 2, 0, 0, 0, 0, 0]);
    table(b"APIC", &body)
}

/// Memory with a root pointer, its list, the MADT, the FADT and a DSDT with \_S5.
fn firmware() -> Ram {
    let mut bytes = vec![0; 0x1000];
    let mut put = |at: usize, what: &[u8]| bytes[at..at + what.len()].copy_from_slice(what);
    let dsdt = table(b"DSDT", b"\x08_S5_\x12\x06\x04\x0a\x05\x0a\x05\x00");
    let mut fixed = vec![0; 96];
    fixed[4..8].copy_from_slice(&0xe_0400_u32.to_le_bytes());
    fixed[28..32].copy_from_slice(&0xb004_u32.to_le_bytes());
    fixed[40..44].copy_from_slice(&0xb008_u32.to_le_bytes());
    let list = [0xe_0200_u32, 0xe_0300].map(u32::to_le_bytes).concat();
    put(0x100, &table(b"RSDT", &list));
    put(0x200, &interrupts());
    put(0x300, &table(b"FACP", &fixed));
    put(0x400, &dsdt);
    let mut root = b"RSD PTR \0BULKHD\0".to_vec();
    root.extend(0xe_0100_u32.to_le_bytes());
    root[8] = root.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte));
    put(0x40, &root);
    Ram(BASE, bytes)
}

#[test]
fn tables_of_the_first_version_tell_all_that_is_wanted() {
    let facts = acpi::read(&firmware(), Some(BASE + 0x40)).unwrap();
    assert_eq!(facts.cpus, [7]);
    assert_eq!(facts.local_apic, 0xfee0_0000);
    assert_eq!(facts.io_apics.first().unwrap().address, 0xfec0_0000);
    assert_eq!(facts.overrides, [Override { irq: 0, line: 2, flags: 0 }]);
    assert_eq!((facts.line(0), facts.line(4)), ((2, 0), (4, 0)));
    assert_eq!((facts.pm_timer, facts.hpet), (Some(0xb008), None));
    assert_eq!(facts.soft_off, Some((0xb004, 5 << 10 | 1 << 13)));
}

/// The same with a root pointer of version 2, whose list has addresses of 64 bits, an MCFG, an
/// HPET, and this SPCR.
fn firmware_of_the_second_version(console: &[u8]) -> Ram {
    let mut ram = firmware();
    let mut put = |at: usize, what: &[u8]| ram.1[at..at + what.len()].copy_from_slice(what);
    let mut configuration = vec![0; 24];
    configuration[8..16].copy_from_slice(&0xe000_0000_u64.to_le_bytes());
    configuration[19] = 0xff;
    let mut events = vec![0; 20];
    events[8..16].copy_from_slice(&0xfed0_0000_u64.to_le_bytes());
    let list =
        [0xe_0200_u64, 0xe_0300, 0xe_0600, 0xe_0700, 0xe_0800].map(u64::to_le_bytes).concat();
    put(0x500, &table(b"XSDT", &list));
    put(0x600, &table(b"MCFG", &configuration));
    put(0x700, &table(b"SPCR", console));
    put(0x800, &table(b"HPET", &events));
    let mut root = b"RSD PTR \0BULKHD\x02".to_vec();
    root.extend(0_u32.to_le_bytes());
    root[8] = root.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte));
    root.extend(36_u32.to_le_bytes());
    root.extend(0xe_0500_u64.to_le_bytes());
    root.extend([0; 4]);
    put(0x40, &root);
    ram
}

/// The body of an SPCR: kind, space, address, kinds of interrupt, IRQ, baud rate.
fn console(kind: u8, space: u8, address: u64, interrupts: u8, irq: u8, rate: u8) -> Vec<u8> {
    let mut body = vec![kind, 0, 0, 0, space, 8, 0, 1];
    body.extend(address.to_le_bytes());
    body.extend([interrupts, irq, 0, 0, 0, 0, rate]);
    body.resize(44, 0);
    body
}

#[test]
fn tables_of_the_second_version_tell_the_same_and_more() {
    let ram = firmware_of_the_second_version(&console(0, 1, 0x2f8, 1, 3, 3));
    let mut facts = acpi::read(&ram, Some(BASE + 0x40)).unwrap();
    assert_eq!(facts.pci.take(), Some((0xe000_0000, 0, 0xff)));
    assert_eq!(facts.hpet.take(), Some(0xfed0_0000));
    assert_eq!(facts.console.take(), Some(Uart { port: 0x2f8, irq: 3, divisor: 12 }));
    assert_eq!(facts, acpi::read(&firmware(), Some(BASE + 0x40)).unwrap());
}

#[test]
fn a_console_that_is_no_16550_at_ports_with_a_legacy_interrupt_is_not_taken() {
    let told = |body: &[u8]| {
        let ram = firmware_of_the_second_version(body);
        acpi::read(&ram, Some(BASE + 0x40)).unwrap().console
    };
    let good = Uart { port: 0x3e8, irq: 4, divisor: 0 };
    assert_eq!(told(&console(0x12, 1, 0x3e8, 3, 4, 0)), Some(good));
    assert_eq!(told(&console(3, 1, 0x3e8, 3, 4, 0)), None, "a PL011");
    assert_eq!(told(&console(0, 0, 0x3e8, 3, 4, 0)), None, "in memory");
    assert_eq!(told(&console(0, 1, 0x3e8, 2, 4, 0)), None, "without a legacy interrupt");
    for address in [0, 0x3e9, 0x1_03e8] {
        assert_eq!(told(&console(0, 1, address, 3, 4, 0)), None, "{address:#x}");
    }
    assert_eq!(told(&[]), None);
}

#[test]
fn a_table_with_a_wrong_checksum_is_not_believed() {
    let mut ram = firmware();
    ram.1[0x240] ^= 1;
    assert!(acpi::read(&ram, Some(BASE + 0x40)).is_err());
}

#[test]
fn pvh_tells_memory_in_whole_pages() {
    let mut bytes = vec![0; 0x200];
    bytes[..4].copy_from_slice(&0x336e_c578_u32.to_le_bytes());
    bytes[32..40].copy_from_slice(&0xf_5a10_u64.to_le_bytes());
    bytes[40..48].copy_from_slice(&(BASE + 0x100).to_le_bytes());
    bytes[48..52].copy_from_slice(&2_u32.to_le_bytes());
    let entries = [(0x10_0400_u64, 0x2000_u64, 1_u32), (0x40_0000, 0x1000, 2)];
    for (place, (start, len, kind)) in entries.into_iter().enumerate() {
        let at = 0x100 + 24 * place;
        bytes[at..at + 8].copy_from_slice(&start.to_le_bytes());
        bytes[at + 8..at + 16].copy_from_slice(&len.to_le_bytes());
        bytes[at + 16..at + 20].copy_from_slice(&kind.to_le_bytes());
    }
    let told = loader::read(&Ram(BASE, bytes), 0, BASE).unwrap();
    assert_eq!(told.ram, [Range::new(0x10_1000, 0x1000)]);
    assert_eq!(told.root, Some(0xf_5a10));
}

#[test]
fn multiboot2_tells_memory_and_keeps_a_copy_of_the_root_pointer() {
    let mut bytes = vec![0; 8];
    bytes.extend([6_u32, 16 + 24, 24, 0].map(u32::to_le_bytes).concat());
    bytes.extend([0x20_0000_u64, 0x80_0000, 1].map(u64::to_le_bytes).concat());
    let copy = BASE + bytes.len() as u64 + 8;
    bytes.extend([14_u32, 8 + 20].map(u32::to_le_bytes).concat());
    bytes.resize(bytes.len() + 24, 0);
    bytes.extend([0_u32, 8].map(u32::to_le_bytes).concat());
    let len = u32::try_from(bytes.len()).unwrap();
    bytes[..4].copy_from_slice(&len.to_le_bytes());
    let told = loader::read(&Ram(BASE, bytes), 0x36d7_6289, BASE).unwrap();
    assert_eq!(told.ram, [Range::new(0x20_0000, 0x80_0000)]);
    assert_eq!(told.root, Some(copy));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 512 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_bytes_are_read_to_an_end(
        place in 0..0x760usize,
        noise in prop::collection::vec(any::<u8>(), 1..64),
        magic in prop::sample::select(vec![0u32, 0x36d7_6289]),
        second in any::<bool>(),
    ) {
        let mut ram = match second {
            true => firmware_of_the_second_version(&console(0, 1, 0x2f8, 1, 3, 3)),
            false => firmware(),
        };
        let end = (place + noise.len()).min(ram.1.len());
        let len = end - place;
        ram.1[place..end].copy_from_slice(&noise[..len]);
        let _ = acpi::read(&ram, Some(BASE + 0x40));
        let _ = loader::read(&ram, magic, BASE + place as u64);
    }
}
