// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a manifest to a running system: the command line builds it, this starts it.

use crate::built::Built;
use crate::emulator::table::Options;
use crate::emulator::way::Boot;
use crate::error::Error;
use crate::system::System;
use anyhow::{Context, Result, bail};
use std::cell::Cell;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The variable that names another checkout of Bulkhead than the one this library is in.
const ROOT: &str = "BULKHEAD_ROOT";
/// The variable that refuses to install what is missing, as `--no-install` does.
pub const NO_INSTALL: &str = "BULKHEAD_NO_INSTALL";
/// Lines of a failed build that are repeated.
const LINES_SHOWN: usize = 60;

/// How a system is started.
#[derive(Clone, Debug)]
pub struct Setup {
    manifest: PathBuf,
    on: Option<String>,
    options: Options,
    folder: Option<PathBuf>,
}

impl Setup {
    pub(crate) fn new(manifest: &Path) -> Self {
        let manifest = manifest.to_path_buf();
        Self { manifest, on: None, options: Options::default(), folder: None }
    }

    /// One of the board's emulators, such as `bochs-intel`; otherwise its first.
    #[must_use]
    pub fn on(mut self, emulator: &str) -> Self {
        self.on = Some(emulator.to_owned());
        self
    }

    /// The CPU model, as the emulator names it; otherwise the board's.
    #[must_use]
    pub fn cpu(mut self, model: &str) -> Self {
        self.options.cpu = Some(model.to_owned());
        self
    }

    /// How many CPUs the machine has; otherwise as many as the board.
    #[must_use]
    pub const fn cpus(mut self, cpus: u32) -> Self {
        self.options.cpus = Some(cpus);
        self
    }

    /// How much memory the machine has, such as `1G`; otherwise as much as the board.
    #[must_use]
    pub fn memory(mut self, size: &str) -> Self {
        self.options.memory = Some(size.to_owned());
        self
    }

    /// The way into the machine; otherwise the emulator's first.
    #[must_use]
    pub const fn boot(mut self, way: Boot) -> Self {
        self.options.boot = Some(way);
        self
    }

    /// One more argument for the emulator.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.options.more.push(argument.to_owned());
        self
    }

    /// Where image and console go; otherwise to a folder of this test's own in Bulkhead's target
    /// folder, below `machines`, which the next run writes anew.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Builds the system and boots it.
    ///
    /// # Errors
    /// [`Error::Start`].
    pub fn start(self) -> Result<System, Error> {
        self.stage().map_err(Error::Start)?
    }

    /// Builds; then the machine's start is another matter.
    fn stage(&self) -> Result<Result<System, Error>> {
        let root = root();
        let folder = match &self.folder {
            Some(folder) => folder.clone(),
            None => target(&root)?.join("machines").join(own_name()),
        };
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let folder = std::path::absolute(folder)?;
        // A board's name is none of a file.
        let manifest = match self.manifest.is_file() {
            true => std::path::absolute(&self.manifest)?,
            false => self.manifest.clone(),
        };
        let mut command = Command::new("cargo");
        command
            .current_dir(&root)
            // Of another toolchain than Bulkhead's, perhaps: `cargo test` sets it.
            .env_remove("RUSTUP_TOOLCHAIN")
            .args(["run", "--quiet", "--package", "xtask", "--", "stage"])
            .arg(manifest)
            .arg("--into")
            .arg(&folder);
        if let Some(emulator) = &self.on {
            command.args(["--on", emulator]);
        }
        if std::env::var_os(NO_INSTALL).is_some() {
            command.arg("--no-install");
        }
        build(&mut command)?;
        let path = folder.join("machine.json");
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let built: Built =
            serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        let emulator = built.emulator(self.on.as_deref())?;
        let file = built.file(emulator.way(self.options.boot)?)?;
        let launch = emulator.launch(file, &self.options)?;
        let log = folder.join("console.log");
        Ok(System::boot(&launch, built.partitions.clone(), &log))
    }
}

/// Bulkhead's checkout.
fn root() -> PathBuf {
    let library = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = || library.ancestors().nth(2).unwrap_or(library).to_path_buf();
    std::env::var_os(ROOT).map_or_else(own, PathBuf::from)
}

/// The folder that builds go to.
fn target(root: &Path) -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    std::path::absolute(target.unwrap_or_else(|| root.join("target"))).context("the target folder")
}

/// A folder's name for the test that runs in this thread; a second system has another one.
fn own_name() -> String {
    thread_local! { static SYSTEMS: Cell<u32> = const { Cell::new(0) }; }
    let number = SYSTEMS.replace(SYSTEMS.get() + 1);
    let program = std::env::current_exe().ok();
    let program = program.as_deref().and_then(Path::file_stem).unwrap_or_default();
    let program = program.to_string_lossy();
    // What cargo appends is another one after each change.
    let program = program.rsplit_once('-').map_or(&*program, |(name, _)| name);
    let thread = std::thread::current();
    let name = format!("{program}-{}-{number}", thread.name().unwrap_or("thread"));
    name.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

/// Runs the build. What it says is the test's output, which is shown if the test fails.
fn build(command: &mut Command) -> Result<()> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting cargo")?;
    let mut said = Vec::new();
    if let Some(pipe) = child.stderr.take() {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            eprintln!("{line}");
            said.push(line);
        }
    }
    let status = child.wait().context("waiting for cargo")?;
    if !status.success() {
        let last = said.split_off(said.len().saturating_sub(LINES_SHOWN));
        bail!("the system was not built ({status})\n{}", last.join("\n"));
    }
    Ok(())
}
