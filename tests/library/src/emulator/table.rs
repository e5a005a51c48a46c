// SPDX-License-Identifier: MIT OR Apache-2.0
//! An emulator as a board's `board.toml` describes it, and the command line
//! that comes of it.

use super::bochs;
use super::launch::Launch;
use super::way::Boot;
use crate::mistake::mistake;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::mem::take;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

/// The word in an argument that stands for the flash image's path.
const FILE: &str = "{file}";
/// The word in an argument that stands for the socket to which the host's UART is connected.
const LINE: &str = "{line}";
/// The word in a scenario's argument that stands for the folder of the flash image, where
/// what the scenario assembled is too.
const FOLDER: &str = "{folder}";

/// How an emulator is told what its machine is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// By arguments.
    #[default]
    Qemu,
    /// By a file.
    Bochs,
}

/// `[emulator.NAME]` in a `board.toml`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Emulator {
    /// What it is.
    #[serde(default)]
    pub kind: Kind,
    /// The program.
    pub program: String,
    /// Its arguments for every machine: the machine itself and one serial line
    /// on standard input and output; for Bochs more lines of its configuration.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// More of them if the manifest names a UART for the host, which `{line}` connects.
    #[serde(default)]
    pub management: Vec<String>,
    /// More of them if it names none.
    #[serde(default)]
    pub no_management: Vec<String>,
    /// CPU model.
    pub cpu: String,
    /// CPUs.
    pub cpus: u32,
    /// Memory, as the program takes it.
    pub memory: String,
    /// Arguments for each way into the machine; `{file}` is what boots. The first
    /// one in the order of [`Boot`] is taken if nobody says which.
    pub boot: BTreeMap<Boot, Vec<String>>,
}

/// How one machine differs from what the table says.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// CPU model.
    pub cpu: Option<String>,
    /// CPUs.
    pub cpus: Option<u32>,
    /// Memory.
    pub memory: Option<String>,
    /// The way into the machine.
    pub boot: Option<Boot>,
    /// More arguments, after those of the table.
    pub more: Vec<String>,
    /// Wait for a debugger on TCP port 1234.
    pub gdb: bool,
}

impl Emulator {
    /// The way into the machine that was chosen, or the first.
    pub fn way(&self, chosen: Option<Boot>) -> Result<Boot> {
        let mut ways = self.boot.keys().copied();
        let way = match chosen {
            None => ways.next(),
            Some(chosen) => ways.find(|way| *way == chosen),
        };
        way.ok_or_else(|| {
            let ways: Vec<&str> = self.boot.keys().map(|way| way.word()).collect();
            let chosen = chosen.map_or("nothing", Boot::word);
            mistake(format!(
                "{} does not boot from {chosen} on this board; it does from: {}",
                self.program,
                ways.join(", ")
            ))
        })
    }

    /// The quickest way into the machine: past the firmware, where there is one.
    pub fn quickest(&self) -> Result<Boot> {
        self.way(self.boot.contains_key(&Boot::Kernel).then_some(Boot::Kernel))
    }

    /// The host has a UART of its own, or none, from now.
    pub fn choose_line(&mut self, managed: bool) {
        let (with, without) = (take(&mut self.management), take(&mut self.no_management));
        self.arguments.extend(if managed { with } else { without });
    }

    /// What starts the machine that boots a file.
    pub fn launch(&self, image: &Path, options: &Options) -> Result<Launch> {
        if self.arguments.iter().any(|argument| argument.contains(LINE)) {
            let host =
                TcpListener::bind(("127.0.0.1", 0)).context("a socket for the host's line")?;
            let address = host.local_addr().context("the socket's port")?.to_string();
            let arguments = self.arguments.iter().map(|one| one.replace(LINE, &address)).collect();
            let connected = Self { arguments, ..self.clone() };
            return Ok(Launch { host: Some(host), ..connected.launch(image, options)? });
        }
        match self.kind {
            Kind::Qemu => Ok(self.command(image, options).into()),
            Kind::Bochs => bochs::launch(self, image, options),
        }
    }

    /// QEMU's command.
    pub fn command(&self, image: &Path, options: &Options) -> Command {
        let folder = image.parent().unwrap_or(Path::new("")).display().to_string();
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .args(["-cpu", options.cpu.as_deref().unwrap_or(&self.cpu)])
            .args(["-smp", &options.cpus.unwrap_or(self.cpus).to_string()])
            .args(["-m", options.memory.as_deref().unwrap_or(&self.memory)])
            .args(options.more.iter().map(|more| more.replace(FOLDER, &folder)));
        let image = image.display().to_string();
        let way = self.way(options.boot).ok().and_then(|way| self.boot.get(&way));
        command.args(way.into_iter().flatten().map(|argument| argument.replace(FILE, &image)));
        if options.gdb {
            command.args(["-s", "-S"]);
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::command::shown;

    fn table() -> Emulator {
        let text = "program = 'qemu-system-aarch64'\narguments = ['-M', 'virt']\n\
            cpu = 'cortex-a57'\ncpus = 4\nmemory = '2G'\n\
            boot = { flash = ['-drive', 'if=pflash,format=raw,file={file}'], \
            image = ['-kernel', '{file}'] }";
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_table_alone_boots_from_flash() {
        let command = table().command(Path::new("flash.img"), &Options::default());
        assert_eq!(
            shown(&command),
            "qemu-system-aarch64 -M virt -cpu cortex-a57 -smp 4 -m 2G \
             -drive if=pflash,format=raw,file=flash.img"
        );
    }

    #[test]
    fn options_replace_what_the_table_says() {
        let options = Options {
            cpu: Some("max".into()),
            cpus: Some(8),
            memory: Some("1G".into()),
            boot: Some(Boot::Image),
            more: vec!["-M".into(), "secure=on".into(), "-dtb".into(), "{folder}/tree".into()],
            gdb: true,
        };
        assert_eq!(
            shown(&table().command(Path::new("made/f"), &options)),
            "qemu-system-aarch64 -M virt -cpu max -smp 8 -m 1G -M secure=on -dtb made/tree \
             -kernel made/f -s -S"
        );
    }
}
