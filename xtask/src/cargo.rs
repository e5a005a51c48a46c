// SPDX-License-Identifier: MIT OR Apache-2.0
//! Building the hypervisor and the guests with cargo, so that the same sources
//! give the same bytes wherever the repository and cargo's home lie.

use crate::process;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What to build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// The package.
    pub package: String,
    /// Its binary.
    pub binary: String,
    /// The target triple.
    pub target: String,
    /// Features to turn on.
    pub features: Vec<String>,
    /// Whether those are on that are so by default.
    pub defaults: bool,
}

impl Recipe {
    /// A package whose binary has the package's name.
    pub fn new(package: &str, target: &str) -> Self {
        Self {
            package: package.to_owned(),
            binary: package.to_owned(),
            target: target.to_owned(),
            features: Vec::new(),
            defaults: true,
        }
    }

    /// The binary's name, with the features that make it another program.
    pub fn name(&self) -> String {
        let features = self.features.iter().map(|feature| format!("+{feature}"));
        let defaults = (!self.defaults).then(|| "-default".to_owned());
        std::iter::once(self.binary.clone()).chain(defaults).chain(features).collect()
    }

    /// Builds it for release; where the executable lies until it is built again.
    pub fn build(&self, workspace: &Workspace) -> Result<PathBuf> {
        let mut command = cargo(workspace);
        command
            .args(["build", "--release"])
            .args(["--package", &self.package, "--bin", &self.binary, "--target", &self.target])
            .arg("--config")
            .arg(remapped(workspace, &self.target));
        if !self.features.is_empty() {
            command.args(["--features", &self.features.join(",")]);
        }
        if !self.defaults {
            command.arg("--no-default-features");
        }
        executable(&format!("building {}", self.package), &mut command, &self.binary)
    }
}

/// Runs a `cargo build` under a named step; where the executable of a binary lies.
pub fn executable(step: &str, command: &mut Command, binary: &str) -> Result<PathBuf> {
    command.arg("--message-format=json-render-diagnostics");
    let mut done = process::attempt(step, command)?;
    if !done.status.success() {
        // Messages for programs, of which the standard error holds the readable form.
        done.stdout.clear();
    }
    process::succeeded(command, done)?
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter(|message| message.target.name == binary)
        .find_map(|message| message.executable)
        .with_context(|| format!("cargo built no executable {binary}"))
}

/// What cargo says of each artefact; messages of other shapes are passed over.
#[derive(Deserialize)]
struct Message {
    target: Target,
    executable: Option<PathBuf>,
}

/// The part of a message that names the artefact.
#[derive(Deserialize)]
struct Target {
    name: String,
}

/// Cargo at the repository's top, without flags from the environment that
/// would change the bytes.
pub fn cargo(workspace: &Workspace) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(workspace.root())
        .env("CARGO_TARGET_DIR", workspace.target())
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .env_remove("CARGO_BUILD_RUSTFLAGS");
    command
}

/// Cargo configuration that replaces this machine's folders in what rustc
/// writes into the program. Cargo adds these flags to those of `.cargo/config.toml`.
fn remapped(workspace: &Workspace, target: &str) -> String {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| {
        let home = std::env::var_os("HOME")?;
        Some(Path::new(&home).join(".cargo"))
    });
    let mut flags = vec![format!("--remap-path-prefix={}=", workspace.root().display())];
    if let Some(home) = home {
        flags.push(format!("--remap-path-prefix={}=cargo", home.display()));
    }
    let quoted: Vec<String> = flags.iter().map(|flag| format!("{flag:?}")).collect();
    format!("target.{target}.rustflags=[{}]", quoted.join(","))
}
