// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guests: from a folder in `guests/` to the files that a flash image is made of.

pub mod cpio;
pub mod recipe;

use crate::cargo;
use crate::grub;
use crate::image::GuestFiles;
use crate::image::pc::disk::Grub;
use crate::manifest::ImageKind;
use crate::manifest::board::Arch;
use crate::packages::debian::{Cache, Package};
use crate::packages::{GCC_ARM64, GCC_X86, Installer, rust};
use crate::process;
use crate::workspace::{Workspace, made};
use anyhow::{Context, Result};
use cpio::Archive;
use recipe::{Build, Linux, Recipe};
use std::path::{Path, PathBuf};
use std::process::Command;

/// An instruction set in Debian's words.
fn architecture(arch: Arch) -> &'static str {
    match arch {
        Arch::Aarch64 => "arm64",
        Arch::X86_64 => "amd64",
    }
}

/// A guest whose files are there.
#[derive(Clone, Debug)]
pub struct Built {
    /// What the image is.
    pub kind: ImageKind,
    /// The image.
    pub image: PathBuf,
    /// The first root of a `linux` guest.
    pub initrd: Option<PathBuf>,
    /// The command line of a `linux` guest.
    pub cmdline: String,
    /// The Debian packages that it was made from.
    pub packages: Vec<Package>,
}

impl Built {
    /// The files' content, as the flash image takes it.
    pub fn files(&self) -> Result<GuestFiles> {
        let initrd = self.initrd.as_deref().map(read).transpose()?;
        let cmdline = self.cmdline.clone();
        Ok(GuestFiles { kind: self.kind, image: read(&self.image)?, initrd, cmdline })
    }
}

/// Builds guests and remembers what they share.
#[derive(Debug)]
pub struct Builder<'a> {
    workspace: &'a Workspace,
    installer: &'a Installer,
    packages: Cache,
    programs: Vec<(cargo::Recipe, PathBuf)>,
}

impl<'a> Builder<'a> {
    /// A builder for this workspace.
    pub fn new(workspace: &'a Workspace, installer: &'a Installer) -> Result<Self> {
        Ok(Self { workspace, installer, packages: Cache::open(workspace)?, programs: Vec::new() })
    }

    /// Builds a guest by its folder's name, for an instruction set.
    pub fn build(&mut self, guest: &str, arch: Arch) -> Result<Built> {
        let recipe = Recipe::read(self.workspace, guest, arch)?;
        let mut built = Built {
            kind: recipe.kind,
            image: PathBuf::new(),
            initrd: None,
            cmdline: recipe.cmdline.clone(),
            packages: Vec::new(),
        };
        self.fill(guest, arch, &recipe, &mut built).with_context(|| format!("guest {guest}"))?;
        Ok(built)
    }

    /// Makes `NAME.elf` and `NAME.bin` in a folder of `NAME.S`, with Debian's
    /// assembler and linker: images that none of our build files had a hand in. What the
    /// source includes lies in the folder.
    pub fn assemble(&self, arch: Arch, source: &Path, folder: &Path) -> Result<()> {
        let (compiler, text) = match arch {
            Arch::Aarch64 => (&GCC_ARM64, "-Wl,-Ttext=0x40100000"),
            Arch::X86_64 => (&GCC_X86, "-Wl,-Ttext=0x100000"),
        };
        self.installer.need(&[compiler])?;
        let tools = compiler.program().trim_end_matches("gcc");
        let stem = source.file_stem().unwrap_or_default();
        let executable = folder.join(stem).with_extension("elf");
        let mut link = Command::new(compiler.program());
        link.args(["-nostdlib", "-static", text, "-Wl,--build-id=none", "-o"]);
        link.arg(&executable).arg(format!("-Wa,-I,{}", folder.display()));
        process::output(link.arg(source))?;
        let mut copy = Command::new(format!("{tools}objcopy"));
        copy.args(["--output-target", "binary"]).arg(&executable);
        process::output(copy.arg(executable.with_extension("bin"))).map(|_| ())
    }

    /// GRUB for a PC's BIOS, which carries out these commands first.
    pub fn grub(&self, commands: &[String]) -> Result<Grub> {
        grub::make(self.workspace, self.installer, commands)
    }

    /// Makes the files of a guest.
    fn fill(&mut self, guest: &str, arch: Arch, recipe: &Recipe, built: &mut Built) -> Result<()> {
        match &recipe.build {
            Build::Cargo(program) => built.image = self.program(&program.recipe())?,
            Build::Linux(linux) => self.linux(guest, arch, linux, built)?,
            Build::File(file) => {
                let (files, package) = self.packages.fetch(&file.debian, architecture(arch))?;
                built.image = existing(&files, &[&file.file])?;
                built.packages.push(package);
            }
        }
        Ok(())
    }

    /// Builds a package of the workspace, once, and keeps a copy, since the next
    /// build with other features replaces cargo's.
    pub fn program(&mut self, recipe: &cargo::Recipe) -> Result<PathBuf> {
        if let Some((_, built)) = self.programs.iter().find(|(known, _)| known == recipe) {
            return Ok(built.clone());
        }
        if self.compiles_c(&recipe.package) {
            self.installer.need(&[&GCC_ARM64])?;
        }
        rust::need_target(self.installer, &recipe.target)?;
        let executable = recipe.build(self.workspace)?;
        let folder = self.workspace.target().join("programs").join(&recipe.target);
        let copy = made(folder)?.join(recipe.name());
        std::fs::copy(&executable, &copy).with_context(|| copy.display().to_string())?;
        self.programs.push((recipe.clone(), copy.clone()));
        Ok(copy)
    }

    /// Whether a package's build needs the C compiler: it names `cc`.
    fn compiles_c(&self, package: &str) -> bool {
        let manifest = self.workspace.guest(package).join("Cargo.toml");
        let text = std::fs::read_to_string(manifest).unwrap_or_default();
        let table: toml::Table = toml::from_str(&text).unwrap_or_default();
        table
            .get("build-dependencies")
            .and_then(|wanted| wanted.as_table())
            .is_some_and(|wanted| wanted.contains_key("cc"))
    }

    /// Debian's kernel as it is, and a first root with busybox, the guest's
    /// init script and its programs.
    fn linux(&mut self, guest: &str, arch: Arch, linux: &Linux, built: &mut Built) -> Result<()> {
        let debian = architecture(arch);
        let (kernel, package) = self.packages.fetch(&linux.debian, debian)?;
        built.image = existing(&kernel, &[&format!("boot/vmlinuz-{}", release(&package))])?;
        built.packages.push(package);
        let (files, package) = self.packages.fetch(&linux.busybox, debian)?;
        let busybox = existing(&files, &["bin/busybox", "usr/bin/busybox"])?;
        built.packages.push(package);

        let mut root = Archive::default();
        for folder in ["bin", "dev", "proc", "sys", "tmp"] {
            root.folder(folder);
        }
        root.character_device("dev/console", 5, 1).character_device("dev/null", 1, 3);
        root.program("bin/busybox", &read(&busybox)?).link("bin/sh", "busybox");
        for program in &linux.programs {
            let executable = self.program(&program.recipe())?;
            root.program(&format!("bin/{}", program.cargo), &read(&executable)?);
        }
        root.program("init", &read(&self.workspace.guest(guest).join(&linux.init))?);
        let initrd = self.workspace.built_guest(guest)?.join(format!("initrd-{debian}.cpio"));
        std::fs::write(&initrd, root.finish()).with_context(|| initrd.display().to_string())?;
        built.initrd = Some(initrd);
        Ok(())
    }
}

/// The kernel release in its package's name, which its files end with.
fn release(package: &Package) -> &str {
    let name = package.name.strip_prefix("linux-image-").unwrap_or(&package.name);
    name.strip_suffix("-unsigned").unwrap_or(name)
}

/// The first of the paths that is a file below the folder.
fn existing(folder: &Path, paths: &[&str]) -> Result<PathBuf> {
    paths
        .iter()
        .map(|path| folder.join(path))
        .find(|path| path.is_file())
        .with_context(|| format!("{} holds no {}", folder.display(), paths.join(" or ")))
}

/// A file's content.
fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).with_context(|| file.display().to_string())
}
