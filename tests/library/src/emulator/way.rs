// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ways into a machine.

use serde::{Deserialize, Serialize};

/// How the hypervisor gets into the machine.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Boot {
    /// Arm: from flash, at the reset vector.
    Flash,
    /// Arm: as a Linux `Image`, the way U-Boot's booti starts it.
    Image,
    /// x86: from a virtio disk, by UEFI.
    Uefi,
    /// x86: the same disk image on AHCI, by UEFI.
    UefiAhci,
    /// x86: the same disk image on USB, by UEFI.
    UefiUsb,
    /// x86: the same disk image on virtio (in Bochs on IDE), by a PC's BIOS.
    Bios,
    /// x86: the same disk image on AHCI, by a PC's BIOS.
    BiosAhci,
    /// x86: the same disk image on USB, by a PC's BIOS.
    BiosUsb,
    /// x86: as an ELF file, by its PVH note.
    Kernel,
}

impl Boot {
    /// Every way that starts from a PC's disk image.
    pub const DISK: [Self; 6] =
        [Self::Uefi, Self::UefiAhci, Self::UefiUsb, Self::Bios, Self::BiosAhci, Self::BiosUsb];

    /// As it is typed.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Flash => "flash",
            Self::Image => "image",
            Self::Uefi => "uefi",
            Self::UefiAhci => "uefi-ahci",
            Self::UefiUsb => "uefi-usb",
            Self::Bios => "bios",
            Self::BiosAhci => "bios-ahci",
            Self::BiosUsb => "bios-usb",
            Self::Kernel => "kernel",
        }
    }
}
