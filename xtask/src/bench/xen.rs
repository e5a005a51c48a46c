// SPDX-License-Identifier: MIT OR Apache-2.0
//! Debian's Xen with the same payload as its only domain, started without a
//! control domain ("dom0less").
//!
//! Xen finds the domain in the machine's device tree: a node `xen,domain` below
//! /chosen names the kernel's address, where QEMU's loader put the payload as
//! the flat binary that its arm64 Image header promises.
//! Manual: Xen, "docs/features/dom0less.pandoc", "docs/misc/arm/device-tree/booting.txt".

use super::Measured;
use super::lab::{CPU, Lab, ONE_TICK, Run, play};
use super::payload::checked;
use crate::manifest::board::Arch;
use crate::packages::{DTC, debian::Cache};
use crate::process;
use crate::workspace::made;
use anyhow::{Context, Result};
use elf::ElfBytes;
use elf::abi::PT_LOAD;
use elf::endian::LittleEndian;
use std::path::Path;
use std::process::Command;

/// The package and the file in it.
const PACKAGE: &str = "xen-hypervisor-4.17-arm64";
const FILE: &str = "boot/xen-4.17-arm64";
/// Where the payload lies for Xen to find.
const MODULE: u64 = 0x4c00_0000;
const MACHINE: &str = "virt,virtualization=on,gic-version=3";
const MEMORY: &str = "256";
const CPUS: u32 = 2;
/// The payload's last row.
const LAST: &str = "ipi-round-trip";

/// Boots Xen and measures the payload.
pub(super) fn measure(lab: &mut Lab, measured: &mut Measured) -> Result<()> {
    lab.installer.need(&[&DTC])?;
    let (files, package) = Cache::open(lab.workspace)?.fetch(PACKAGE, "arm64")?;
    let folder = made(lab.workspace.target().join("bench"))?;
    let payload = folder.join("bench.bin");
    let image = lab.builder.build("bench", Arch::Aarch64)?.image;
    std::fs::write(&payload, flat(&image)?).with_context(|| payload.display().to_string())?;
    let tree = device_tree(&folder, &payload)?;
    let mut command = machine();
    command
        .args(["-nographic", "-serial", "stdio"])
        .args(ONE_TICK)
        .arg("-kernel")
        .arg(files.join(FILE))
        .arg("-dtb")
        .arg(&tree)
        .arg("-device")
        .arg(format!("loader,file={},addr={MODULE:#x},force-raw=on", payload.display()));
    let what = format!("the payload under {} {}", package.name, package.version);
    let run = Run { what: &what, cpus: CPUS, until: Some(LAST), until_user: false, seconds: 300 };
    measured.xen = checked(&play(&command.into(), &run)?, &what)?;
    Ok(())
}

/// The machine that Xen runs on, without what depends on the run.
fn machine() -> Command {
    let mut command = Command::new("qemu-system-aarch64");
    command.args([
        "-M",
        MACHINE,
        "-cpu",
        CPU,
        "-m",
        MEMORY,
        "-smp",
        &CPUS.to_string(),
        "-nodefaults",
    ]);
    command
}

/// The payload as a flat binary: its one segment.
fn flat(image: &Path) -> Result<Vec<u8>> {
    let bytes = std::fs::read(image).with_context(|| image.display().to_string())?;
    let file = ElfBytes::<LittleEndian>::minimal_parse(&bytes)?;
    let segments = file.segments().context("the payload has no segments")?;
    let load = segments.iter().find(|one| one.p_type == PT_LOAD).context("nothing to load")?;
    Ok(file.segment_data(&load)?.to_vec())
}

/// QEMU's device tree for the machine, with the domain.
fn device_tree(folder: &Path, payload: &Path) -> Result<std::path::PathBuf> {
    let (machine_tree, source, tree) =
        (folder.join("machine.dtb"), folder.join("xen.dts"), folder.join("xen.dtb"));
    let mut dump = machine();
    dump.args(["-nographic", "-M", &format!("{MACHINE},dumpdtb={}", machine_tree.display())]);
    process::output(&mut dump)?;
    let mut text = process::output(
        Command::new("dtc").args(["-q", "-I", "dtb", "-O", "dts"]).arg(&machine_tree),
    )?;
    let length = std::fs::metadata(payload).context("the payload")?.len().next_multiple_of(0x1000);
    text.push_str(&domain(length));
    std::fs::write(&source, text).with_context(|| source.display().to_string())?;
    process::output(
        Command::new("dtc").args(["-q", "-I", "dts", "-O", "dtb", "-o"]).arg(&tree).arg(&source),
    )?;
    Ok(tree)
}

/// The nodes that Xen reads.
fn domain(length: u64) -> String {
    format!(
        r#"/ {{
    chosen {{
        xen,xen-bootargs = "console=dtuart dtuart=/pl011@9000000";
        domU1 {{
            compatible = "xen,domain";
            #address-cells = <2>;
            #size-cells = <2>;
            cpus = <{CPUS}>;
            memory = <0 0x8000>;
            vpl011;
            module@{MODULE:x} {{
                compatible = "multiboot,kernel", "multiboot,module";
                reg = <0 {MODULE:#x} 0 {length:#x}>;
            }};
        }};
    }};
}};
"#
    )
}
