// SPDX-License-Identifier: MIT OR Apache-2.0
//! GRUB for a PC's BIOS, from Debian's packages: its first sector as it is, and a
//! core image with just what loads the hypervisor.

use crate::image::pc::disk::{GRUB_CONFIG, GRUB_MODULES, GRUB_PREFIX, Grub};
use crate::packages::{GRUB, GRUB_PC, Installer};
use crate::process;
use crate::workspace::{Workspace, made};
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;

/// GRUB's name for a PC with a BIOS.
const FORMAT: &str = "i386-pc";

/// Makes both images. GRUB carries out `commands`, each of a module of its name, before it
/// loads the hypervisor.
pub fn make(workspace: &Workspace, installer: &Installer, commands: &[String]) -> Result<Grub> {
    installer.need(&[&GRUB, &GRUB_PC])?;
    let folder = made(workspace.target().join("grub"))?;
    let (config, core) = (folder.join("early.cfg"), folder.join("core.img"));
    let before: String = commands.iter().map(|command| format!("{command}\n")).collect();
    std::fs::write(&config, before + GRUB_CONFIG).with_context(|| config.display().to_string())?;
    let mut command = Command::new(GRUB.program());
    command.args(["--format", FORMAT, "--prefix", GRUB_PREFIX, "--config"]).arg(config);
    command.arg("--output").arg(&core).args(GRUB_MODULES);
    command.args(commands.iter().filter_map(|command| command.split_whitespace().next()));
    process::output(&mut command)?;
    let read = |path: &Path| std::fs::read(path).with_context(|| path.display().to_string());
    Ok(Grub { boot: read(Path::new(GRUB_PC.program()))?, core: read(&core)? })
}
