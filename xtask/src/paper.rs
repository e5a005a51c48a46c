// SPDX-License-Identifier: MIT OR Apache-2.0
//! The verbs that boot nothing: `image`, `stage`, `check`, `report` and `schema`.

use crate::emulator::table::tools;
use crate::failure::{PASSED, USAGE, mistake};
use crate::guests::Builder;
use crate::manifest::{self, Folders, report};
use crate::packages::{Installer, debian};
use crate::product;
use crate::system::{DEFAULT, System};
use crate::workspace::{Workspace, made};
use anyhow::{Context, Result};
use bulkhead_test::Boot;
use std::fs::File;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Examples for the help of `image`.
pub const IMAGE_EXAMPLES: &str = "\
Examples:
  cargo xtask image qemu-arm64 -o flash.img
  cargo xtask image pc -o disk.img
  cargo xtask image my/manifest.toml --as image -o Image";
/// Examples for the help of `stage`.
pub const STAGE_EXAMPLES: &str = "\
Example:
  cargo xtask stage my/manifest.toml --into machine";
/// Examples for the help of `check`.
pub const CHECK_EXAMPLES: &str = "\
Examples:
  cargo xtask check my/manifest.toml
  cargo xtask check qemu-arm64 tests/mistakes/cpu-twice.toml";
/// Examples for the help of `report`.
pub const REPORT_EXAMPLES: &str = "\
Examples:
  cargo xtask report
  cargo xtask report my/manifest.toml";
/// Examples for the help of `schema`.
pub const SCHEMA_EXAMPLES: &str = "\
Example:
  cargo xtask schema > manifest.schema.json";

/// What `image` can be asked.
#[derive(Debug, clap::Args)]
pub struct ImageArguments {
    /// A manifest's path, a board's name (its demo) or a scenario's name.
    system: String,
    /// The file to write; its Debian packages are listed beside it, in FILE.packages.toml.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// How it will boot; if left out on Arm from flash, padded to its size, on x86 from a disk.
    #[arg(long = "as", value_enum, value_name = "WAY")]
    boot: Option<Boot>,
}

/// What `stage` can be asked.
#[derive(Debug, clap::Args)]
pub struct StageArguments {
    /// A manifest's path, a board's name (its demo) or a scenario's name.
    system: String,
    /// The folder.
    #[arg(long, value_name = "FOLDER")]
    into: PathBuf,
    /// The emulator that will start it, which is installed; the board's first if left out.
    #[arg(long, value_name = "EMULATOR")]
    on: Option<String>,
}

/// What `check` can be asked.
#[derive(Debug, clap::Args)]
pub struct CheckArguments {
    /// Manifests' paths, boards' names or scenarios' names.
    #[arg(required = true, value_name = "SYSTEM")]
    systems: Vec<String>,
}

/// What `report` can be asked.
#[derive(Debug, clap::Args)]
pub struct ReportArguments {
    /// A manifest's path, a board's name (its demo) or a scenario's name.
    #[arg(default_value = DEFAULT)]
    system: String,
}

/// Writes the flash image and prints its report.
pub fn image(
    workspace: &Workspace,
    installer: &Installer,
    arguments: &ImageArguments,
) -> Result<u8> {
    let system = System::find(workspace, &arguments.system)?;
    let mut builder = Builder::new(workspace, installer)?;
    let product = product::build(workspace, &mut builder, &system)?;
    let output = &arguments.output;
    let way = product.emulator(None)?.way(arguments.boot)?;
    std::fs::copy(product.file(way)?, output).map_err(|error| {
        mistake(format!("{}: {error}; name a file that can be written", output.display()))
    })?;
    let list = beside(output, ".packages.toml");
    std::fs::write(&list, debian::render(&product.packages)?)
        .with_context(|| list.display().to_string())?;
    print!("{}", report::render(&product.manifest));
    println!("\n{}  SHA-256 {}", output.display(), debian::sha256(output)?);
    Ok(PASSED)
}

/// Writes everything that boots, and how the board's emulators start it, for a program that
/// does. One at a time: two that build one guest would write the same files.
pub fn stage(
    workspace: &Workspace,
    installer: &Installer,
    arguments: &StageArguments,
) -> Result<u8> {
    let path = made(workspace.target().to_path_buf())?.join("stage.lock");
    let shown = || path.display().to_string();
    let lock = File::create(&path).with_context(shown)?;
    lock.lock().with_context(shown)?;
    let system = System::find(workspace, &arguments.system)?;
    let mut builder = Builder::new(workspace, installer)?;
    let folder = std::path::absolute(made(arguments.into.clone())?)?;
    let product = product::build_into(workspace, &mut builder, &system, &folder)?;
    installer.need(tools(product.emulator(arguments.on.as_deref())?))?;
    let path = folder.join("machine.json");
    std::fs::write(&path, serde_json::to_string_pretty(&product.built)?)
        .with_context(|| path.display().to_string())?;
    println!("{}", path.display());
    Ok(PASSED)
}

/// A path with more at its end.
fn beside(path: &Path, more: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(more);
    name.into()
}

/// Tells every mistake of every system.
pub fn check(workspace: &Workspace, arguments: &CheckArguments) -> Result<u8> {
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut status = PASSED;
    for named in &arguments.systems {
        let system = System::find(workspace, named)?;
        let shown = workspace.shown(&system.manifest);
        match manifest::load(&system.manifest, &Folders::of(workspace)) {
            Ok(_) => println!("{shown}: no mistakes"),
            Err(mistakes) => {
                eprint!("{}", mistakes.render(colours));
                status = USAGE;
            }
        }
    }
    Ok(status)
}

/// Prints who owns what.
pub fn print_report(workspace: &Workspace, arguments: &ReportArguments) -> Result<u8> {
    let system = System::find(workspace, &arguments.system)?;
    let manifest = manifest::load(&system.manifest, &Folders::of(workspace))?;
    print!("{}", report::render(&manifest));
    Ok(PASSED)
}

/// Prints the manifest's JSON schema.
pub fn print_schema() -> u8 {
    print!("{}", manifest::schema::text());
    PASSED
}
