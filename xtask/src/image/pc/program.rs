// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hypervisor's ELF file with the bundle as one more segment: what QEMU
//! starts by its PVH note, GRUB by its multiboot2 header, and our UEFI loader.
//!
//! ```text
//!  0     64                          4096                       a multiple of 4096
//!  | ELF | headers, section, notes … | the program's segments … | bundle
//! ```
//! The file is written anew, without symbols: loaders want the headers near its
//! beginning (Multiboot2 Specification, "The layout of Multiboot2 header": within
//! 32 KiB), and a bundle's bytes at a page's beginning. Its only section is the null
//! one: ELF asks for none, but GRUB 2.12 refuses a file whose table is empty.

use ::elf::abi::{PF_R, PT_LOAD, PT_NOTE};
use anyhow::{Context, Result, ensure};

use crate::image::elf;
use crate::manifest::board::Arch;

/// What the boot record begins with; behind it are the bundle's address and length.
const RECORD_MAGIC: &[u8] = b"BHBOOT\0\0";
/// Where the bundle is loaded.
pub(crate) const BUNDLE_AT: u64 = 0x0200_0000;
/// Alignment of segments in the file.
const PAGE: usize = 0x1000;
/// Alignment of notes in the file.
const NOTE_ALIGN: usize = 4;
/// Bytes of the ELF header.
const HEADER: usize = 64;
/// Bytes of a program header.
const PROGRAM_HEADER: usize = 56;
/// Bytes of a section header.
const SECTION_HEADER: usize = 64;

/// A segment of the new file.
struct Segment {
    kind: u32,
    flags: u32,
    virt: u64,
    phys: u64,
    bytes: Vec<u8>,
    size: u64,
}

/// The new file, and where the bundle lies in it.
pub(crate) fn join(kernel: &[u8], bundle: &[u8]) -> Result<(Vec<u8>, std::ops::Range<usize>)> {
    let file = elf::read(kernel, Arch::X86_64)
        .map_err(|trouble| anyhow::anyhow!("the hypervisor's program is {}", trouble.message))?;
    let mut loads: Vec<Segment> = file.loads.iter().map(loaded).collect();
    let first = loads.first_mut().context("the hypervisor's program is empty")?;
    fill_record(&mut first.bytes, bundle.len())?;
    let highest = loads.iter().map(|load| load.phys.saturating_add(load.size)).max().unwrap_or(0);
    ensure!(highest <= BUNDLE_AT, "the hypervisor's program reaches where the bundle belongs");
    let mut segments: Vec<Segment> = file.notes.iter().map(|note| noted(note)).collect();
    segments.extend(loads);
    segments.push(Segment {
        kind: PT_LOAD,
        flags: PF_R,
        virt: BUNDLE_AT,
        phys: BUNDLE_AT,
        bytes: bundle.to_vec(),
        size: bundle.len() as u64,
    });
    let file = write(kernel, &segments);
    let start = file.len() - bundle.len();
    Ok((file, start..start + bundle.len()))
}

/// A segment of the program itself.
fn loaded(load: &elf::Load) -> Segment {
    Segment {
        kind: PT_LOAD,
        flags: load.flags,
        virt: load.run,
        phys: load.place,
        bytes: load.bytes.to_vec(),
        size: load.size,
    }
}

/// A note, which is read in the file and not loaded.
fn noted(note: &[u8]) -> Segment {
    let (bytes, size) = (note.to_vec(), note.len() as u64);
    Segment { kind: PT_NOTE, flags: PF_R, virt: 0, phys: 0, bytes, size }
}

/// Tells the program where its bundle is.
fn fill_record(program: &mut [u8], bundle_len: usize) -> Result<()> {
    let record = [BUNDLE_AT, bundle_len as u64].map(u64::to_le_bytes).concat();
    let magic = (0..program.len()).step_by(8).find(|at| program[*at..].starts_with(RECORD_MAGIC));
    let place = magic.map(|at| at + RECORD_MAGIC.len()).and_then(|at| program.get_mut(at..at + 16));
    place.context("the hypervisor's first segment has no boot record")?.copy_from_slice(&record);
    Ok(())
}

/// Lays the file out in the segments' order.
fn write(kernel: &[u8], segments: &[Segment]) -> Vec<u8> {
    let sections = HEADER + PROGRAM_HEADER * segments.len();
    let mut file = kernel[..HEADER].to_vec();
    file[32..40].copy_from_slice(&(HEADER as u64).to_le_bytes()); // e_phoff
    file[40..48].copy_from_slice(&(sections as u64).to_le_bytes()); // e_shoff
    file[56..58].copy_from_slice(&(segments.len() as u16).to_le_bytes()); // e_phnum
    file[58..60].copy_from_slice(&(SECTION_HEADER as u16).to_le_bytes()); // e_shentsize
    file[60..62].copy_from_slice(&1u16.to_le_bytes()); // e_shnum
    file[62..64].fill(0); // e_shstrndx
    file.resize(sections + SECTION_HEADER, 0);
    for (row, segment) in segments.iter().enumerate() {
        let align = if segment.kind == PT_NOTE { NOTE_ALIGN } else { PAGE };
        file.resize(file.len().next_multiple_of(align), 0);
        let offset = file.len() as u64;
        let (len, align) = (segment.bytes.len() as u64, align as u64);
        let words = [segment.kind, segment.flags].map(u32::to_le_bytes).concat();
        let longs = [offset, segment.virt, segment.phys, len, segment.size, align];
        let header = [words, longs.map(u64::to_le_bytes).concat()].concat();
        let at = HEADER + PROGRAM_HEADER * row;
        file[at..at + PROGRAM_HEADER].copy_from_slice(&header);
        file.extend_from_slice(&segment.bytes);
    }
    file
}
