// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the machine must have: tools that are installed when a command first
//! needs them, and Debian packages that are only unpacked for guests.
//!
//! Nothing is installed silently: each change to the machine is announced with
//! the packages' names, and `--no-install` refuses it with the command to type.
//! `/etc/apt` and the machine's package lists stay as they are.

mod apt;
pub mod debian;
pub mod rust;

pub use apt::release;

use crate::failure::mistake;
use crate::process;
use crate::terminal::announce;
use crate::workspace::Workspace;
use anyhow::{Result, bail};
use std::process::Command;

/// A program or a file that a command needs and the Debian package it comes from.
#[derive(Debug)]
pub struct Tool {
    /// A name on the path, or a file's whole path.
    program: &'static str,
    package: &'static str,
    /// The oldest major version that serves, for a package that older Debians
    /// have in their backports too.
    oldest: Option<u32>,
}

/// The emulator of the Arm boards. Version 7.2, of Debian 12, lacks CPU models
/// and devices that the boards use.
pub const QEMU_ARM: Tool =
    Tool { program: "qemu-system-aarch64", package: "qemu-system-arm", oldest: Some(8) };
/// The emulator of the x86 boards.
pub const QEMU_X86: Tool =
    Tool { program: "qemu-system-x86_64", package: "qemu-system-x86", oldest: Some(8) };
/// The firmware of the x86 boards' QEMU: UEFI.
pub const OVMF: Tool =
    Tool { program: "/usr/share/OVMF/OVMF_CODE_4M.fd", package: "ovmf", oldest: None };
/// The other emulator of the x86 boards.
pub const BOCHS: Tool = Tool { program: "bochs-bin", package: "bochs", oldest: None };
/// Its BIOS.
pub const BOCHS_BIOS: Tool =
    Tool { program: "/usr/share/bochs/BIOS-bochs-latest", package: "bochsbios", oldest: None };
/// Another BIOS for it, which leaves more to what it boots.
pub const SEABIOS: Tool =
    Tool { program: "/usr/share/seabios/bios.bin", package: "seabios", oldest: None };
/// Its VGA BIOS.
pub const BOCHS_VGABIOS: Tool =
    Tool { program: "/usr/share/bochs/VGABIOS-lgpl-latest", package: "vgabios", oldest: None };
/// What makes GRUB's core image.
pub const GRUB: Tool = Tool { program: "grub-mkimage", package: "grub-common", oldest: None };
/// GRUB for a PC's BIOS.
pub const GRUB_PC: Tool =
    Tool { program: "/usr/lib/grub/i386-pc/boot.img", package: "grub-pc-bin", oldest: None };
/// The C compiler of guests written in C.
pub const GCC_ARM64: Tool =
    Tool { program: "aarch64-linux-gnu-gcc", package: "gcc-aarch64-linux-gnu", oldest: None };
/// The assembler of images for x86 that come from outside.
pub const GCC_X86: Tool =
    Tool { program: "x86_64-linux-gnu-gcc", package: "gcc-x86-64-linux-gnu", oldest: None };
/// The C++ compiler of libFuzzer.
pub const CXX: Tool = Tool { program: "c++", package: "g++", oldest: None };
/// The device tree compiler, for reading device trees in tests.
pub const DTC: Tool = Tool { program: "dtc", package: "device-tree-compiler", oldest: None };

/// Installs what is missing, if the user lets it.
#[derive(Clone, Debug)]
pub struct Installer {
    workspace: Workspace,
    refuse: bool,
}

impl Installer {
    /// An installer; `refuse` is `--no-install`.
    pub fn new(workspace: &Workspace, refuse: bool) -> Self {
        Self { workspace: workspace.clone(), refuse }
    }

    /// Whether `--no-install` was given.
    pub fn refuses(&self) -> bool {
        self.refuse
    }

    /// Makes sure that the tools are there.
    pub fn need(&self, tools: &[&Tool]) -> Result<()> {
        let missing: Vec<&Tool> = tools.iter().copied().filter(|tool| !tool.serves()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
        let names = names.join(" ");
        if self.refuse {
            return Err(mistake(format!(
                "missing on this machine: {names}; type `{}`, or leave out --no-install",
                apt::hint(&missing)
            )));
        }
        announce(&format!("installing Debian packages: {names}"));
        apt::install(&self.workspace, &missing)?;
        match missing.iter().find(|tool| !tool.serves()) {
            None => Ok(()),
            Some(tool) => bail!(
                "{} was installed, but {} is {}; install a newer one by hand",
                tool.package,
                tool.program,
                tool.state()
            ),
        }
    }
}

impl Tool {
    /// The program.
    pub fn program(&self) -> &'static str {
        self.program
    }

    /// Whether the tool is there and new enough.
    fn serves(&self) -> bool {
        let Some(path) = process::which(self.program) else { return false };
        let Some(oldest) = self.oldest else { return true };
        let said = process::output(Command::new(path).arg("--version")).unwrap_or_default();
        major_version(&said).is_some_and(|major| major >= oldest)
    }

    /// What is wrong with a tool that does not serve.
    fn state(&self) -> String {
        match (process::which(self.program), self.oldest) {
            (Some(path), Some(oldest)) => format!("older than {oldest} ({})", path.display()),
            _ => "not on the path".to_owned(),
        }
    }
}

/// The first number after the word "version".
fn major_version(said: &str) -> Option<u32> {
    let (_, rest) = said.split_once("version ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_what_qemu_says() {
        let said = "QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)\nCopyright";
        assert_eq!(major_version(said), Some(10));
        assert_eq!(major_version("no such thing"), None);
    }
}
