// SPDX-License-Identifier: MIT OR Apache-2.0
//! The manifest: one TOML file that says how a machine is partitioned.
//!
//! ```text
//! text ─ read ─▶ keys and positions ─ resolve ─▶ facts ─ check ─▶ Manifest ─▶ report, image
//! ```
//! A [`Manifest`] can only be had from [`load`], which checked it: the same rules
//! that the kernel runs on the bundle, and the placement on the board's known
//! map. Every mistake of the file is told at once.

pub mod board;
mod check;
mod cures;
pub mod file;
mod locate;
pub mod mistake;
pub mod read;
pub mod report;
mod resolve;
pub mod schema;
pub mod units;
mod values;

use std::ops::Range as Span;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use abi::draft::Draft;
use abi::mailbox::rights::Rights;
use abi::placement::Request;
use abi::range::Range;

use anyhow::Context;

use crate::workspace::Workspace;
use board::{Arch, Board, BoardFile, Device};
pub use file::ImageKind;
use file::ManifestFile;
use mistake::{Kind, Mistake, Mistakes, Place, Source};
use read::{Read, Reader};

/// The version of the manifest that this program reads.
pub const VERSION: u64 = 1;

/// Where boards and guests are found.
#[derive(Clone, Debug)]
pub struct Folders {
    /// Paths are shown from here.
    pub root: PathBuf,
    /// One folder for each board.
    pub boards: PathBuf,
    /// One folder for each guest.
    pub guests: PathBuf,
}

impl Folders {
    /// Those of the repository.
    pub fn of(workspace: &Workspace) -> Self {
        let root = workspace.root().to_path_buf();
        Self { boards: workspace.boards(), guests: root.join("guests"), root }
    }

    /// Names of the boards.
    fn boards(&self) -> Vec<String> {
        names_with(&self.boards, "board.toml")
    }

    /// Names of the guests.
    fn guests(&self) -> Vec<String> {
        names_with(&self.guests, "guest.toml")
    }

    fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}

/// Folders that hold a certain file, sorted.
fn names_with(folder: &Path, file: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let entries = entries.filter(|entry| entry.path().join(file).is_file());
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// A guest: a folder in guests/ or an image from outside.
#[derive(Clone, Debug)]
pub enum Guest {
    /// The folder's name.
    Folder(String),
    /// The image.
    Image(Image),
}

/// An image from outside.
#[derive(Clone, Debug)]
pub struct Image {
    /// What it is.
    pub kind: ImageKind,
    /// Its file.
    pub path: PathBuf,
    /// The initial RAM disk of a `linux` image.
    pub initrd: Option<PathBuf>,
    /// Where a `raw` image is copied.
    pub load: u64,
    /// The first instruction of a `raw` image.
    pub entry: u64,
    /// The bits of that instruction, on x86.
    pub mode: u32,
}

/// When a partition is started again after it has ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Restart {
    /// Bit N: after an end for the cause with number N, as `abi` numbers them.
    pub on: u32,
    /// How often within that time.
    pub max: u32,
    /// That time, in nanoseconds.
    pub within: u64,
    /// From an end to the next start, in nanoseconds.
    pub backoff: u64,
    /// From a start to the next one at least, in nanoseconds.
    pub uptime: u64,
    /// Whether the machine is reset when it ended more often.
    pub reboots: bool,
}

/// A partition.
#[derive(Clone, Debug)]
pub struct Partition {
    /// Its name.
    pub name: String,
    /// The CPU of each vCPU.
    pub cpus: Vec<u32>,
    /// RAM in guest addresses.
    pub memory: Range,
    /// The pinned host address.
    pub host: Option<u64>,
    /// Whether guest and host address are one.
    pub identity: bool,
    /// Whether its devices may write anywhere.
    pub unprotected_dma: bool,
    /// Whether idling is an exit.
    pub trap_idle: bool,
    /// Whether threads of its cores may be in another partition.
    pub smt_shared: bool,
    /// When it is started again.
    pub restart: Restart,
    /// What its mailbox lets it do, if it has one.
    pub mailbox: Option<Rights>,
    /// Its watchdog's time in nanoseconds, if it has one.
    pub watchdog: Option<u64>,
    /// The rows of partitions that run before it is started.
    pub depends: Vec<usize>,
    /// Whether somebody starts it by the mailbox.
    pub manual: bool,
    /// Interrupts that its distributor shows.
    pub intids: u32,
    /// Its devices.
    pub devices: Vec<Device>,
    /// What runs in it.
    pub guest: Guest,
    /// Command line instead of the guest's own.
    pub cmdline: Option<String>,
    spans: Spans,
}

/// Where a partition's facts were written.
#[derive(Clone, Debug)]
struct Spans {
    name: Span<usize>,
    guest: Option<Span<usize>>,
    memory: Span<usize>,
    cpus: Option<Span<usize>>,
    cpu: Vec<Span<usize>>,
    device: Vec<Span<usize>>,
}

/// A channel.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// Bytes that both ends share.
    pub size: u64,
    /// Shortest time between two interrupts at a receiver.
    pub interval_ns: u64,
    /// Both ends, in the order of `between`.
    pub ends: [End; 2],
    span: Span<usize>,
    size_span: Span<usize>,
}

/// What one partition sees of a channel.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// Row of the partition.
    pub partition: usize,
    /// Guest address of the register page.
    pub registers: u64,
    /// Guest address of the shared memory.
    pub memory: u64,
    /// INTID of the bell.
    pub interrupt: u32,
}

/// A checked manifest.
#[derive(Clone, Debug)]
pub struct Manifest {
    name: String,
    source: Arc<Source>,
    board_span: Span<usize>,
    board: Board,
    partitions: Vec<Partition>,
    channels: Vec<Channel>,
    managed: bool,
    draft: Draft,
    placement: Vec<Request>,
}

impl Manifest {
    /// The file's name without its ending.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The board.
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// The partitions, in the file's order.
    pub fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    /// The channels, in the file's order.
    pub fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// Whether the host is answered on a UART of its own.
    pub fn is_managed(&self) -> bool {
        self.managed
    }

    /// The tables of the bundle, without images.
    pub(crate) fn draft(&self) -> &Draft {
        &self.draft
    }

    /// Where everything lies on the board's known map.
    pub fn placement(&self) -> &[Request] {
        &self.placement
    }

    /// How many CPUs the machine needs at least.
    pub fn cpus_needed(&self) -> u32 {
        self.partitions.iter().flat_map(|partition| &partition.cpus).max().map_or(1, |cpu| cpu + 1)
    }

    /// A mistake about a partition's guest.
    pub(crate) fn guest_mistake(
        &self,
        row: usize,
        kind: Kind,
        message: String,
        cure: &str,
    ) -> Mistake {
        let span = self.partitions.get(row).and_then(|partition| partition.spans.guest.clone());
        self.mistake(span.unwrap_or(0..0), "this guest", kind, message, cure)
    }

    /// A mistake about the board.
    pub(crate) fn board_mistake(&self, kind: Kind, message: String, cure: &str) -> Mistake {
        self.mistake(self.board_span.clone(), "this board", kind, message, cure)
    }

    fn mistake(
        &self,
        span: Span<usize>,
        label: &str,
        kind: Kind,
        message: String,
        cure: &str,
    ) -> Mistake {
        let places = vec![Place::new(span, label)];
        Mistake { kind, source: Arc::clone(&self.source), message, places, cure: cure.to_owned() }
    }

    /// Runs the rules of images on tables that have them. A partition whose
    /// image is already in `told` has none, and nothing more is said of it.
    pub(crate) fn check_images(&self, draft: &Draft, told: &Mistakes) -> Mistakes {
        check::check_images(self, draft, told)
    }
}

/// Reads and checks a manifest.
///
/// # Errors
/// All mistakes of the manifest, or of its board's file.
pub fn load(path: &Path, folders: &Folders) -> Result<Manifest, Mistakes> {
    let source = open(path, folders)?;
    read_version(&source)?;
    let (file, mistakes) = read::read::<ManifestFile>(&source);
    let Some(file) = file else { return mistakes.or(None) };
    let mut reader = Reader::new(&source, mistakes);
    let Some(mut board) = find_board(&file, folders, &mut reader)? else {
        return reader.mistakes.or(None);
    };
    let beside = path.parent().unwrap_or(Path::new(""));
    let scope = resolve::Scope { board: &board, folders, beside };
    let resolved = resolve::resolve(&file, &scope, &mut reader);
    if let Some(device) = &resolved.management {
        board.keep(check::MANAGEMENT, device);
    }
    let (draft, placement) = check::check(&resolved, &board, &mut reader);
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let resolve::Resolved { partitions, channels, management } = resolved;
    let managed = management.is_some();
    let board_span = file.board.span;
    reader.mistakes.or(Some(Manifest {
        name,
        source,
        board_span,
        board,
        partitions,
        channels,
        managed,
        draft,
        placement,
    }))
}

/// A file's text.
fn open(path: &Path, folders: &Folders) -> Result<Arc<Source>, Mistakes> {
    let shown = folders.shown(path);
    std::fs::read(path)
        .map_err(|error| error.to_string())
        .and_then(|bytes| String::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned()))
        .map(|text| Arc::new(Source { path: shown.clone(), text }))
        .map_err(|why| {
            let source = Arc::new(Source { path: shown.clone(), text: String::new() });
            let mut reader = Reader::new(&source, Mistakes::default());
            reader.tell(
                Kind::Unreadable,
                0..0,
                "",
                format!("{shown}: {why}"),
                "give the path of a text file",
            );
            reader.mistakes
        })
}

/// Another version has other keys, so nothing else is said of it.
fn read_version(source: &Arc<Source>) -> Result<(), Mistakes> {
    let Ok(document) = toml::de::DeTable::parse(&source.text) else { return Ok(()) };
    let Some(value) = document.get_ref().get("version") else { return Ok(()) };
    let mut reader = Reader::new(source, Mistakes::default());
    match u64::read(value, &mut Reader::new(source, Mistakes::default())) {
        Some(VERSION) | None => {}
        Some(version) => {
            let message = format!(
                "version {version} of the manifest is unknown to this program, which reads {VERSION}"
            );
            let cure = format!(
                "write `version = {VERSION}`, or take the xtask that goes with the manifest"
            );
            reader.tell(Kind::UnknownVersion, value.span(), "unknown", message, &cure);
        }
    }
    reader.mistakes.or(Some(()))
}

/// The board's file, whose mistakes are told alone.
fn find_board(
    file: &ManifestFile,
    folders: &Folders,
    reader: &mut Reader,
) -> Result<Option<Board>, Mistakes> {
    let known = folders.boards();
    if !known.contains(&file.board.value) {
        let message =
            format!("board `{}` is no folder in boards/ with a board.toml", file.board.value);
        let cure = read::nearest(&file.board.value, &known);
        reader.tell(Kind::UnknownBoard, file.board.span.clone(), "no such board", message, &cure);
        return Ok(None);
    }
    load_board(&file.board.value, folders).map(Some)
}

/// The instruction set of the board that a manifest names, before all else is read.
///
/// # Errors
/// The manifest names no board, or the board's file has mistakes.
pub fn arch_of(text: &str, folders: &Folders) -> anyhow::Result<Arch> {
    let table: toml::Table = toml::from_str(text)?;
    let board = table.get("board").and_then(toml::Value::as_str).context("it names no board")?;
    Ok(load_board(board, folders)?.arch)
}

/// Reads and checks a board's file.
///
/// # Errors
/// All mistakes of the file.
pub fn load_board(name: &str, folders: &Folders) -> Result<Board, Mistakes> {
    let source = open(&folders.boards.join(name).join("board.toml"), folders)?;
    let (file, mistakes) = read::read::<BoardFile>(&source);
    let mut reader = Reader::new(&source, mistakes);
    let board = file.and_then(|file| Board::from_file(file, name, &mut reader));
    reader.mistakes.or(board)
}
