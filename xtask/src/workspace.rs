// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where things lie: the repository, and below its target folder what the
//! commands make and fetch.
//!
//! ```text
//! target/systems/NAME/    flash image, its packages.toml, its report
//! target/guests/NAME/     a guest's built image
//! target/cache/           what came from the network; safe to delete
//! ```

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// The repository and the folder that builds go to.
#[derive(Clone, Debug)]
pub struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// The workspace that this program was built from.
    pub fn find() -> Result<Self> {
        let package = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = package
            .parent()
            .filter(|root| root.join("Cargo.toml").is_file())
            .with_context(|| format!("{} is not inside Bulkhead's workspace", package.display()))?
            .to_path_buf();
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(target) => std::path::absolute(target).context("CARGO_TARGET_DIR")?,
            None => root.join("target"),
        };
        Ok(Self { root, target })
    }

    /// The repository's top folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Cargo's target folder.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// A guest's folder.
    pub fn guest(&self, name: &str) -> PathBuf {
        self.root.join("guests").join(name)
    }

    /// Boards, one folder each.
    pub fn boards(&self) -> PathBuf {
        self.root.join("boards")
    }

    /// Scenarios, one folder each.
    pub fn scenarios(&self) -> PathBuf {
        self.root.join("tests/scenarios")
    }

    /// What came from the network. Always below the repository's own target
    /// folder, so that builds with another `CARGO_TARGET_DIR` share it.
    pub fn cache(&self) -> PathBuf {
        self.root.join("target/cache")
    }

    /// Where a system's flash image is written. The folder exists afterwards.
    pub fn system(&self, name: &str) -> Result<PathBuf> {
        made(self.target.join("systems").join(name))
    }

    /// Where a guest's built image is written. The folder exists afterwards.
    pub fn built_guest(&self, name: &str) -> Result<PathBuf> {
        made(self.target.join("guests").join(name))
    }

    /// A path as a person would type it at the repository's top.
    pub fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}

/// Creates a folder and its parents.
pub fn made(folder: PathBuf) -> Result<PathBuf> {
    std::fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    Ok(folder)
}
