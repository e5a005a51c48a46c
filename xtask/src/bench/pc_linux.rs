// SPDX-License-Identifier: MIT OR Apache-2.0
//! Debian's kernel from its entry to its first program in Bochs, where one tick is one
//! instruction: bare and under Bulkhead. Both boot one file, `guests/bench-linux/entry.S`,
//! with the same kernel, first root, command line and RAM.
//!
//! The command line is plain `quiet`, so the machine is what differs. Bare it has PCI, a HPET
//! and a keyboard, which Linux looks for and drives; Bulkhead's platform has none of them, its
//! CPUID tells the frequency of the TSC and of the local APIC's timer, which bare Linux measures,
//! and its ACPI tables are shorter. So the difference may be less than nothing. What Linux
//! chooses by what the CPU says of itself is alike: fast strings are on if they are on bare
//! (`devices::x86::msr::misc_enable`).

use super::Measured;
use super::figures::Figure;
use super::lab::{Lab, play};
use super::linux::stamp;
use super::pc::{launch_model, run};
use crate::image::pc;
use crate::manifest::board::Arch;
use crate::product::Product;
use crate::workspace::made;
use anyhow::{Context, Result};
use bulkhead_test::Boot;
use std::path::{Path, PathBuf};

/// The emulator, and its model whose CPUID says no frequency: Linux believes what Bochs's others say.
const ON: &str = "bochs-intel";
const MODEL: &str = "corei7_haswell_4770";
/// The system, and the figure.
const NAME: &str = "pc-linux-quiet";
const FIGURE: &str = "linux-quiet";
/// What GRUB does in place of loading the hypervisor.
const GRUB: [&str; 2] = ["multiboot /bulkhead.elf", "boot"];

/// Measures both boots.
pub(super) fn measure(lab: &mut Lab, on: &str, measured: &mut Measured) -> Result<()> {
    if on != ON {
        return Ok(());
    }
    let folder = made(lab.workspace.target().join("bench").join(NAME))?;
    let (file, product) = build(lab, &folder)?;
    let disk = folder.join("bare.img");
    let grub = lab.builder.grub(&GRUB.map(str::to_owned))?;
    write(&disk, &pc::bios_disk(&read(&file)?, &grub)?)?;
    let bare = boot(&product, &disk, "bare")?;
    let ours = boot(&product, product.file(Boot::Bios)?, "under Bulkhead")? - bare;
    measured.bare.insert(FIGURE.to_owned(), bare.into());
    measured.ours.insert(FIGURE.to_owned(), ours.into());
    let share = Figure::from(ours * 10_000 / bare.max(1));
    measured.ours.insert(format!("{FIGURE}-share"), share);
    Ok(())
}

/// Makes the file that both boot, and the system with it.
fn build(lab: &mut Lab, folder: &Path) -> Result<(PathBuf, Product)> {
    let built = lab.builder.build("bench-linux", Arch::X86_64)?;
    let root = built.initrd.context("the guest has no first root")?;
    write(&folder.join("vmlinuz"), &read(&built.image)?)?;
    write(&folder.join("initrd"), &read(&root)?)?;
    write(&folder.join("cmdline"), built.cmdline.as_bytes())?;
    let source = lab.workspace.guest("bench-linux").join("entry.S");
    lab.builder.assemble(Arch::X86_64, &source, folder)?;
    let manifest = folder.join(NAME).with_extension("toml");
    write(&manifest, &read(&lab.manifest(NAME))?)?;
    Ok((folder.join("entry.elf"), lab.build_at(&manifest)?))
}

/// Boots a disk: instructions from the kernel's entry to the first program.
fn boot(product: &Product, disk: &Path, how: &str) -> Result<i64> {
    let what = format!("Linux on {MODEL}, {how}");
    let launch = launch_model(product.emulator(Some(ON))?, disk, 1, Some(MODEL.to_owned()))?;
    stamp(&play(&launch, &run(&what))?)
}

fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).with_context(|| file.display().to_string())
}

fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(file, bytes).with_context(|| file.display().to_string())
}
