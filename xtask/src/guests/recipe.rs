// SPDX-License-Identifier: MIT OR Apache-2.0
//! `guests/NAME/guest.toml`: what kind of image a guest is and how it comes about.

use crate::cargo;
use crate::failure::mistake;
use crate::manifest::ImageKind;
use crate::workspace::Workspace;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// A guest's recipe.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What the image is; the manifest's inline images have the same kinds.
    #[serde(deserialize_with = "kind")]
    pub kind: ImageKind,
    /// How it is built.
    pub build: Build,
    /// The command line of a `linux` guest.
    #[serde(default)]
    pub cmdline: String,
}

/// A kind of image, in the manifest's words.
fn kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ImageKind, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "linux" => Ok(ImageKind::Linux),
        "elf" => Ok(ImageKind::Elf),
        "firmware" => Ok(ImageKind::Firmware),
        other => Err(D::Error::custom(format!("kind is linux, elf or firmware, not `{other}`"))),
    }
}

/// How an image comes about.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Build {
    /// A package of this workspace.
    Cargo(Program),
    /// Debian's kernel, with a first root of ours.
    Linux(Linux),
    /// One file of a Debian package.
    File(File),
}

/// A package of this workspace, built for release.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// The package; its binary has the same name.
    pub cargo: String,
    /// The target triple.
    pub target: String,
    /// Features to turn on.
    #[serde(default)]
    pub features: Vec<String>,
}

/// Debian's kernel and busybox.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linux {
    /// The kernel's package or metapackage.
    pub debian: String,
    /// The package with a static busybox.
    pub busybox: String,
    /// The script that the kernel starts, in the guest's folder.
    pub init: String,
    /// Programs of this workspace that are put into `/bin`.
    #[serde(default)]
    pub programs: Vec<Program>,
}

/// One file of a Debian package.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The package.
    pub debian: String,
    /// The file's path in it.
    pub file: String,
}

impl Program {
    /// What cargo is asked for.
    pub fn recipe(&self) -> cargo::Recipe {
        cargo::Recipe {
            package: self.cargo.clone(),
            binary: self.cargo.clone(),
            target: self.target.clone(),
            features: self.features.clone(),
        }
    }
}

impl Recipe {
    /// Reads a guest's recipe.
    pub fn read(workspace: &Workspace, guest: &str) -> anyhow::Result<Self> {
        let path = workspace.guest(guest).join("guest.toml");
        let shown = workspace.shown(&path);
        let text = std::fs::read_to_string(&path).map_err(|error| {
            mistake(format!("{shown}: {error}; a guest is a folder in guests/ with a guest.toml"))
        })?;
        toml::from_str(&text).map_err(|error| mistake(format!("{shown}: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_to_build_is_told_by_its_keys() {
        let read = |text: &str| toml::from_str::<Recipe>(text);
        let program = read("kind = 'elf'\nbuild = { cargo = 'a', target = 'b' }").unwrap();
        assert!(matches!(program.build, Build::Cargo(_)));
        let linux = "kind = 'linux'\ncmdline = 'quiet'\n\
                     build = { debian = 'k', busybox = 'b', init = 'init' }";
        assert!(matches!(read(linux).unwrap().build, Build::Linux(_)));
        let file = read("kind = 'firmware'\nbuild = { debian = 'u', file = 'x' }").unwrap();
        assert!(matches!(file.build, Build::File(_)));
        assert!(read("kind = 'elf'\nbuild = { cargo = 'a', traget = 'b' }").is_err());
    }
}
