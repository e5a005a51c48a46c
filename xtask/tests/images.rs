// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a manifest to bytes and back: what the kernel will read is what was
//! written, the device trees say the same, and damage is refused.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

use std::path::{Path, PathBuf};

use abi::bundle::{Bundle, Partition};
use abi::platform::PLATFORM;
use abi::range::Range;
use dtoolkit::fdt::Fdt;
use dtoolkit::{Node, Property};
use proptest::prelude::*;
use xtask::image::{self, GuestFiles};
use xtask::manifest::{self, Folders, ImageKind, Manifest, report};
use xtask::product::refused_damage;
use xtask::workspace::Workspace;

const RAM: u64 = 0x4000_0000;

/// An ELF file with one segment of code, linked at `run` and copied to `place`.
fn elf(run: u64, place: u64, code: &[u8]) -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xb7\0\x01\0\0\0".to_vec();
    file.extend([run, 64, 0].iter().flat_map(|word| word.to_le_bytes()));
    file.extend(
        [0, 64 + (56 << 16), 1 + (64 << 16), 0_u32].iter().flat_map(|word| word.to_le_bytes()),
    );
    file.extend([1_u32, 5].iter().flat_map(|word| word.to_le_bytes()));
    let len = code.len() as u64;
    file.extend([120, run, place, len, len + 0x1000, 8].iter().flat_map(|word| word.to_le_bytes()));
    file.extend_from_slice(code);
    file
}

/// A kernel `Image` with its header, needing 24 MiB.
fn linux() -> Vec<u8> {
    let mut image: Vec<u8> = (0..700_000_u32).map(|byte| (byte % 253) as u8).collect();
    image[8..16].fill(0);
    image[16..24].copy_from_slice(&(24_u64 << 20).to_le_bytes());
    image[24..32].copy_from_slice(&10_u64.to_le_bytes());
    image[56..60].copy_from_slice(b"ARM\x64");
    image
}

/// Stands for the guests of the demo.
fn guest(name: &str) -> anyhow::Result<GuestFiles> {
    let (kind, image, initrd) = match name {
        "linux" => (ImageKind::Linux, linux(), Some(vec![0x5a; 300_001])),
        "freertos" => (ImageKind::Elf, elf(RAM, RAM, &[1; 40_000]), None),
        _ => (ImageKind::Elf, elf(RAM + 0x8_0000, RAM + 0x8_0000, &[2; 5_000]), None),
    };
    Ok(GuestFiles { kind, image, initrd, cmdline: "own words".to_owned() })
}

fn folders() -> Folders {
    Folders::of(&Workspace::find().unwrap())
}

fn demo() -> Manifest {
    let folders = folders();
    manifest::load(&folders.boards.join("qemu-arm64/demo.toml"), &folders).unwrap()
}

/// Writes a manifest to a folder of its own and loads it.
fn load(name: &str, text: &str) -> Manifest {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join(format!("{name}.toml"));
    std::fs::write(&path, text).unwrap();
    manifest::load(&path, &folders()).unwrap()
}

fn program() -> Vec<u8> {
    let mut code = vec![0; 100_000];
    code[56..60].copy_from_slice(b"ARM\x64");
    code[64..72].copy_from_slice(b"BHBOOT\0\0");
    elf(0xffff_0000_0000_0000, RAM, &code)
}

fn open(bundle: &[u8]) -> Bundle<'_> {
    Bundle::open(bundle, crc32c::crc32c_append, &PLATFORM).unwrap()
}

/// A partition's device tree, found where x0 will point.
fn tree<'a>(bundle: &Bundle<'a>, partition: &Partition<'a>) -> Fdt<'a> {
    let at = partition.record.argument.get();
    Fdt::new(bundle.segments(partition).find(|segment| segment.guest == at).unwrap().bytes).unwrap()
}

/// A property of a node, as bytes.
fn property(tree: &Fdt, path: &str, name: &str) -> Vec<u8> {
    tree.find_node(path).unwrap().property(name).unwrap().value().to_vec()
}

fn cells(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

#[test]
fn the_demo_comes_back_from_its_bundle() {
    let manifest = demo();
    let bytes = image::bundle(&manifest, &mut guest).unwrap();
    let bundle = open(&bytes);
    assert_eq!(bundle.board(), "qemu-arm64");
    for (read, written) in bundle.partitions().zip(manifest.partitions()) {
        assert_eq!(read.name(), written.name);
        assert_eq!(read.memory(), written.memory);
        let cpus: Vec<_> = read.cpus().iter().map(|cpu| cpu.cpu.get()).collect();
        assert_eq!(cpus, written.cpus);
        for (read, written) in read.devices().iter().zip(&written.devices) {
            let registers = Range::new(read.host.get(), read.size.get());
            assert_eq!(registers, written.registers);
            assert_eq!(read.interrupts[0].get(), written.interrupts[0]);
        }
    }
    let names: Vec<_> =
        bundle.channels().iter().map(|channel| channel.ends[0].registers.get()).collect();
    let written: Vec<_> =
        manifest.channels().iter().map(|channel| channel.ends[0].registers).collect();
    assert_eq!(names, written);
}

#[test]
fn linux_lies_below_its_ram_disk_and_that_below_the_device_tree() {
    let bytes = image::bundle(&demo(), &mut guest).unwrap();
    let bundle = open(&bytes);
    let partition = bundle.tables().partition(0).unwrap();
    let segments: Vec<_> = bundle.segments(&partition).collect();
    assert_eq!(segments[0].guest, RAM);
    assert_eq!(partition.record.entry.get(), RAM);
    assert_eq!(partition.record.argument.get(), RAM + (510 << 20));
    let initrd = segments[1];
    assert_eq!(initrd.bytes.len(), 300_001);
    assert!(initrd.guest % 0x1000 == 0 && initrd.guest + 300_001 <= segments[2].guest);
    let tree = tree(&bundle, &partition);
    assert_eq!(property(&tree, "/chosen", "linux,initrd-start"), initrd.guest.to_be_bytes());
    assert_eq!(
        property(&tree, "/chosen", "linux,initrd-end"),
        (initrd.guest + 300_001).to_be_bytes()
    );
    assert_eq!(property(&tree, "/chosen", "bootargs"), b"own words\0");
}

#[test]
fn a_device_tree_says_what_the_partition_has() {
    let bytes = image::bundle(&demo(), &mut guest).unwrap();
    let bundle = open(&bytes);
    let driver = bundle.tables().partition(2).unwrap();
    let tree = tree(&bundle, &driver);
    assert_eq!(property(&tree, "/memory@40000000", "reg"), cells(&[0, 0x4000_0000, 0, 8 << 20]));
    assert_eq!(property(&tree, "/rtc@9010000", "interrupts"), cells(&[0, 2, 4]));
    assert_eq!(property(&tree, "/rtc@9010000", "clocks"), property(&tree, "/apb-pclk", "phandle"));
    let gic = [0, 0x0800_0000, 0, 0x1_0000, 0, 0x080a_0000, 0, 0x2_0000];
    assert_eq!(property(&tree, "/intc@8000000", "reg"), cells(&gic));
    let channel = [0, 0x0c00_1000, 0, 0x1000, 0, 0x0c10_1000, 0, 0x1000];
    assert_eq!(property(&tree, "/channel@c001000", "reg"), cells(&channel));
    assert_eq!(property(&tree, "/channel@c001000", "interrupts"), cells(&[0, 9, 1]));
    assert_eq!(property(&tree, "/channel@c001000", "label"), b"clock\0");
    assert_eq!(property(&tree, "/channel@c001000", "peer"), b"rtos\0");
    assert!(tree.find_node("/cpus/cpu@0").is_some() && tree.find_node("/cpus/cpu@1").is_none());
    assert!(tree.find_node("/pl061@9030000").is_none());
}

#[test]
fn the_device_tree_lies_below_an_image_or_in_the_last_block() {
    let bytes = image::bundle(&demo(), &mut guest).unwrap();
    let bundle = open(&bytes);
    let places: Vec<_> =
        bundle.partitions().map(|partition| partition.record.argument.get()).collect();
    assert_eq!(places[1..], [RAM + (30 << 20), RAM]);
}

#[test]
fn raw_and_firmware_start_where_they_should() {
    std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join("code.bin"), [3; 5000]).unwrap();
    let text = "version = 1\nboard = 'qemu-arm64'\n\
        [partition.raw]\ncpus = [0]\nmemory = '4 MiB'\ncmdline = 'group=1'\n\
        guest = { image = 'code.bin', kind = 'raw', load = 0x4000_0000, entry = 0x4000_0010 }\n\
        [partition.boot]\ncpus = [1]\nmemory = '64 MiB'\n\
        guest = { image = 'code.bin', kind = 'firmware' }\n";
    let bytes = image::bundle(&load("raw", text), &mut guest).unwrap();
    let bundle = open(&bytes);
    let [raw, boot] = [0, 1].map(|row| bundle.tables().partition(row).unwrap());
    assert_eq!(raw.record.entry.get(), RAM + 0x10);
    assert_eq!(raw.record.argument.get(), RAM + (2 << 20));
    assert_eq!(property(&tree(&bundle, &raw), "/chosen", "bootargs"), b"group=1\0");
    assert_eq!((boot.record.entry.get(), boot.record.rom_size.get()), (0, 0x2000));
    assert_eq!(boot.record.argument.get(), RAM);
    let flash = bundle.segments(&boot).next().unwrap();
    assert_eq!((flash.bytes[4999], flash.bytes[5000], flash.bytes.len()), (3, 0xff, 0x2000));
    assert!(tree(&bundle, &boot).find_node("/pl061@9030000").is_some());
}

#[test]
fn an_entry_counts_where_the_segment_is_copied() {
    let text = "version = 1\nboard = 'qemu-arm64'\n\
        [partition.a]\ncpus = [0]\nmemory = '4 MiB'\nguest = 'linux'\n";
    let high = elf(0xffff_8000_0000_0000, RAM + 0x1000, &[0; 64]);
    let mut high = |_: &str| {
        let image = high.clone();
        Ok(GuestFiles { kind: ImageKind::Elf, image, initrd: None, cmdline: String::new() })
    };
    let bytes = image::bundle(&load("high", text), &mut high).unwrap();
    let bundle = open(&bytes);
    assert_eq!(bundle.partitions().next().unwrap().record.entry.get(), RAM + 0x1000);
}

#[test]
fn the_flash_image_is_the_same_every_time_and_says_where_its_bundle_is() {
    let manifest = demo();
    let image = image::build(&manifest, &program(), &mut guest).unwrap();
    let again = image::build(&demo(), &program(), &mut guest).unwrap();
    let board = manifest.board();
    assert!(image.flash(board) == again.flash(board));
    let (flash, file) = (image.flash(board), image.bytes());
    assert_eq!(flash.len(), 64 << 20);
    assert!(flash.starts_with(file) && flash[file.len()..].iter().all(|byte| *byte == 0xff));
    let word = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().unwrap());
    let home = manifest.board().home;
    let len = image.bundle().len() as u64;
    let record: Vec<_> = (72..112).step_by(8).map(word).collect();
    assert_eq!(record, [0x2_0000, len, manifest.board().device_tree, home.start, home.size]);
    assert_eq!(word(16), file.len() as u64 + (4 << 20) + home.size);
    assert_eq!(&file[0x2_0000..0x2_0008], b"BULKHEAD");
    open(&file[0x2_0000..]);
}

#[test]
fn damaged_bytes_of_a_bundle_are_refused() {
    let bytes = image::bundle(&demo(), &mut guest).unwrap();
    refused_damage(&bytes, &PLATFORM, 1000).unwrap();
    let error = refused_damage(&bytes[..bytes.len() - 1], &PLATFORM, 1).unwrap_err().to_string();
    assert!(error.contains("undamaged"), "{error}");
}

#[test]
fn the_report_names_owners_and_shouts_concessions() {
    let text = "version = 1\nboard = 'qemu-arm64'\n\
        [partition.a]\ncpus = [0]\nguest = 'linux'\nidle = 'trap'\ndma = 'unprotected'\n\
        memory = { size = '4 MiB', host = 0x5000_0000, identity = true }\ndevices = ['fw-cfg']\n";
    let report = report::render(&load("report", text));
    for line in [
        "report on board qemu-arm64",
        "  guest      linux (guests/linux)",
        "  memory     4 MiB, guest 0x50000000-0x503fffff, host 0x50000000-0x503fffff (pinned)",
        "  device     fw-cfg           0x09020000-0x09020fff (4 KiB), interrupts none",
        "  PARTITION a HAS IDENTITY MEMORY: IT KNOWS HOST ADDRESSES",
        "  DEVICES OF PARTITION a MAY WRITE ANYWHERE: fw-cfg",
        "  PARTITION a LEAVES ITS CPU WHEN IDLE: TIMES OF WAKING DIFFER",
        "  device     rtc              0x09010000-0x09010fff (4 KiB)",
    ] {
        assert!(report.lines().any(|shown| shown == line), "{line} is not in\n{report}");
    }
}

/// What becomes of a text: never a panic.
fn answered(text: &[u8]) -> bool {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("any.toml");
    std::fs::write(&path, text).unwrap();
    match manifest::load(&path, &folders()) {
        Ok(manifest) => !report::render(&manifest).is_empty(),
        Err(mistakes) => !mistakes.is_empty() && !mistakes.render(true).is_empty(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_text_is_answered(
        text in proptest::collection::vec(any::<u8>(), 0..200),
        cut in 0_usize..1000,
        words in proptest::collection::vec("(version|cpus|memory|guest|\"|=|\\[|\\]|\\{|\\}|\n|,|0x|-1|9999999999|é|between|size|host|identity|true) ?", 0..30),
    ) {
        prop_assert!(answered(&text));
        let demo = std::fs::read(folders().boards.join("qemu-arm64/demo.toml")).unwrap();
        let mut changed = demo[..cut.min(demo.len())].to_vec();
        changed.extend(words.concat().bytes());
        changed.extend(&demo[cut.min(demo.len())..]);
        prop_assert!(answered(&changed));
    }

    #[test]
    fn any_image_is_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300), place in 0_usize..200, value in any::<u8>()) {
        let manifest = demo();
        for kind in [ImageKind::Linux, ImageKind::Elf, ImageKind::Firmware] {
            let mut changed = elf(RAM, RAM, &[1; 100]);
            changed[place] = value;
            for image in [bytes.clone(), changed] {
                let mut guests = |_: &str| {
                    Ok(GuestFiles { kind, image: image.clone(), initrd: None, cmdline: String::new() })
                };
                let _ = image::bundle(&manifest, &mut guests);
            }
        }
    }
}
