// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every mistake has a small manifest in tests/mistakes and its exact message
//! beside it. With `BLESS=1` in the environment the messages are written anew,
//! to be read before they are committed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use abi::refusal::Rule;
use xtask::image::{self, GuestFiles};
use xtask::manifest::mistake::{Kind, Mistakes};
use xtask::manifest::{self, Folders, ImageKind};

/// Rules that no manifest can break, and why.
const UNWRITABLE: &[(Rule, &str)] = &[
    (Rule::Align, "of bytes in flash"),
    (Rule::Short, "of bytes in flash"),
    (Rule::Magic, "of bytes in flash"),
    (Rule::Format, "of bytes in flash"),
    (Rule::Layout, "of bytes in flash"),
    (Rule::Arch, "of bytes in flash"),
    (Rule::Length, "of bytes in flash"),
    (Rule::Checksum, "of bytes in flash"),
    (Rule::Table, "of bytes in flash"),
    (Rule::Rows, "of bytes in flash"),
    (Rule::Payload, "of bytes in flash"),
    (Rule::ManyPartitions, "each needs a CPU, and no board has 256"),
    (Rule::NameTwice, "TOML has each key once"),
    (Rule::ChannelTwice, "TOML has each key once"),
    (Rule::Intids, "given out by xtask"),
    (Rule::ChannelOverlap, "windows are given out by xtask"),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/mistakes").canonicalize().unwrap()
}

/// A PT_LOAD segment: address, bytes in the file, bytes in memory.
type Load = (u64, usize, u64);

/// An ELF file of the smallest sort.
fn elf(kind: u16, machine: u16, entry: u64, loads: &[Load]) -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend([kind, machine].iter().flat_map(|half| half.to_le_bytes()));
    file.extend(1_u32.to_le_bytes());
    file.extend([entry, 64, 0].iter().flat_map(|word| word.to_le_bytes()));
    file.extend(0_u32.to_le_bytes());
    let counts = [64, 56, loads.len() as u16, 64, 0, 0];
    file.extend(counts.iter().flat_map(|half| half.to_le_bytes()));
    let mut offset = 64 + 56 * loads.len() as u64;
    for (address, len, size) in loads {
        file.extend([1_u32, 5].iter().flat_map(|word| word.to_le_bytes()));
        let words = [offset, *address, *address, *len as u64, *size, 8];
        file.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        offset += *len as u64;
    }
    file.resize(offset as usize, 0);
    file
}

/// A file for x86 with a multiboot header.
fn multiboot(flags: u32, addresses: [u32; 5]) -> Vec<u8> {
    let mut file = elf(2, 62, 0x10_0000, &[(0x10_0000, 64, 64)]);
    let program = file.len() - 64;
    let words = [0x1bad_b002, flags, 0_u32.wrapping_sub(0x1bad_b002).wrapping_sub(flags)];
    let bytes: Vec<u8> =
        words.iter().chain(&addresses).flat_map(|word| word.to_le_bytes()).collect();
    file[program..program + bytes.len()].copy_from_slice(&bytes);
    file
}

/// The guests of tests/mistakes/guests.
fn guest(name: &str) -> anyhow::Result<GuestFiles> {
    const RAM: u64 = 0x4000_0000;
    const AARCH64: u16 = 183;
    const X86_64: u16 = 62;
    let mut kind = ImageKind::Elf;
    let image = match name {
        "good" => elf(2, AARCH64, RAM, &[(RAM, 64, 64)]),
        "huge" => elf(2, AARCH64, RAM, &[(RAM, 64, 64 << 20)]),
        "low" => elf(2, AARCH64, RAM - 0x1000, &[(RAM - 0x1000, 64, 64)]),
        "twice" => elf(2, AARCH64, RAM, &[(RAM, 64, 64), (RAM + 32, 64, 64)]),
        "lost" => elf(2, AARCH64, RAM + 64, &[(RAM, 64, 64)]),
        "x86" => elf(2, X86_64, RAM, &[(RAM, 64, 64)]),
        "object" => elf(1, AARCH64, 0, &[]),
        "pc-good" => multiboot(0, [0; 5]),
        "pc-bare" => elf(2, X86_64, 0x10_0000, &[(0x10_0000, 64, 64)]),
        "pc-cut" => multiboot(1 << 16, [0x10_0000, 0x20_0000, 0, 0, 0x20_0000]),
        "pc-kernel" => {
            kind = ImageKind::Linux;
            vec![0; 4096]
        }
        "kernel" => {
            kind = ImageKind::Linux;
            let mut image = vec![0; 64];
            image[16..24].copy_from_slice(&(24_u64 << 20).to_le_bytes());
            image[56..60].copy_from_slice(b"ARM\x64");
            image
        }
        "packed" => {
            kind = ImageKind::Linux;
            b"\x1f\x8b\x08\0cut".to_vec()
        }
        "flash" => {
            kind = ImageKind::Firmware;
            vec![0; 65 << 20]
        }
        other => anyhow::bail!("the test has no guest {other}"),
    };
    Ok(GuestFiles { kind, image, initrd: None, cmdline: String::new() })
}

/// The smallest program that has the headers of the hypervisor's.
fn kernel() -> Vec<u8> {
    let mut file = elf(2, 183, 0x4000_0000, &[(0x4000_0000, 128, 128)]);
    let program = file.len() - 128;
    file[program + 56..program + 60].copy_from_slice(b"ARM\x64");
    file[program + 64..program + 72].copy_from_slice(b"BHBOOT\0\0");
    file
}

/// What is said of a manifest.
fn mistakes(path: &Path, folders: &Folders) -> Mistakes {
    let manifest = match manifest::load(path, folders) {
        Ok(manifest) => manifest,
        Err(mistakes) => return mistakes,
    };
    match image::build(&manifest, &kernel(), &mut guest) {
        Ok(_) => panic!("{} has no mistake", path.display()),
        Err(error) => error.downcast().unwrap(),
    }
}

#[test]
fn every_mistake_is_told_in_its_exact_words() {
    let folder = folder();
    let root = folder.join("../..").canonicalize().unwrap();
    let folders = Folders { root, boards: folder.join("boards"), guests: folder.join("guests") };
    let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut manifests: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    manifests.sort();
    let mut kinds = BTreeSet::new();
    let mut wrong = Vec::new();
    for path in &manifests {
        let mistakes = mistakes(path, &folders);
        kinds.extend(mistakes.iter().map(|mistake| mistake.kind));
        let said = mistakes.render(false);
        let expect = path.with_extension("expect");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&expect, &said).unwrap();
        }
        if std::fs::read_to_string(&expect).unwrap_or_default() != said {
            wrong.push(format!("{} is told as\n{said}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(manifests.len() >= 30);
    let rules = Rule::ALL.iter().filter(|rule| UNWRITABLE.iter().all(|(known, _)| known != *rule));
    for kind in Kind::OWN.iter().copied().chain(rules.map(|rule| Kind::Rule(*rule))) {
        assert!(kinds.contains(&kind), "no manifest in tests/mistakes makes the mistake {kind:?}");
    }
    for (rule, why) in UNWRITABLE {
        assert!(!kinds.contains(&Kind::Rule(*rule)), "{rule:?} was said to be {why}");
    }
}

#[test]
fn every_message_has_a_manifest() {
    let entries = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    for path in entries.filter(|path| path.extension().is_some_and(|end| end == "expect")) {
        assert!(path.with_extension("toml").is_file(), "{} stands alone", path.display());
    }
}
