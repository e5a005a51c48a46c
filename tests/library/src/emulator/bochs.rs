// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bochs: its configuration is a file, written anew for each machine, and its
//! serial line a socket (Bochs 2.7, `.bochsrc` and its user manual, "bochsrc").

use super::launch::{Console, Launch};
use super::table::{Emulator, Options};
use crate::mistake::mistake;
use anyhow::{Context, Result};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where Debian has the BIOS and the VGA BIOS.
const FIRMWARE: &str = "/usr/share/bochs";
/// What the debugger is told: go on, and leave when the machine stops.
const DEBUGGER: &str = "c\nq\n";
/// Machines that this program has started.
static STARTED: AtomicU32 = AtomicU32::new(0);

/// A machine that boots a disk image; its files go beside the image.
pub fn launch(emulator: &Emulator, disk: &Path, options: &Options) -> Result<Launch> {
    if options.gdb {
        return Err(mistake("--gdb needs QEMU: Bochs has a debugger of its own"));
    }
    let number = STARTED.fetch_add(1, Ordering::Relaxed);
    let beside = disk.parent().unwrap_or(Path::new(""));
    let folder = beside.join(format!("bochs-{number}"));
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("a socket for the serial line")?;
    let port = listener.local_addr().context("the socket's port")?.port();
    let memory = options.memory.as_deref().unwrap_or(&emulator.memory);
    let machine = Machine {
        cpu: options.cpu.as_deref().unwrap_or(&emulator.cpu),
        cpus: options.cpus.unwrap_or(emulator.cpus),
        mebibytes: mebibytes(memory)?,
        disk,
        port,
        folder: &folder,
        more: &[&emulator.arguments[..], &options.more].concat(),
    };
    let (configuration, debugger) = (folder.join("bochsrc"), folder.join("debugger"));
    std::fs::write(&configuration, machine.configuration())
        .and_then(|()| std::fs::write(&debugger, DEBUGGER))
        .with_context(|| folder.display().to_string())?;
    let mut command = Command::new(&emulator.program);
    command.args(["-q", "-unlock", "-f"]).arg(configuration).arg("-rc").arg(debugger);
    Ok(Launch { command, console: Console::Socket(listener), host: None })
}

/// What the configuration says of one machine.
struct Machine<'a> {
    cpu: &'a str,
    cpus: u32,
    mebibytes: u64,
    disk: &'a Path,
    port: u16,
    folder: &'a Path,
    more: &'a [String],
}

impl Machine<'_> {
    /// The file. Without its sound driver Bochs 2.7 aborts; `sync=none` makes it repeatable.
    fn configuration(&self) -> String {
        let Self { cpu, cpus, mebibytes, port, .. } = self;
        let (disk, log) = (self.disk.display(), self.folder.join("log"));
        let mut lines = vec![
            "config_interface: textconfig".to_owned(),
            "display_library: rfb, options=\"timeout=0\"".to_owned(),
            "plugin_ctrl: unmapped=1, biosdev=1, serial=1, speaker=0, parallel=0, extfpuirq=1, \
             gameport=0, iodebug=0"
                .to_owned(),
            format!("romimage: file={FIRMWARE}/BIOS-bochs-latest"),
            format!("vgaromimage: file={FIRMWARE}/VGABIOS-lgpl-latest"),
            "vga: extension=none, update_freq=5, realtime=0".to_owned(),
            format!(
                "cpu: model={cpu}, count={cpus}, ips=50000000, reset_on_triple_fault=0, \
                 ignore_bad_msrs=1"
            ),
            format!("memory: guest={mebibytes}, host={mebibytes}"),
            "clock: sync=none, time0=1000000000".to_owned(),
            "pci: enabled=1, chipset=i440fx".to_owned(),
            "ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14".to_owned(),
            format!("ata0-master: type=disk, path=\"{disk}\", mode=volatile"),
            "boot: disk".to_owned(),
            format!("com1: enabled=1, mode=socket-client, dev=127.0.0.1:{port}"),
            "com2: enabled=1, mode=null".to_owned(),
            "panic: action=fatal".to_owned(),
            "error: action=report".to_owned(),
            "info: action=report".to_owned(),
            "debug: action=ignore".to_owned(),
            format!("log: {}", log.display()),
            "speaker: enabled=1, mode=none".to_owned(),
            "sound: driver=dummy".to_owned(),
        ];
        lines.extend(self.more.iter().cloned());
        lines.push(String::new());
        lines.join("\n")
    }
}

/// A size as QEMU takes it, in MiB.
fn mebibytes(text: &str) -> Result<u64> {
    let (number, factor) = match text.strip_suffix('G') {
        Some(number) => (number, 1024),
        None => (text.strip_suffix('M').unwrap_or(text), 1),
    };
    let number: Option<u64> = number.parse().ok().filter(|number| *number != 0);
    number
        .and_then(|number| number.checked_mul(factor))
        .ok_or_else(|| mistake(format!("memory {text} is no size such as 512M or 1G")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_qemu() {
        assert_eq!(mebibytes("2G").unwrap(), 2048);
        assert_eq!(mebibytes("512M").unwrap(), 512);
        assert_eq!(mebibytes("512").unwrap(), 512);
        assert!(mebibytes("much").is_err() && mebibytes("0").is_err());
    }

    #[test]
    fn the_configuration_names_the_disk_and_the_socket() {
        let machine = Machine {
            cpu: "ryzen",
            cpus: 2,
            mebibytes: 512,
            disk: Path::new("a/disk.img"),
            port: 4711,
            folder: Path::new("a/b"),
            more: &["magic_break: enabled=1".to_owned()],
        };
        let text = machine.configuration();
        for line in [
            "ata0-master: type=disk, path=\"a/disk.img\", mode=volatile\n",
            "com1: enabled=1, mode=socket-client, dev=127.0.0.1:4711\n",
            "cpu: model=ryzen, count=2, ",
            "magic_break: enabled=1\n",
        ] {
            assert!(text.contains(line), "{line}");
        }
    }
}
