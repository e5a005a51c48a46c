// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a checked manifest and built guests to what boots: every guest is reduced
//! to segments, its device tree or ACPI tables written, and all of it put behind
//! the hypervisor's program.
//!
//! The same inputs give the same bytes.

mod elf;
mod flash;
mod guest;
mod linux;
pub mod pc;
mod tree;
mod unpack;

use std::ops::Range;

use abi::draft::Draft;
use anyhow::{Context, Result};

use crate::manifest::board::{Arch, Board};
use crate::manifest::mistake::{Kind, Mistakes};
use crate::manifest::units::Size;
use crate::manifest::{Guest, Image, ImageKind, Manifest, Partition};
use guest::{Reduced, Reducer, Source, Trouble};

/// A guest's files.
#[derive(Clone, Debug)]
pub struct GuestFiles {
    /// What the image is.
    pub kind: ImageKind,
    /// The image.
    pub image: Vec<u8>,
    /// The initial RAM disk of a `linux` guest.
    pub initrd: Option<Vec<u8>>,
    /// The guest's own command line.
    pub cmdline: String,
}

/// Builds a guest by the name of its folder in guests/.
pub type Guests<'a> = &'a mut dyn FnMut(&str) -> Result<GuestFiles>;

/// The hypervisor's program with the bundle: on Arm a flash image, on x86 an ELF file.
#[derive(Clone, Debug)]
pub struct Program {
    bytes: Vec<u8>,
    bundle: Range<usize>,
}

impl Program {
    /// The bytes of the board's whole flash: the rest is as if erased.
    pub fn flash(&self, board: &Board) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        bytes.resize(usize::try_from(board.flash).unwrap_or(0).max(bytes.len()), guest::ERASED);
        bytes
    }

    /// The same without what is erased: a Linux `Image`, or an ELF file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where the bundle begins in a file that it was put into whole, once or more often.
    pub fn bundles(&self, file: &[u8]) -> Vec<usize> {
        let bundle = self.bundle();
        let places = memchr::memmem::find_iter(file, &bundle[..bundle.len().min(IDENTIFIES)]);
        places.filter(|at| file[*at..].starts_with(bundle)).collect()
    }

    /// The bundle alone.
    pub fn bundle(&self) -> &[u8] {
        self.bytes.get(self.bundle.clone()).unwrap_or(&[])
    }

    /// Bytes of the hypervisor's program, before the bundle.
    pub fn program_len(&self) -> usize {
        self.bundle.start
    }
}

/// First bytes of a bundle, its checksum among them, that no other bytes have by chance.
const IDENTIFIES: usize = 64;

/// Builds program and bundle.
///
/// # Errors
/// [`Mistakes`] for what the manifest's author can mend; else what failed.
pub fn build(manifest: &Manifest, kernel: &[u8], guests: Guests) -> Result<Program> {
    let bundle = bundle(manifest, guests)?;
    let (bytes, bundle) = match manifest.board().arch {
        Arch::Aarch64 => flash::join(flash::flatten(kernel)?, &bundle, manifest.board())?,
        Arch::X86_64 => pc::program::join(kernel, &bundle)?,
    };
    if bytes.len() as u64 > manifest.board().flash {
        let message = format!(
            "flash image has {} bytes, the flash of board {} has {}",
            bytes.len(),
            manifest.board().name,
            Size(manifest.board().flash)
        );
        let mut mistakes = Mistakes::default();
        let cure = "take smaller images, or leave partitions out";
        mistakes.push(manifest.board_mistake(Kind::FlashTooSmall, message, cure));
        return Err(mistakes.into());
    }
    Ok(Program { bytes, bundle })
}

/// Builds the bundle alone.
///
/// # Errors
/// [`Mistakes`] for what the manifest's author can mend; else what failed.
pub fn bundle(manifest: &Manifest, guests: Guests) -> Result<Vec<u8>> {
    let mut mistakes = Mistakes::default();
    let mut reduced = Vec::new();
    for (row, partition) in manifest.partitions().iter().enumerate() {
        let files =
            files(partition, guests).with_context(|| format!("partition {}", partition.name))?;
        match reduce(manifest, row, partition, &files) {
            Ok(guest) => reduced.push(guest),
            Err(trouble) => {
                let message = format!("guest of partition {}: {}", partition.name, trouble.message);
                mistakes.push(manifest.guest_mistake(row, trouble.kind, message, &trouble.cure));
                reduced.push(Reduced::default());
            }
        }
    }
    let draft = fill(manifest.draft(), reduced);
    mistakes.append(manifest.check_images(&draft, &mistakes));
    Ok(mistakes.or(Some(draft))?.write())
}

/// A guest's files: built, or from outside.
fn files(partition: &Partition, guests: Guests) -> Result<GuestFiles> {
    match &partition.guest {
        Guest::Folder(name) => guests(name),
        Guest::Image(Image { kind, path, initrd, .. }) => {
            let read = |path| {
                std::fs::read(path)
                    .with_context(|| format!("reading {}", std::path::Path::display(path)))
            };
            let initrd = initrd.as_deref().map(read).transpose()?;
            Ok(GuestFiles { kind: *kind, image: read(path)?, initrd, cmdline: String::new() })
        }
    }
}

fn reduce(
    manifest: &Manifest,
    row: usize,
    partition: &Partition,
    files: &GuestFiles,
) -> Result<Reduced, Trouble> {
    let (load, entry, mode) = match &partition.guest {
        Guest::Image(image) => (image.load, image.entry, image.mode),
        Guest::Folder(_) if files.kind == ImageKind::Raw => {
            let cure =
                "write it as a table: `guest = { image = …, kind = \"raw\", load = …, entry = … }`";
            return Err(Trouble::new(Kind::WrongValue, "a raw image without addresses", cure));
        }
        Guest::Folder(_) => (0, 0, 0),
    };
    let source = Source {
        kind: files.kind,
        image: &files.image,
        initrd: files.initrd.as_deref(),
        cmdline: partition.cmdline.as_deref().unwrap_or(&files.cmdline),
        load,
        entry,
        mode,
    };
    match manifest.board().arch {
        Arch::Aarch64 => Reducer::new(manifest, row, partition, source).reduce(),
        Arch::X86_64 => pc::reduce(manifest, row, partition, &source),
    }
}

/// The tables with their images.
fn fill(empty: &Draft, reduced: Vec<Reduced>) -> Draft {
    let mut draft = Draft::new(empty.board, empty.platform);
    draft.channels.clone_from(&empty.channels);
    draft.management = empty.management;
    for (partition, guest) in empty.tables().iter().zip(reduced) {
        let mut record = *partition.record;
        record.entry = guest.entry.into();
        record.argument = guest.argument.into();
        record.rom_size = guest.rom_size.into();
        let cpus: Vec<u32> = partition.cpus().iter().map(|cpu| cpu.cpu.get()).collect();
        draft.add(record, &cpus, guest.segments, partition.devices());
    }
    draft
}
