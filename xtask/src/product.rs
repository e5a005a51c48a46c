// SPDX-License-Identifier: MIT OR Apache-2.0
//! A system's flash image with what is needed to boot it.

use crate::cargo::Recipe;
use crate::emulator::table::{self, Emulator};
use crate::failure::mistake;
use crate::guests::Builder;
use crate::image;
use crate::manifest::{self, Folders, Guest, Manifest};
use crate::packages::debian::{self, Package};
use crate::scenario::format::{Boot, with_word};
use crate::system::System;
use crate::terminal::Step;
use crate::workspace::Workspace;
use abi::bundle::Bundle;
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::path::{Path, PathBuf};

/// The target that the hypervisor is built for.
const TARGET: &str = "aarch64-unknown-none-softfloat";

/// The feature that makes a bootable program of the kernel.
const BARE: &str = "bare";
/// Where the flash image's boot record says where the bundle lies: a magic
/// word, the offset and the length.
const BOOT_RECORD: usize = 64;
/// The magic word of the boot record.
const BOOT_MAGIC: &[u8] = b"BHBOOT\0\0";

/// A built system.
#[derive(Debug)]
pub struct Product {
    /// The system's name.
    pub name: String,
    /// Its manifest.
    pub manifest: Manifest,
    /// The hypervisor with its symbols, for a debugger.
    pub kernel: PathBuf,
    /// The Debian packages that it was made from.
    pub packages: Vec<Package>,
    /// Bytes of the hypervisor's program in the flash image.
    pub program_len: usize,
    /// Bytes of the bundle behind it.
    pub bundle_len: usize,
    flash: PathBuf,
    linux_image: PathBuf,
    emulators: Vec<(String, Emulator)>,
}

/// Builds a system: the hypervisor, every guest, and the files that boot.
pub fn build(workspace: &Workspace, builder: &mut Builder, system: &System) -> Result<Product> {
    let folder = workspace.system(&system.name)?;
    let path = stage(builder, system, &folder)?;
    let manifest = manifest::load(&path, &Folders::of(workspace))?;
    let features = system.scenario.as_ref().map_or(&[][..], |scenario| &scenario.features);
    let kernel = builder.program(&kernel(features))?;
    let program = std::fs::read(&kernel).with_context(|| kernel.display().to_string())?;
    let mut packages = Vec::new();
    let mut files = Vec::new();
    for partition in manifest.partitions() {
        if let Guest::Folder(name) = &partition.guest {
            let built = builder.build(name)?;
            packages.extend(built.packages.clone());
            files.push((name.clone(), built));
        }
    }
    packages.sort();
    packages.dedup();
    let step = Step::begin("writing the flash image");
    let mut find = |name: &str| {
        let built = files.iter().find(|(known, _)| known == name);
        built.with_context(|| format!("guest {name} was not built"))?.1.files()
    };
    let image = image::build(&manifest, &program, &mut find)?;
    let (flash, linux_image) = (folder.join("flash.img"), folder.join("Image"));
    write(&flash, &image.flash())?;
    write(&linux_image, image.linux_image())?;
    write(&folder.join("packages.toml"), debian::render(&packages)?.as_bytes())?;
    drop(step);
    let emulators = table::read(workspace, &manifest.board().name)?;
    Ok(Product {
        name: system.name.clone(),
        manifest,
        kernel,
        packages,
        program_len: image.program_len(),
        bundle_len: image.bundle().len(),
        flash,
        linux_image,
        emulators,
    })
}

/// The system's manifest, or a copy of it beside what a scenario makes for it.
fn stage(builder: &Builder, system: &System, folder: &Path) -> Result<PathBuf> {
    let source = &system.manifest;
    let Some(scenario) = &system.scenario else { return Ok(source.clone()) };
    if system.word.is_none() && scenario.assemble.is_empty() {
        return Ok(source.clone());
    }
    let beside = source.parent().unwrap_or(Path::new(""));
    for name in &scenario.assemble {
        builder.assemble(&beside.join(format!("{name}.S")), folder)?;
    }
    let text = std::fs::read_to_string(source).with_context(|| source.display().to_string())?;
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
        let mut emulators = self.emulators.iter();
        let found = match named {
            None => emulators.next(),
            Some(named) => emulators.find(|(name, _)| name == named),
        };
        found.map(|(_, emulator)| emulator).ok_or_else(|| {
            let names: Vec<&str> = self.emulators.iter().map(|(name, _)| name.as_str()).collect();
            mistake(format!(
                "board {} has no emulator {}; it has: {}",
                self.manifest.board().name,
                named.unwrap_or("at all"),
                names.join(", ")
            ))
        })
    }

    /// The file that one way into the machine starts from.
    pub fn file(&self, boot: Boot) -> &Path {
        match boot {
            Boot::Flash => &self.flash,
            Boot::Image => &self.linux_image,
        }
    }

    /// Names of the partitions, in the order of the console's digits.
    pub fn partitions(&self) -> Vec<String> {
        self.manifest.partitions().iter().map(|partition| partition.name.clone()).collect()
    }

    /// The bundle in such a file.
    pub fn bundle(&self, boot: Boot) -> Result<Vec<u8>> {
        let bytes = std::fs::read(self.file(boot)).context("reading the flash image")?;
        let (start, length) = bundle(&bytes).context("the flash image has no boot record")?;
        let range = usize::try_from(start)?..usize::try_from(start + length)?;
        Ok(bytes.get(range).context("the bundle leaves the flash image")?.to_vec())
    }

    /// Writes a copy of such a file with one byte of its bundle inverted; a
    /// negative place counts from the bundle's end.
    pub fn corrupted(&self, boot: Boot, place: i64, copy: &Path) -> Result<()> {
        let mut bytes = std::fs::read(self.file(boot)).context("reading the flash image")?;
        let (start, length) = bundle(&bytes).context("the flash image has no boot record")?;
        let from_start = u64::try_from(place).ok();
        let place = from_start.or_else(|| length.checked_add_signed(place));
        let byte = place
            .filter(|place| *place < length)
            .and_then(|place| usize::try_from(start.checked_add(place)?).ok())
            .and_then(|place| bytes.get_mut(place));
        match byte {
            Some(byte) => *byte = !*byte,
            None => bail!("the bundle has {length} bytes"),
        }
        write(copy, &bytes)
    }
}

/// Inverts one bit after the other at `times` places of a bundle that spread over all of it, and
/// opens it as the kernel does: an error names a place whose damage was not refused.
pub fn refused_damage(bundle: &[u8], times: usize) -> Result<()> {
    // Aligned as in flash.
    let mut words = vec![0_u64; bundle.len().div_ceil(size_of::<u64>())];
    let bytes = &mut zerocopy::IntoBytes::as_mut_bytes(words.as_mut_slice())[..bundle.len()];
    bytes.copy_from_slice(bundle);
    let open = |bytes: &[u8]| Bundle::open(bytes, crc32c::crc32c_append).map(|_| ());
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

/// Offset and length of the bundle in a flash image.
fn bundle(image: &[u8]) -> Option<(u64, u64)> {
    let record = image.get(BOOT_RECORD..)?.strip_prefix(BOOT_MAGIC)?;
    let (start, rest) = record.split_first_chunk::<8>()?;
    let length = rest.first_chunk::<8>()?;
    Some((u64::from_le_bytes(*start), u64::from_le_bytes(*length)))
}

/// The hypervisor with features of a test build.
fn kernel(features: &[String]) -> Recipe {
    Recipe {
        package: "kernel".to_owned(),
        binary: "bulkhead".to_owned(),
        target: TARGET.to_owned(),
        features: std::iter::once(BARE.to_owned()).chain(features.iter().cloned()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundle_is_found_through_the_boot_record() {
        let mut image = vec![0; BOOT_RECORD];
        image.extend_from_slice(BOOT_MAGIC);
        image.extend_from_slice(&0x1_0000_u64.to_le_bytes());
        assert_eq!(bundle(&image), None);
        image.extend_from_slice(&77_u64.to_le_bytes());
        assert_eq!(bundle(&image), Some((0x1_0000, 77)));
    }
}
