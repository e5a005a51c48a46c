// SPDX-License-Identifier: MIT OR Apache-2.0
//! A PC's images read back: the bundle, the ACPI tables in it, and the ELF file
//! that carries it.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

use std::path::PathBuf;
use std::sync::LazyLock;

use abi::bundle::{Bundle, Partition};
use abi::platform::pc;
use xtask::image::{self, GuestFiles};
use xtask::manifest::{self, Folders, Manifest};
use xtask::workspace::Workspace;

const SYSTEM: &str = r#"
version = 1
board   = "pc"

[partition.one]
guest   = { image = "hello", kind = "raw", load = 0x10_0000, entry = 0x10_0000, mode = 32 }
cpus    = [0, 1, 2]
memory  = "8 MiB"
devices = ["com2"]

[partition.two]
guest  = { image = "hello", kind = "raw", load = 0x7c00, entry = 0x7c00, mode = 16 }
cpus   = [3]
memory = "8 MiB"

[channel.first]
between = ["one", "two"]
size    = "64 KiB"

[channel.second]
between = ["two", "one"]
size    = "4 KiB"
"#;

/// Written and read once: the tests run side by side.
fn system() -> &'static Manifest {
    static SYSTEM: LazyLock<Manifest> = LazyLock::new(written);
    &SYSTEM
}

fn written() -> Manifest {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(folder.join("hello"), [0xf4; 100]).unwrap();
    let path = folder.join("pc-system.toml");
    std::fs::write(&path, SYSTEM).unwrap();
    manifest::load(&path, &Folders::of(&Workspace::find().unwrap())).unwrap()
}

fn no_guest(name: &str) -> anyhow::Result<GuestFiles> {
    anyhow::bail!("no guest {name}")
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn sums_to_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte)) == 0
}

/// A partition's ACPI tables by signature, found through the root pointer.
fn tables<'a>(bundle: &Bundle<'a>, partition: &Partition<'a>) -> Vec<(String, &'a [u8])> {
    let all = bundle.segments(partition).find(|segment| segment.guest == pc::ACPI).unwrap().bytes;
    assert!(all.starts_with(b"RSD PTR ") && sums_to_zero(&all[..20]) && sums_to_zero(&all[..36]));
    let table = |address: u64| {
        let bytes = &all[(address - pc::ACPI) as usize..];
        &bytes[..number(&bytes[4..8]) as usize]
    };
    let root = table(number(&all[24..32]));
    let entries = root[36..].chunks_exact(8).map(|entry| table(number(entry)));
    let mut found: Vec<&[u8]> = entries.collect();
    let fixed = *found.iter().find(|table| table.starts_with(b"FACP")).unwrap();
    found.push(table(number(&fixed[40..44])));
    found.push(root);
    for table in &found {
        assert!(sums_to_zero(table), "{:?}", &table[..4]);
    }
    found.into_iter().map(|table| (String::from_utf8_lossy(&table[..4]).into(), table)).collect()
}

#[test]
fn acpi_tables_describe_the_partition() {
    let bytes = image::bundle(system(), &mut no_guest).unwrap();
    let bundle = Bundle::open(&bytes, crc32c::crc32c_append, &pc::PLATFORM).unwrap();
    let one = bundle.tables().partition(0).unwrap();
    let tables = tables(&bundle, &one);
    let table = |name: &str| tables.iter().find(|(known, _)| known == name).unwrap().1;
    let mut entries = &table("APIC")[44..];
    let mut kinds = Vec::new();
    while let [kind, len, ..] = entries {
        kinds.push(*kind);
        entries = &entries[usize::from(*len)..];
    }
    assert_eq!(kinds, [0, 0, 0, 1, 2, 2], "three local APICs, an I/O APIC, two overrides");
    let fixed = table("FACP");
    assert_eq!(number(&fixed[46..48]), u64::from(pc::SCI));
    assert_eq!(number(&fixed[56..60]), u64::from(pc::PM_EVENT));
    assert_eq!(number(&fixed[64..68]), u64::from(pc::PM_CONTROL));
    assert_eq!(number(&fixed[76..80]), u64::from(pc::PM_TIMER));
    assert_eq!(fixed[128], pc::RESET_VALUE);
    let dsdt = table("DSDT");
    let holds = |bytes: &[u8]| dsdt.windows(bytes.len()).any(|window| window == bytes);
    assert!(holds(b"_S5_") && holds(b"com2") && holds(b"first") && holds(b"second"));
    assert!(holds(b"BULK0001") && holds(&0xd000_1000_u32.to_le_bytes()));
}

#[test]
fn devices_channels_and_entries_come_back_from_the_bundle() {
    let bytes = image::bundle(system(), &mut no_guest).unwrap();
    let bundle = Bundle::open(&bytes, crc32c::crc32c_append, &pc::PLATFORM).unwrap();
    let [one, two] = [0, 1].map(|row| bundle.tables().partition(row).unwrap());
    let device = one.devices()[0];
    assert_eq!([device.port.get(), device.ports.get(), device.size.get() as u32], [0x2f8, 8, 0]);
    assert_eq!(device.interrupts[0].get(), 3);
    assert_eq!(one.record.entry.get(), 0x10_0000);
    assert_eq!(two.record.entry.get(), 0xf_8000, "real mode is entered by the trampoline");
    let ends: Vec<_> = bundle.channels().iter().map(|channel| channel.ends[0]).collect();
    assert_eq!([ends[0].registers.get(), ends[1].memory.get()], [0xd000_0000, 0xd011_0000]);
    assert_eq!([ends[0].interrupt.get(), ends[1].interrupt.get()], [16, 17]);
}

/// The smallest program with a boot record: ELF64 for x86-64, one segment at 2 MiB.
fn program() -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
    file.extend([0x20_0000_u64, 64, 0].iter().flat_map(|word| word.to_le_bytes()));
    let counts = [0, 64 + (56 << 16), 1 + (64 << 16), 0_u32];
    file.extend(counts.iter().flat_map(|word| word.to_le_bytes()));
    file.extend([1_u32, 5].iter().flat_map(|word| word.to_le_bytes()));
    let segment = [120, u64::MAX << 31, 0x20_0000, 40, 0x1000, 8];
    file.extend(segment.iter().flat_map(|word| word.to_le_bytes()));
    file.extend_from_slice(&[0; 16]);
    file.extend_from_slice(b"BHBOOT\0\0");
    file.extend_from_slice(&[0; 16]);
    file
}

#[test]
fn the_elf_file_carries_the_bundle_and_its_record_says_where() {
    let system = system();
    let image = image::build(system, &program(), &mut no_guest).unwrap();
    let file = image.bytes();
    assert!(file == image::build(system, &program(), &mut no_guest).unwrap().bytes());
    assert_eq!(number(&file[56..58]), 2, "one more segment");
    let section = number(&file[40..48]) as usize;
    assert_eq!([number(&file[58..60]), number(&file[60..62])], [64, 1], "GRUB 2.12 wants one");
    assert_eq!(file[section..section + 64], [0; 64], "the null section");
    let header = &file[64 + 56..64 + 2 * 56];
    let [offset, phys, len] = [8, 24, 32].map(|at| number(&header[at..at + 8]));
    assert_eq!([phys, len], [0x200_0000, image.bundle().len() as u64]);
    assert_eq!(&file[offset as usize..], image.bundle());
    let record = image::build(system, &program(), &mut no_guest).unwrap();
    let at = record.bytes().windows(8).position(|window| window == b"BHBOOT\0\0").unwrap();
    assert_eq!(number(&file[at + 8..at + 16]), phys);
    assert_eq!(number(&file[at + 16..at + 24]), len);
    assert_eq!(image.bundles(file), [offset as usize]);
    assert!(image::build(system, &program()[..120], &mut no_guest).is_err());
}
