// SPDX-License-Identifier: MIT OR Apache-2.0
//! `guests/NAME/guest.toml`: what kind of image a guest is and how it comes about.

use crate::cargo;
use crate::failure::mistake;
use crate::manifest::ImageKind;
use crate::manifest::board::Arch;
use crate::workspace::Workspace;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// A guest's recipe for one instruction set.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// What the image is; the manifest's inline images have the same kinds.
    pub kind: ImageKind,
    /// How it is built.
    pub build: Build,
    /// The command line of a `linux` guest.
    pub cmdline: String,
}

/// A recipe as it is written: for one instruction set, or with a table for each.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecipeFile {
    #[serde(deserialize_with = "kind")]
    kind: ImageKind,
    build: Option<Build>,
    #[serde(default)]
    cmdline: String,
    aarch64: Option<Making>,
    x86_64: Option<Making>,
}

/// How the image for one instruction set comes about.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Making {
    build: Build,
    #[serde(default)]
    cmdline: String,
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
            defaults: true,
        }
    }
}

impl Recipe {
    /// Reads a guest's recipe for an instruction set.
    pub fn read(workspace: &Workspace, guest: &str, arch: Arch) -> anyhow::Result<Self> {
        let path = workspace.guest(guest).join("guest.toml");
        let shown = workspace.shown(&path);
        let text = std::fs::read_to_string(&path).map_err(|error| {
            mistake(format!("{shown}: {error}; a guest is a folder in guests/ with a guest.toml"))
        })?;
        let file: RecipeFile =
            toml::from_str(&text).map_err(|error| mistake(format!("{shown}: {error}")))?;
        file.choose(arch)
            .ok_or_else(|| mistake(format!("{shown}: the guest is not made for {}", arch.word())))
    }
}

impl RecipeFile {
    /// What is written for an instruction set, or for none in particular.
    fn choose(self, arch: Arch) -> Option<Recipe> {
        let own = match arch {
            Arch::Aarch64 => self.aarch64,
            Arch::X86_64 => self.x86_64,
        };
        let Self { kind, cmdline, .. } = self;
        let common = self.build.map(|build| Making { build, cmdline });
        own.or(common).map(|Making { build, cmdline }| Recipe { kind, build, cmdline })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_to_build_is_told_by_its_keys() {
        let read = |text: &str| {
            toml::from_str::<RecipeFile>(text).map(|file| file.choose(Arch::Aarch64).unwrap())
        };
        let program = read("kind = 'elf'\nbuild = { cargo = 'a', target = 'b' }").unwrap();
        assert!(matches!(program.build, Build::Cargo(_)));
        let linux = "kind = 'linux'\ncmdline = 'quiet'\n\
                     build = { debian = 'k', busybox = 'b', init = 'init' }";
        assert!(matches!(read(linux).unwrap().build, Build::Linux(_)));
        let file = read("kind = 'firmware'\nbuild = { debian = 'u', file = 'x' }").unwrap();
        assert!(matches!(file.build, Build::File(_)));
        assert!(read("kind = 'elf'\nbuild = { cargo = 'a', traget = 'b' }").is_err());
    }

    #[test]
    fn each_instruction_set_has_its_own_table() {
        let text = "kind = 'elf'\n[x86_64]\nbuild = { cargo = 'a', target = 'b' }\ncmdline = 'c'";
        let file: RecipeFile = toml::from_str(text).unwrap();
        assert!(file.clone().choose(Arch::Aarch64).is_none());
        assert_eq!(file.choose(Arch::X86_64).unwrap().cmdline, "c");
    }
}
