// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hybrid disk: one image that boots by UEFI and by a PC's BIOS, from any
//! medium (UEFI Specification 2.10, "GUID Partition Table (GPT) Disk Layout";
//! GRUB's `util/setup.c` for what the boot sectors are told).
//!
//! ```text
//!  0           1         2048            4096                          end - 33
//!  | boot.img  | GPT  …  | core.img      | FAT: bulkhead.elf           | GPT again
//!  |           |         | (BIOS boot)   |  EFI/BOOT/BOOTX64.EFI (ESP) |
//! ```
//! The same inputs give the same bytes: identifiers are fixed, and files have no times.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};

use anyhow::{Context, Result, ensure};
use fatfs::{FileSystem, FormatVolumeOptions, FsOptions};
use gpt::GptConfig;
use gpt::disk::LogicalBlockSize;
use gpt::mbr::ProtectiveMBR;
use gpt::partition::Partition;
use gpt::partition_types::{BIOS, EFI, Type};
use uuid::Uuid;

/// Bytes of a sector.
const SECTOR: usize = 512;
/// First sector of the BIOS boot partition.
const BOOT_LBA: usize = 2048;
/// First sector of the EFI system partition.
const ESP_LBA: usize = 4096;
/// Sectors of the second copy of the partition table.
const BACKUP: usize = 33;
/// What the EFI system partition has beside its files, at least.
const FAT_ROOM: usize = 2 << 20;
/// The EFI system partition is a multiple of this.
const FAT_ALIGN: usize = 1 << 20;
/// Identifier of the disk; those of its partitions follow.
const DISK: u128 = 0x4255_4c4b_4845_4144_8000_0000_0000_0000;

/// Where boot.img is told the sector of core.img.
const CORE_SECTOR_AT: usize = 0x5c;
/// Where boot.img jumps over the check of the BIOS's drive number.
const DRIVE_CHECK_AT: usize = 0x66;
/// Bytes of code in the first sector.
const CODE: usize = 440;
/// Where core.img is told the sector of its rest.
const REST_SECTOR_AT: usize = 0x1f4;

/// GRUB for a PC's BIOS.
#[derive(Clone, Debug)]
pub struct Grub {
    /// The first sector.
    pub boot: Vec<u8>,
    /// What it loads.
    pub core: Vec<u8>,
}

/// What core.img does: it is part of it, so the disk needs no other file of GRUB's.
pub const GRUB_CONFIG: &str = "multiboot2 /bulkhead.elf\nboot\n";
/// Where core.img looks for files: the second partition of the disk it came from.
pub const GRUB_PREFIX: &str = "(,gpt2)/";
/// The modules that core.img needs for that.
pub const GRUB_MODULES: [&str; 5] = ["biosdisk", "part_gpt", "fat", "multiboot2", "boot"];

/// The disk with the hypervisor's ELF file and the UEFI application.
pub(crate) fn build(elf: &[u8], application: &[u8], grub: &Grub) -> Result<Vec<u8>> {
    let esp = fat(elf, application).context("writing the EFI system partition")?;
    let sectors = ESP_LBA + esp.len() / SECTOR + BACKUP;
    let mut disk = vec![0; sectors * SECTOR];
    let room = (ESP_LBA - BOOT_LBA) * SECTOR;
    ensure!(grub.core.len() <= room, "GRUB's core.img does not fit into its partition");
    ensure!(grub.boot.len() == SECTOR && grub.core.len() > SECTOR, "GRUB's images are cut");
    put(&mut disk, BOOT_LBA, &grub.core);
    put(&mut disk, ESP_LBA, &esp);
    let rest = (BOOT_LBA as u64 + 1).to_le_bytes();
    disk[BOOT_LBA * SECTOR + REST_SECTOR_AT..][..rest.len()].copy_from_slice(&rest);
    let mut code = [0; CODE];
    code.copy_from_slice(&grub.boot[..CODE]);
    code[CORE_SECTOR_AT..CORE_SECTOR_AT + 8].copy_from_slice(&(BOOT_LBA as u64).to_le_bytes());
    code[DRIVE_CHECK_AT..DRIVE_CHECK_AT + 2].copy_from_slice(&[0x90, 0x90]);
    partitions(disk, code, esp.len() / SECTOR).context("writing the partition table")
}

fn put(disk: &mut [u8], sector: usize, bytes: &[u8]) {
    disk[sector * SECTOR..sector * SECTOR + bytes.len()].copy_from_slice(bytes);
}

/// The first sector and both partition tables.
fn partitions(disk: Vec<u8>, code: [u8; CODE], esp_sectors: usize) -> Result<Vec<u8>> {
    let sectors = disk.len() / SECTOR;
    let mut device = Cursor::new(disk);
    let mut mbr = ProtectiveMBR::with_lb_size(u32::try_from(sectors - 1).unwrap_or(u32::MAX));
    mbr.set_bootcode(code);
    mbr.overwrite_lba0(&mut device)?;
    let config = GptConfig::new().writable(true).logical_block_size(LogicalBlockSize::Lb512);
    let mut table = config.create_from_device(device, Some(Uuid::from_u128(DISK)))?;
    let partition = |number: u128, kind: Type, first: usize, count: usize, name: &str| Partition {
        part_type_guid: kind,
        part_guid: Uuid::from_u128(DISK + number),
        first_lba: first as u64,
        last_lba: (first + count - 1) as u64,
        flags: 0,
        name: name.to_owned(),
    };
    table.update_partitions(BTreeMap::from([
        (1, partition(1, BIOS, BOOT_LBA, ESP_LBA - BOOT_LBA, "BIOS boot")),
        (2, partition(2, EFI, ESP_LBA, esp_sectors, "Bulkhead")),
    ]))?;
    Ok(table.write()?.into_inner())
}

/// The EFI system partition.
fn fat(elf: &[u8], application: &[u8]) -> Result<Vec<u8>> {
    let files = elf.len() + application.len();
    let size = (files + files / 64 + FAT_ROOM).next_multiple_of(FAT_ALIGN);
    let mut volume = Cursor::new(vec![0; size]);
    let options = FormatVolumeOptions::new().volume_id(0x4255_4c4b).volume_label(*b"BULKHEAD   ");
    fatfs::format_volume(&mut volume, options)?;
    let system = FileSystem::new(&mut volume, FsOptions::new())?;
    let root = system.root_dir();
    root.create_file("bulkhead.elf")?.write_all(elf)?;
    let folder = root.create_dir("EFI")?.create_dir("BOOT")?;
    folder.create_file("BOOTX64.EFI")?.write_all(application)?;
    drop((root, folder));
    system.unmount()?;
    Ok(volume.into_inner())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn grub() -> Grub {
        Grub { boot: vec![0xeb; SECTOR], core: vec![0x5a; 5000] }
    }

    #[test]
    fn both_partitions_and_their_files_are_read_back() {
        let elf: Vec<u8> = (0..3_000_000_u32).map(|byte| (byte % 251) as u8).collect();
        let disk = build(&elf, b"MZ application", &grub()).unwrap();
        let config = GptConfig::new().writable(false);
        let table = config.open_from_device(Cursor::new(disk.clone())).unwrap();
        let partitions = table.partitions();
        assert_eq!(partitions[&1].part_type_guid, BIOS);
        assert_eq!((partitions[&2].part_type_guid.clone(), partitions[&2].first_lba), (EFI, 4096));
        let end = (partitions[&2].last_lba as usize + 1) * SECTOR;
        let volume = Cursor::new(disk[ESP_LBA * SECTOR..end].to_vec());
        let system = FileSystem::new(volume, FsOptions::new()).unwrap();
        let read = |path: &str| {
            let mut bytes = Vec::new();
            system.root_dir().open_file(path).unwrap().read_to_end(&mut bytes).unwrap();
            bytes
        };
        assert!(read("bulkhead.elf") == elf);
        assert_eq!(read("EFI/BOOT/BOOTX64.EFI"), b"MZ application");
    }

    #[test]
    fn boot_sectors_know_where_the_rest_is_and_bytes_are_reproducible() {
        let disk = build(b"elf", b"MZ", &grub()).unwrap();
        assert_eq!(disk[510..512], [0x55, 0xaa]);
        assert_eq!(disk[0x5c..0x64], 2048_u64.to_le_bytes());
        assert_eq!(disk[2048 * SECTOR + 0x1f4..][..8], 2049_u64.to_le_bytes());
        assert!(disk == build(b"elf", b"MZ", &grub()).unwrap());
    }
}
