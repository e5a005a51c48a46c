// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rust's own parts: the targets that `rust-toolchain.toml` names, and the
//! nightly toolchain that Miri uses, pinned by date. Everything else
//! builds on stable.

use super::Installer;
use crate::failure::mistake;
use crate::process;
use crate::terminal::announce;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;

/// The nightly of the day after rustc's commit date 2026-05-19.
pub const NIGHTLY: &str = "nightly-2026-05-20";

/// Makes sure that programs can be built for a target. rustup installs a toolchain with its
/// targets when it is first used, but adds none to one that was there already.
pub fn need_target(installer: &Installer, target: &str) -> Result<()> {
    let mut ask = Command::new("rustc");
    ask.args(["--print", "target-libdir", "--target", target]);
    let folder = process::output(ask.current_dir(installer.workspace.root()))?;
    if holds_core(Path::new(folder.trim())) {
        return Ok(());
    }
    let mut command = Command::new("rustup");
    command.args(["toolchain", "install"]).current_dir(installer.workspace.root());
    // With the choice of the cargo that runs us, rustup would not read the file.
    command.env_remove("RUSTUP_TOOLCHAIN");
    if installer.refuses() {
        let typed = process::shown(&command);
        return Err(mistake(format!("Rust's target {target} is missing; type `{typed}`")));
    }
    announce(&format!("installing {target} and what else rust-toolchain.toml names, by rustup"));
    process::run("installing Rust's targets", &mut command).map(|_| ())
}

/// Whether a target's folder holds the core library. rustup leaves an empty one behind.
fn holds_core(folder: &Path) -> bool {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.into_iter().any(|file| file.file_name().to_string_lossy().starts_with("libcore-"))
}

/// Makes sure that the nightly with Miri is there. An error says why it cannot be had.
pub fn need_miri(installer: &Installer) -> Result<()> {
    let there = process::output(&mut nightly_cargo(&["miri", "--version"]));
    if there.is_ok() {
        return Ok(());
    }
    let install = ["toolchain", "install", NIGHTLY, "--profile", "minimal"];
    let mut command = Command::new("rustup");
    command.args(install).args(["--component", "miri,rust-src"]);
    if installer.refuses() {
        let typed = process::shown(&command);
        return Err(mistake(format!("{NIGHTLY} with Miri is missing; type `{typed}`")));
    }
    announce(&format!("installing {NIGHTLY} with miri and rust-src through rustup"));
    process::run("installing the nightly", &mut command)
        .map(|_| ())
        .with_context(|| format!("{NIGHTLY} cannot be had"))
}

/// Cargo of the nightly.
pub fn nightly_cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", NIGHTLY, "cargo"]).args(arguments);
    // `cargo xtask` runs under the stable toolchain and passes its choice on.
    command.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO").env_remove("RUSTC");
    command
}
