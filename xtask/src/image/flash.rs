// SPDX-License-Identifier: MIT OR Apache-2.0
//! The flash image: the hypervisor's program, and behind it the bundle.
//!
//! ```text
//!  0        64           n * 64 KiB
//!  | branch | BootRecord … program … 0 | bundle | erased … |
//!  | arm64 Image header, 64 bytes
//! ```
//! The same bytes start at the reset vector and as a Linux `Image`.

use abi::range::Range;
use anyhow::{Context, Result, ensure};

use super::{elf, linux};
use crate::manifest::board::{Arch, Board};

/// Where the boot record lies in the program.
const RECORD_AT: usize = 64;
/// Its first word.
const RECORD_MAGIC: &[u8] = b"BHBOOT\0\0";
/// Where a board's flash is mapped, and its CPUs start.
const RESET_VECTOR: u64 = 0;
/// Alignment of the bundle.
const BUNDLE_ALIGN: usize = 0x1_0000;
/// Room that the hypervisor needs behind the file when a loader put it into RAM.
const ROOM: u64 = 4 << 20;

/// The program as one flat block: its segments where they are linked, the first one's address being offset 0.
pub(crate) fn flatten(kernel: &[u8]) -> Result<Vec<u8>> {
    let file = elf::read(kernel, Arch::Aarch64)
        .map_err(|trouble| anyhow::anyhow!("the hypervisor's program is {}", trouble.message))?;
    let filled = || file.loads.iter().filter(|load| !load.bytes.is_empty());
    let first = filled().map(|load| load.run).min().context("the hypervisor's program is empty")?;
    let mut program = Vec::new();
    for load in filled() {
        let start = usize::try_from(load.run - first).unwrap_or(usize::MAX);
        let end = start.saturating_add(load.bytes.len());
        ensure!(end <= 1 << 30, "the hypervisor's segments are scattered");
        program.resize(program.len().max(end), 0);
        program[start..end].copy_from_slice(load.bytes);
    }
    Ok(program)
}

/// Program and bundle in one block, and where the bundle lies in it.
pub(crate) fn join(
    mut program: Vec<u8>,
    bundle: &[u8],
    board: &Board,
) -> Result<(Vec<u8>, std::ops::Range<usize>)> {
    let magic = program.get(56..60);
    ensure!(
        magic == Some(linux::MAGIC),
        "the hypervisor's program does not begin with an arm64 Image header"
    );
    let record = program.get(RECORD_AT..RECORD_AT + RECORD_MAGIC.len());
    ensure!(
        record == Some(RECORD_MAGIC),
        "the hypervisor's program has no boot record at offset {RECORD_AT}"
    );
    let start = program.len().next_multiple_of(BUNDLE_ALIGN);
    program.resize(start, 0);
    program.extend_from_slice(bundle);
    let Range { start: home, size: home_size } = board.home;
    let (start_word, len_word) = (start as u64, bundle.len() as u64);
    let (tree, console) = (board.device_tree, board.console());
    let words = [start_word, len_word, tree, home, home_size, console, RESET_VECTOR];
    for (row, word) in words.into_iter().enumerate() {
        let at = RECORD_AT + RECORD_MAGIC.len() + row * size_of::<u64>();
        program[at..at + size_of::<u64>()].copy_from_slice(&word.to_le_bytes());
    }
    let image_size = program.len() as u64 + ROOM + home_size;
    let at = linux::IMAGE_SIZE_AT;
    program[at..at + size_of::<u64>()].copy_from_slice(&image_size.to_le_bytes());
    Ok((program, start..start + bundle.len()))
}
