// SPDX-License-Identifier: MIT OR Apache-2.0
//! Debian's kernel from its entry to its first program: bare and under
//! Bulkhead, with the same device tree, RAM and command line. The first
//! program prints the counter (`guests/bench-linux`).

use super::Measured;
use super::figures::Figure;
use super::lab::{Lab, Run, figure};
use crate::manifest::board::Arch;
use crate::product::Product;
use crate::workspace::made;
use anyhow::{Context, Result};
use bulkhead_test::Boot;

/// Magic word of a flattened device tree, and where its length is.
const TREE: [u8; 4] = [0xd0, 0x0d, 0xfe, 0xed];
/// Images in a bundle lie at multiples of this.
const STRIDE: usize = 64;

/// Measures both boots.
pub(super) fn measure(lab: &mut Lab, measured: &mut Measured) -> Result<()> {
    measure_quiet(lab, measured)?;
    boot(lab, measured, "linux-verbose")?;
    Ok(())
}

/// Measures the quiet boot and its exits.
pub(super) fn measure_quiet(lab: &mut Lab, measured: &mut Measured) -> Result<()> {
    let counts = boot(lab, measured, "linux-quiet")?;
    let (exits, interrupts) = counts.exits();
    measured.ours.insert("linux-exits".to_owned(), figure(exits));
    measured.ours.insert("linux-interrupts".to_owned(), figure(interrupts));
    measured.ours.insert("linux-spent".to_owned(), figure(counts.spent()));
    let reasons: Vec<String> =
        counts.reasons().iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    measured.notes.push(format!("exits while Linux boots: {}", reasons.join(", ")));
    Ok(())
}

/// Boots the system of this name on both machines and notes the difference.
fn boot(lab: &mut Lab, measured: &mut Measured, name: &str) -> Result<super::counts::Counts> {
    let product = lab.build(name)?;
    let what = format!("{name}, under Bulkhead");
    let run = Run { what: &what, cpus: 1, until: None, until_user: true, seconds: 300 };
    let (console, counts) = lab.run(&product, &run)?;
    let ours = stamp(&console)? - figure(counts.entry).value;
    let bare = bare(lab, &product, name)?;
    measured.bare.insert(name.to_owned(), bare.into());
    measured.ours.insert(name.to_owned(), Figure::from(ours - bare));
    Ok(counts)
}

/// Boots the same kernel without a hypervisor.
fn bare(lab: &mut Lab, product: &Product, name: &str) -> Result<i64> {
    let built = lab.builder.build("bench-linux", Arch::Aarch64)?;
    let tree = made(lab.workspace.target().join("bench"))?.join(format!("{name}.dtb"));
    let flash = std::fs::read(product.file(Boot::Flash)?).context("reading the flash image")?;
    let blob = device_tree(&flash).context("the flash image has no device tree")?;
    std::fs::write(&tree, blob).with_context(|| tree.display().to_string())?;
    let own = product.manifest.partitions().first().and_then(|partition| partition.cmdline.clone());
    let cmdline = own.unwrap_or(built.cmdline);
    let initrd = built.initrd.context("the guest has no first root")?;
    let (image, initrd, tree) = (
        built.image.display().to_string(),
        initrd.display().to_string(),
        tree.display().to_string(),
    );
    let what = format!("{name}, bare");
    let run = Run { what: &what, cpus: 1, until: None, until_user: false, seconds: 300 };
    let arguments =
        ["-m", "512", "-kernel", &image, "-initrd", &initrd, "-dtb", &tree, "-append", &cmdline];
    stamp(&lab.bare(&arguments, &run)?)
}

/// The first device tree in a flash image.
fn device_tree(flash: &[u8]) -> Option<&[u8]> {
    let at = (0..flash.len()).step_by(STRIDE).find(|&at| flash[at..].starts_with(&TREE))?;
    let length = flash.get(at + 4..at + 8)?.try_into().map(u32::from_be_bytes).ok()?;
    flash.get(at..at + usize::try_from(length).ok()?)
}

/// Reads `… stamp: COUNT`.
pub(super) fn stamp(console: &str) -> Result<i64> {
    let line = console.lines().find_map(|line| line.split_once("stamp: "));
    let count = line.and_then(|(_, rest)| rest.trim().parse().ok());
    count.with_context(|| format!("Linux reached no first program:\n{console}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stamp_is_read_behind_a_tag() {
        assert_eq!(stamp("[linux] stamp: 00000000000880031655\n").unwrap(), 880_031_655);
        assert!(stamp("nothing").is_err());
    }

    #[test]
    fn a_device_tree_is_found_by_its_magic_word() {
        let mut flash = vec![0; 128];
        flash.extend([0xd0, 0x0d, 0xfe, 0xed, 0, 0, 0, 12, 1, 2, 3, 4, 5]);
        assert_eq!(device_tree(&flash).map(<[u8]>::len), Some(12));
        assert_eq!(device_tree(&[0; 256]), None);
    }
}
