// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest of an x86 board reduced to what the kernel copies. The kernel knows
//! one start state: 32 bits, flat segments, no paging, EBX the argument. PVH and
//! multiboot images want just that; for the others a trampoline is one more segment.
//!
//! ```text
//!  0xe0000  RSDP and the other ACPI tables
//!  0xf0000  what the image's protocol tells it: zero page, start info, multiboot information
//!  0xf1000  its command line and its module list
//!  0xf8000  trampoline with its descriptors (Linux; raw with 16 or 64 bits)
//!  0xf9000  page tables of the first 4 GiB, one to one (Linux; raw with 64 bits)
//! ```
//! The memory map calls all of that reserved, so no guest puts other things there.

mod acpi;
mod application;
mod bzimage;
pub mod disk;
mod header;
mod memory;
mod multiboot;
pub(crate) mod program;
mod pvh;
mod trampoline;

use abi::platform::pc;
use abi::range::{PAGE, Range};

use super::elf;
use super::guest::{Reduced, Source, Trouble};
use super::unpack::unpack;
use crate::manifest::board::Arch;
use crate::manifest::mistake::Kind;
use crate::manifest::units::Size;
use crate::manifest::{ImageKind, Manifest, Partition};
use header::Multiboot;
use trampoline::Target;

/// The disk that boots the hypervisor's ELF file by UEFI and by a PC's BIOS.
///
/// # Errors
/// A file is cut, or too large.
pub fn disk(elf: &[u8], application: &[u8], grub: &disk::Grub) -> anyhow::Result<Vec<u8>> {
    disk::build(elf, &application::join(application, elf)?, grub)
}

/// The disk with another file, which GRUB boots on a PC's BIOS as its own commands say.
///
/// # Errors
/// A file is cut, or too large.
pub fn bios_disk(elf: &[u8], grub: &disk::Grub) -> anyhow::Result<Vec<u8>> {
    disk::build(elf, &[], grub)
}

/// Where the information for the image lies.
const INFO: u64 = 0xf_0000;
/// Where its command line lies.
const CMDLINE: u64 = 0xf_1000;
/// Where the trampoline lies.
const TRAMPOLINE: u64 = 0xf_8000;

/// Guest addresses and bytes.
type Segment = (u64, Vec<u8>);

/// A guest being reduced.
struct Reducer<'a> {
    partition: &'a Partition,
    source: &'a Source<'a>,
}

/// Reduces a partition's image, with the ACPI tables that describe the partition.
pub(crate) fn reduce(
    manifest: &Manifest,
    row: usize,
    partition: &Partition,
    source: &Source,
) -> Result<Reduced, Trouble> {
    let reducer = Reducer { partition, source };
    if CMDLINE + source.cmdline.len() as u64 + PAGE > TRAMPOLINE {
        let message = format!("a command line of {} bytes", source.cmdline.len());
        return Err(Trouble::new(Kind::WrongValue, message, "write a shorter one"));
    }
    let mut reduced = match source.kind {
        ImageKind::Linux => reducer.linux(),
        ImageKind::Elf => reducer.elf(),
        ImageKind::Raw => reducer.raw(),
        ImageKind::Firmware => {
            let message = "an image of kind firmware, which only Arm boards have";
            return Err(Trouble::new(Kind::WrongValue, message, "choose linux, elf or raw"));
        }
    }?;
    reduced.segments.push((pc::ACPI, acpi::tables(manifest, row, partition)));
    Ok(reduced)
}

impl Reducer<'_> {
    /// The partition's memory map has room below the tables and behind them.
    fn too_large(&self, needed: u64) -> Trouble {
        let needed = Size(needed.checked_next_multiple_of(PAGE).unwrap_or(needed));
        let memory = Size(self.partition.memory.size);
        let message = format!("it needs {needed}, the partition has {memory}");
        Trouble::new(Kind::ImageTooLarge, message, "give the partition more memory")
    }

    /// The command line with its zero.
    fn cmdline(&self) -> Segment {
        let mut text = self.source.cmdline.as_bytes().to_vec();
        text.push(0);
        (CMDLINE, text)
    }

    fn linux(&self) -> Result<Reduced, Trouble> {
        let image = bzimage::read(self.source.image)?;
        let end = self.partition.memory.end();
        let initrd_len = self.source.initrd.map_or(0, <[u8]>::len) as u64;
        let top = end.min(image.initrd_limit);
        let initrd_at = top.saturating_sub(initrd_len) & !(PAGE - 1);
        let place = image.place(initrd_at.min(end));
        let place = place.ok_or_else(|| {
            self.too_large(image.lowest() + image.room + initrd_len.next_multiple_of(PAGE))
        })?;
        let initrd = Range::new(initrd_at, initrd_len);
        let page = image.zero_page(place, initrd, self.partition.memory);
        let entry = place + bzimage::ENTRY_64;
        let trampoline = Target::Long { entry, rsi: INFO };
        let mut segments = vec![
            (place, image.kernel.to_vec()),
            (INFO, page),
            self.cmdline(),
            (TRAMPOLINE, trampoline.code(TRAMPOLINE)),
            (trampoline::TABLES, trampoline::tables()),
        ];
        if let Some(bytes) = self.source.initrd {
            segments.push((initrd_at, bytes.to_vec()));
        }
        Ok(Reduced { segments, entry: TRAMPOLINE, argument: INFO, rom_size: 0 })
    }

    /// An executable with a PVH note, or any file with a multiboot header; both may be
    /// compressed, as boot loaders unpack them too.
    fn elf(&self) -> Result<Reduced, Trouble> {
        let image = unpack(self.source.image)?;
        let header = Multiboot::find(&image);
        if let Some(loads) = header.as_ref().and_then(|header| header.loads.as_ref()) {
            let (segment, taken, entry) = loads.cut(&image)?;
            return self.multiboot(vec![segment], &[taken], entry);
        }
        let file = elf::read(&image, Arch::X86_64)?;
        let taken: Vec<Range> = file.loads.iter().map(elf::Load::range).collect();
        let filled = file.loads.iter().filter(|load| !load.bytes.is_empty());
        let segments = filled.map(|load| (load.place, load.bytes.to_vec())).collect();
        match (file.pvh, header) {
            (Some(entry), _) => self.pvh(segments, &taken, entry),
            (None, Some(_)) => self.multiboot(segments, &taken, file.entry),
            (None, None) => Err(Trouble::new(
                Kind::NotElf,
                "an ELF file with neither a PVH note nor a multiboot header",
                "link it with one of them, or give its bytes as kind raw with a mode",
            )),
        }
    }

    fn raw(&self) -> Result<Reduced, Trouble> {
        if self.source.image.is_empty() {
            let cure = "give a file with a program";
            return Err(Trouble::new(Kind::ImageTooLarge, "an empty file", cure));
        }
        let taken = Range::new(self.source.load, self.source.image.len() as u64);
        let segments = vec![(self.source.load, self.source.image.to_vec())];
        let entry = self.source.entry;
        let target = match self.source.mode {
            16 => Some(Target::Real { entry }),
            64 => Some(Target::Long { entry, rsi: INFO }),
            _ => None,
        };
        let mut reduced = self.multiboot(segments, &[taken], entry)?;
        let Some(target) = target else { return Ok(reduced) };
        if let Target::Real { entry: 0x10_0000.. } = target {
            let message = "a 16-bit entry above 1 MiB";
            return Err(Trouble::new(Kind::WrongValue, message, "load it lower"));
        }
        reduced.entry = TRAMPOLINE;
        reduced.segments.push((TRAMPOLINE, target.code(TRAMPOLINE)));
        if let Target::Long { .. } = target {
            reduced.segments.push((trampoline::TABLES, trampoline::tables()));
        }
        Ok(reduced)
    }

    fn pvh(
        &self,
        mut segments: Vec<Segment>,
        taken: &[Range],
        entry: u64,
    ) -> Result<Reduced, Trouble> {
        self.fits(taken)?;
        segments.push((INFO, pvh::start_info(INFO, CMDLINE, self.partition.memory)));
        segments.push(self.cmdline());
        Ok(Reduced { segments, entry, argument: INFO, rom_size: 0 })
    }

    fn multiboot(
        &self,
        mut segments: Vec<Segment>,
        taken: &[Range],
        entry: u64,
    ) -> Result<Reduced, Trouble> {
        self.fits(taken)?;
        segments.push((INFO, multiboot::information(INFO, CMDLINE, self.partition.memory)));
        segments.push(self.cmdline());
        Ok(Reduced { segments, entry, argument: INFO, rom_size: 0 })
    }

    /// Says how much memory an image needs whose zero-initialised part ends outside.
    fn fits(&self, taken: &[Range]) -> Result<(), Trouble> {
        let end = taken.iter().map(|range| range.end()).max().unwrap_or(0);
        if end > self.partition.memory.end() { Err(self.too_large(end)) } else { Ok(()) }
    }
}
