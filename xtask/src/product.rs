// SPDX-License-Identifier: MIT OR Apache-2.0
//! A system's flash image with what is needed to boot it.

use crate::cargo::Recipe;
use crate::emulator::table;
use crate::guests::Builder;
use crate::image;
use crate::image::{Program, pc};
use crate::manifest::board::Arch;
use crate::manifest::{self, Folders, Guest, Manifest};
use crate::packages::debian::{self, Package};
use crate::scenario::format::with_word;
use crate::system::System;
use crate::terminal::Step;
use crate::workspace::Workspace;
use abi::bundle::Bundle;
use abi::platform::Platform;
use anyhow::{Context, Result, anyhow, bail, ensure};
use bulkhead_test::Boot;
use bulkhead_test::built::Built;
use bulkhead_test::emulator::table::Emulator;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The package of the UEFI application.
const APPLICATION: &str = "bulkhead-uefi";
/// The target that it is built for.
const APPLICATION_TARGET: &str = "x86_64-unknown-uefi";
/// The feature that makes a bootable program of the kernel.
const BARE: &str = "bare";

/// A built system.
#[derive(Debug)]
pub struct Product {
    /// The system's name.
    pub name: String,
    /// Its manifest.
    pub manifest: Manifest,
    /// The hypervisor with its symbols, for a debugger.
    pub kernel: PathBuf,
    /// Partitions, and the file that each one's guest was taken from.
    pub programs: BTreeMap<String, PathBuf>,
    /// The Debian packages that it was made from.
    pub packages: Vec<Package>,
    /// Bytes of the hypervisor's program in the flash image.
    pub program_len: usize,
    /// Bytes of the bundle behind it.
    pub bundle_len: usize,
    /// What starts it.
    pub built: Built,
    /// Where the bundle lies in each file that boots.
    bundles: BTreeMap<Boot, Vec<usize>>,
}

/// What boots in each way, and where the bundle lies in it: a disk holds it once for
/// each firmware.
#[derive(Default)]
struct Boots {
    files: BTreeMap<Boot, PathBuf>,
    bundles: BTreeMap<Boot, Vec<usize>>,
}

/// Builds a system: the hypervisor, every guest, and the files that boot.
pub fn build(workspace: &Workspace, builder: &mut Builder, system: &System) -> Result<Product> {
    make(workspace, builder, system, true)
}

/// The same with a hypervisor without the mailbox, in a folder of its own.
pub fn build_plain(
    workspace: &Workspace,
    builder: &mut Builder,
    system: &System,
) -> Result<Product> {
    let system = System { name: format!("{}-plain", system.name), ..system.clone() };
    make(workspace, builder, &system, false)
}

/// The hypervisor's program without the mailbox.
pub fn plain_program(builder: &mut Builder, arch: Arch) -> Result<PathBuf> {
    builder.program(&kernel(arch, &[], false))
}

fn make(
    workspace: &Workspace,
    builder: &mut Builder,
    system: &System,
    mailbox: bool,
) -> Result<Product> {
    let folder = workspace.system(&system.name)?;
    make_into(workspace, builder, system, mailbox, &folder)
}

/// The same with the files in another folder.
pub fn build_into(
    workspace: &Workspace,
    builder: &mut Builder,
    system: &System,
    folder: &Path,
) -> Result<Product> {
    make_into(workspace, builder, system, true, folder)
}

fn make_into(
    workspace: &Workspace,
    builder: &mut Builder,
    system: &System,
    mailbox: bool,
    folder: &Path,
) -> Result<Product> {
    let folders = Folders::of(workspace);
    let path = stage(builder, &folders, system, folder)?;
    let manifest = manifest::load(&path, &folders)?;
    let features = system.scenario.as_ref().map_or(&[][..], |scenario| &scenario.features);
    let kernel = builder.program(&kernel(manifest.board().arch, features, mailbox))?;
    let program = std::fs::read(&kernel).with_context(|| kernel.display().to_string())?;
    let mut packages = Vec::new();
    let mut files = Vec::new();
    let mut programs = BTreeMap::new();
    for partition in manifest.partitions() {
        let image = match &partition.guest {
            Guest::Folder(name) => {
                let built = builder.build(name, manifest.board().arch)?;
                packages.extend(built.packages.clone());
                let image = built.image.clone();
                files.push((name.clone(), built));
                image
            }
            Guest::Image(image) => image.path.clone(),
        };
        programs.insert(partition.name.clone(), image);
    }
    packages.sort();
    packages.dedup();
    let step = Step::begin("writing the flash image");
    let mut find = |name: &str| {
        let built = files.iter().find(|(known, _)| known == name);
        built.with_context(|| format!("guest {name} was not built"))?.1.files()
    };
    let image = image::build(&manifest, &program, &mut find)?;
    let commands = system.scenario.as_ref().map_or(&[][..], |scenario| &scenario.grub);
    let boots = boots(builder, folder, &manifest, &image, commands)?;
    write(&folder.join("packages.toml"), debian::render(&packages)?.as_bytes())?;
    drop(step);
    let board = manifest.board().name.clone();
    let mut emulators = table::read(workspace, &board)?;
    for (_, emulator) in &mut emulators {
        emulator.choose_line(manifest.is_managed());
    }
    let built = Built {
        emulators,
        board,
        partitions: manifest.partitions().iter().map(|one| one.name.clone()).collect(),
        files: boots.files,
    };
    Ok(Product {
        name: system.name.clone(),
        manifest,
        kernel,
        programs,
        packages,
        program_len: image.program_len(),
        bundle_len: image.bundle().len(),
        built,
        bundles: boots.bundles,
    })
}

/// Writes what boots, in each way that the board's instruction set has.
fn boots(
    builder: &mut Builder,
    folder: &Path,
    manifest: &Manifest,
    image: &Program,
    commands: &[String],
) -> Result<Boots> {
    let mut boots = Boots::default();
    let mut file = |ways: &[Boot], name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        let bundles = image.bundles(bytes);
        for way in ways {
            boots.files.insert(*way, path.clone());
            boots.bundles.insert(*way, bundles.clone());
        }
        write(&path, bytes)
    };
    match manifest.board().arch {
        Arch::Aarch64 => {
            file(&[Boot::Flash], "flash.img", &image.flash(manifest.board()))?;
            file(&[Boot::Image], "Image", image.bytes())?;
        }
        Arch::X86_64 => {
            let application = builder.program(&Recipe::new(APPLICATION, APPLICATION_TARGET))?;
            let application =
                std::fs::read(&application).with_context(|| application.display().to_string())?;
            let disk = pc::disk(image.bytes(), &application, &builder.grub(commands)?)?;
            file(&Boot::DISK, "disk.img", &disk)?;
            file(&[Boot::Kernel], "bulkhead.elf", image.bytes())?;
        }
    }
    Ok(boots)
}

/// The system's manifest, or a copy of it with its word, beside what a scenario makes for it.
fn stage(builder: &Builder, folders: &Folders, system: &System, folder: &Path) -> Result<PathBuf> {
    let source = &system.manifest;
    let assemble = system.scenario.as_ref().map_or(&[][..], |scenario| &scenario.assemble);
    if system.word.is_none() && assemble.is_empty() {
        return Ok(source.clone());
    }
    let text = std::fs::read_to_string(source).with_context(|| source.display().to_string())?;
    let beside = source.parent().unwrap_or(Path::new(""));
    for name in assemble {
        let arch =
            manifest::arch_of(&text, folders).with_context(|| source.display().to_string())?;
        builder.assemble(arch, &beside.join(format!("{name}.S")), folder)?;
    }
    let copy = folder.join("manifest.toml");
    write(&copy, with_word(&text, system.word.as_deref()).as_bytes())?;
    Ok(copy)
}

/// Writes a file.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).with_context(|| path.display().to_string())
}

impl Product {
    /// An emulator of the board by name, or its first.
    pub fn emulator(&self, named: Option<&str>) -> Result<&Emulator> {
        self.built.emulator(named)
    }

    /// The emulators with these names, or the board's first.
    pub fn emulators(&self, named: &[String]) -> Result<Vec<&Emulator>> {
        if named.is_empty() {
            return Ok(vec![self.emulator(None)?]);
        }
        named.iter().map(|name| self.emulator(Some(name))).collect()
    }

    /// The file that one way into the machine starts from.
    pub fn file(&self, boot: Boot) -> Result<&Path> {
        self.built.file(boot)
    }

    /// Where the bundle lies in it.
    fn bundles(&self, boot: Boot) -> &[usize] {
        self.bundles.get(&boot).map_or(&[], Vec::as_slice)
    }

    /// The bundle in such a file.
    pub fn bundle(&self, boot: Boot) -> Result<Vec<u8>> {
        let (path, bundles) = (self.file(boot)?, self.bundles(boot));
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let start = bundles.first().copied().context("the file holds no bundle")?;
        Ok(bytes.get(start..start + self.bundle_len).context("the file was cut")?.to_vec())
    }

    /// Writes a copy of such a file with one byte of its bundle inverted, wherever it
    /// holds the bundle; a negative place counts from the bundle's end.
    pub fn corrupted(&self, boot: Boot, place: i64, copy: &Path) -> Result<()> {
        let (path, bundles) = (self.file(boot)?, self.bundles(boot));
        let mut bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let length = self.bundle_len;
        let from_start = usize::try_from(place).ok();
        let place = from_start.or_else(|| length.checked_add_signed(isize::try_from(place).ok()?));
        let Some(place) = place.filter(|place| *place < length) else {
            bail!("the bundle has {length} bytes");
        };
        for start in bundles {
            let byte = bytes.get_mut(start + place).context("the file was cut")?;
            *byte = !*byte;
        }
        write(copy, &bytes)
    }
}

/// Inverts one bit after the other at `times` places of a bundle that spread over all of it, and
/// opens it as the kernel does: an error names a place whose damage was not refused.
pub fn refused_damage(bundle: &[u8], platform: &Platform, times: usize) -> Result<()> {
    // Aligned as in flash.
    let mut words = vec![0_u64; bundle.len().div_ceil(size_of::<u64>())];
    let bytes = &mut zerocopy::IntoBytes::as_mut_bytes(words.as_mut_slice())[..bundle.len()];
    bytes.copy_from_slice(bundle);
    let open = |bytes: &[u8]| Bundle::open(bytes, crc32c::crc32c_append, platform).map(|_| ());
    open(bytes).map_err(|why| anyhow!("the undamaged bundle is refused: {why}"))?;
    let mut place = 1_usize;
    for _ in 0..times {
        // The multiplier of Knuth's MMIX generator: any sequence that spreads will do.
        place =
            place.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (at, bit) = ((place >> 20) % bytes.len(), 1 << (place % 8));
        bytes[at] ^= bit;
        ensure!(open(bytes).is_err(), "bit {bit:#04x} of byte {at} inverted, and not refused");
        bytes[at] ^= bit;
    }
    Ok(())
}

/// The hypervisor with features of a test build, and with the mailbox or not.
fn kernel(arch: Arch, features: &[String], mailbox: bool) -> Recipe {
    let target = match arch {
        Arch::Aarch64 => "aarch64-unknown-none-softfloat",
        Arch::X86_64 => "x86_64-unknown-none",
    };
    Recipe {
        package: "kernel".to_owned(),
        binary: "bulkhead".to_owned(),
        target: target.to_owned(),
        features: std::iter::once(BARE.to_owned()).chain(features.iter().cloned()).collect(),
        defaults: mailbox,
    }
}
