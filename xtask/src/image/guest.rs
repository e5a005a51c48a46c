// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest reduced to what the kernel copies: segments, the first instruction
//! and x0. The device tree is one more segment.
//!
//! ```text
//! linux     kernel at the first 2 MiB boundary … initrd | device tree in the last 2 MiB block
//! elf, raw  device tree at the start of RAM if it fits below the image, else in the last 2 MiB block
//! firmware  image in read-only flash at 0, device tree at the start of RAM
//! ```

use abi::platform::FLASH;
use abi::range::{BLOCK_2M, PAGE, Range};

use super::tree::{self, Chosen};
use super::unpack::unpack;
use super::{elf, linux};
use crate::manifest::board::Arch;
use crate::manifest::mistake::Kind;
use crate::manifest::units::Size;
use crate::manifest::{ImageKind, Manifest, Partition};

/// What is wrong with an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// What sort of mistake.
    pub(crate) kind: Kind,
    /// What it is.
    pub(crate) message: String,
    /// What to do.
    pub(crate) cure: String,
}

impl Trouble {
    /// Trouble in words.
    pub(crate) fn new(kind: Kind, message: impl Into<String>, cure: &str) -> Self {
        Self { kind, message: message.into(), cure: cure.to_owned() }
    }
}

/// An image and where it belongs.
#[derive(Clone, Debug)]
pub(crate) struct Source<'a> {
    /// What it is.
    pub(crate) kind: ImageKind,
    /// Its bytes.
    pub(crate) image: &'a [u8],
    /// The initial RAM disk of a `linux` image.
    pub(crate) initrd: Option<&'a [u8]>,
    /// The command line.
    pub(crate) cmdline: &'a str,
    /// Where a `raw` image is copied.
    pub(crate) load: u64,
    /// The first instruction of a `raw` image.
    pub(crate) entry: u64,
    /// The bits of that instruction, on x86.
    pub(crate) mode: u32,
}

/// What the kernel copies and where it starts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reduced {
    /// Guest addresses and bytes.
    pub(crate) segments: Vec<(u64, Vec<u8>)>,
    /// The first instruction.
    pub(crate) entry: u64,
    /// x0 there, or EBX.
    pub(crate) argument: u64,
    /// Bytes of read-only flash.
    pub(crate) rom_size: u64,
}

/// A guest being reduced.
pub(crate) struct Reducer<'a> {
    manifest: &'a Manifest,
    row: usize,
    partition: &'a Partition,
    source: Source<'a>,
}

impl<'a> Reducer<'a> {
    /// For a partition and its image.
    pub(crate) fn new(
        manifest: &'a Manifest,
        row: usize,
        partition: &'a Partition,
        source: Source<'a>,
    ) -> Self {
        Self { manifest, row, partition, source }
    }

    /// Reduces it.
    pub(crate) fn reduce(&self) -> Result<Reduced, Trouble> {
        match self.source.kind {
            ImageKind::Linux => self.linux(),
            ImageKind::Elf => self.elf(),
            ImageKind::Raw => self.raw(),
            ImageKind::Firmware => self.firmware(),
        }
    }

    fn tree(&self, initrd: Option<Range>) -> Result<Vec<u8>, Trouble> {
        let firmware = self.source.kind == ImageKind::Firmware;
        let chosen = Chosen { cmdline: self.source.cmdline, initrd, firmware };
        tree::write(self.manifest, self.row, self.partition, &chosen).map_err(|error| {
            let message = format!("no device tree can be written for it: {error}");
            Trouble::new(Kind::WrongValue, message, "correct the names in board.toml")
        })
    }

    fn too_large(&self, needed: u64) -> Trouble {
        let needed = Size(needed.checked_next_multiple_of(PAGE).unwrap_or(needed));
        let memory = Size(self.partition.memory.size);
        let message = format!("it needs {needed}, the partition has {memory}");
        Trouble::new(Kind::ImageTooLarge, message, "give the partition more memory")
    }

    fn linux(&self) -> Result<Reduced, Trouble> {
        let image = unpack(self.source.image)?;
        let header = linux::read(&image)?;
        let memory = self.partition.memory;
        let initrd_len = self.source.initrd.map_or(0, <[u8]>::len) as u64;
        let needed = BLOCK_2M.saturating_add(header.text_offset).saturating_add(header.image_size);
        let needed =
            needed.saturating_add(initrd_len.next_multiple_of(PAGE)).saturating_add(BLOCK_2M);
        let kernel = memory.start.next_multiple_of(BLOCK_2M).saturating_add(header.text_offset);
        let kernel_end = kernel.saturating_add(header.image_size);
        let tree_at = last_block(memory, 1);
        let initrd_at = tree_at.saturating_sub(initrd_len) & !(PAGE - 1);
        if kernel_end > initrd_at {
            return Err(self.too_large(needed));
        }
        let mut segments = vec![(kernel, image.into_owned())];
        let initrd = self.source.initrd.map(|bytes| {
            segments.push((initrd_at, bytes.to_vec()));
            Range::new(initrd_at, initrd_len)
        });
        segments.push((tree_at, self.tree(initrd)?));
        Ok(Reduced { segments, entry: kernel, argument: tree_at, rom_size: 0 })
    }

    fn elf(&self) -> Result<Reduced, Trouble> {
        let file = elf::read(self.source.image, Arch::Aarch64)?;
        let taken: Vec<Range> = file.loads.iter().map(elf::Load::range).collect();
        let filled = file.loads.iter().filter(|load| !load.bytes.is_empty());
        let segments = filled.map(|load| (load.place, load.bytes.to_vec())).collect();
        self.beside_tree(segments, &taken, file.entry)
    }

    fn raw(&self) -> Result<Reduced, Trouble> {
        if self.source.image.is_empty() {
            return Err(Trouble::new(
                Kind::ImageTooLarge,
                "an empty file",
                "give a file with a program",
            ));
        }
        let taken = Range::new(self.source.load, self.source.image.len() as u64);
        self.beside_tree(
            vec![(self.source.load, self.source.image.to_vec())],
            &[taken],
            self.source.entry,
        )
    }

    /// Finds the device tree's place beside what the image takes.
    fn beside_tree(
        &self,
        mut segments: Vec<(u64, Vec<u8>)>,
        taken: &[Range],
        entry: u64,
    ) -> Result<Reduced, Trouble> {
        let memory = self.partition.memory;
        let lowest = taken.iter().map(|range| range.start).min().unwrap_or(memory.start);
        let highest = taken.iter().map(|range| range.end()).max().unwrap_or(memory.start);
        if lowest >= memory.start && highest > memory.end() {
            return Err(self.too_large(highest - memory.start));
        }
        let tree = self.tree(None)?;
        let len = tree.len() as u64;
        let low = Range::new(memory.start, len);
        let high = Range::new(last_block(memory, len), len);
        let place = [low, high].into_iter().find(|place| {
            memory.contains(*place) && !taken.iter().any(|range| range.overlaps(*place))
        });
        let place = place.ok_or_else(|| self.too_large(memory.size.saturating_add(len)))?.start;
        segments.push((place, tree));
        Ok(Reduced { segments, entry, argument: place, rom_size: 0 })
    }

    fn firmware(&self) -> Result<Reduced, Trouble> {
        let mut image = self.source.image.to_vec();
        let rom_size = image.len().next_multiple_of(PAGE as usize);
        image.resize(rom_size, ERASED);
        let tree_at = self.partition.memory.start;
        let segments = vec![(FLASH, image), (tree_at, self.tree(None)?)];
        Ok(Reduced { segments, entry: FLASH, argument: tree_at, rom_size: rom_size as u64 })
    }
}

/// What erased flash reads as.
pub(crate) const ERASED: u8 = 0xff;

/// The last 2 MiB boundary with `len` bytes behind it in memory.
fn last_block(memory: Range, len: u64) -> u64 {
    memory.end().saturating_sub(len) & !(BLOCK_2M - 1)
}
