// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a guest sees on Arm: the addresses and interrupts of QEMU's `virt`
//! machine (its `hw/arm/virt.c` is the reference), so that an image built for
//! it runs here unchanged, and above them where channels appear.

use super::{Channels, Interrupts, Mailbox, Platform, VCPUS_PER_PARTITION};
use crate::bundle::label;
use crate::range::Range;

/// Where guest RAM starts.
pub const RAM: u64 = 0x4000_0000;
/// The read-only flash a `firmware` guest starts in; what lies behind the image reads as erased.
pub const FLASH: u64 = 0;
/// Bytes of both flash banks together.
pub const FLASH_SIZE: u64 = 0x0800_0000;
/// Most bytes of a guest's read-only flash: the first bank.
pub const ROM_LIMIT: u64 = FLASH_SIZE / 2;
/// GICv3 distributor frame.
pub const GICD: u64 = 0x0800_0000;
/// Bytes of the distributor frame.
pub const GICD_SIZE: u64 = 0x1_0000;
/// First GICv3 redistributor; each vCPU has two 64 KiB frames.
pub const GICR: u64 = 0x080a_0000;
/// Bytes between two redistributors.
pub const GICR_STRIDE: u64 = 0x2_0000;
/// PL011 UART.
pub const UART: u64 = 0x0900_0000;
/// Bytes of the UART's frame.
pub const UART_SIZE: u64 = 0x1000;
/// INTID of the UART (SPI 1).
pub const UART_INTID: u32 = 33;
/// PL061 GPIO, which answers zero.
pub const GPIO: u64 = 0x0903_0000;
/// Bytes of the GPIO's frame.
pub const GPIO_SIZE: u64 = 0x1000;
/// INTID of the virtual timer (PPI 11).
pub const VIRTUAL_TIMER_INTID: u32 = 27;
/// INTID of the non-secure physical timer (PPI 14).
pub const PHYSICAL_TIMER_INTID: u32 = 30;
/// INTID of the PMU (PPI 7).
pub const PMU_INTID: u32 = 23;
/// Register page of the partition's first channel; the next one follows a page later.
pub const CHANNEL_REGISTERS: u64 = 0x0c00_0000;
/// Shared memory of the partition's channels, one behind the other.
pub const CHANNEL_MEMORY: u64 = 0x0c10_0000;
/// End of the window for channels (the `virt` machine's platform bus ends here).
pub const CHANNEL_END: u64 = 0x0e00_0000;
/// INTID of the partition's first channel (SPI 8, free on `virt`); the next channel has the next one.
pub const CHANNEL_INTID: u32 = 40;
/// Register page of the partition's mailbox, behind those of its channels.
pub const MAILBOX_REGISTERS: u64 = 0x0c01_0000;
/// Shared memory of the partition's mailbox.
pub const MAILBOX_MEMORY: u64 = 0x0c02_0000;
/// INTID of the partition's mailbox (SPI 0, free on `virt`).
pub const MAILBOX_INTID: u32 = 32;
/// First SPI.
pub const SPI_FIRST: u32 = 32;
/// One past the highest INTID that a guest's distributor may show.
pub const INTID_LIMIT: u32 = 288;

/// One past the last guest address: stage 2 translates 40 bits on every CPU that Bulkhead runs on.
pub const GUEST_END: u64 = 1 << 40;

/// Guest addresses where neither RAM nor a device can be, and what is there.
pub const RESERVED: [(&str, Range); 6] = [
    ("flash", Range::new(FLASH, FLASH_SIZE)),
    ("distributor", Range::new(GICD, GICD_SIZE)),
    ("redistributors", Range::new(GICR, GICR_STRIDE * VCPUS_PER_PARTITION as u64)),
    ("console", Range::new(UART, UART_SIZE)),
    ("GPIO", Range::new(GPIO, GPIO_SIZE)),
    ("channels", Range::new(CHANNEL_REGISTERS, CHANNEL_END - CHANNEL_REGISTERS)),
];

/// The whole, for the rules and the placement.
pub const PLATFORM: Platform = Platform {
    arch: label("aarch64"),
    ram: RAM,
    ram_end: GUEST_END,
    reserved: &RESERVED,
    port_end: 0,
    ports: &[],
    flash: Range::new(FLASH, ROM_LIMIT),
    interrupts: Interrupts {
        first: SPI_FIRST,
        least: 2 * SPI_FIRST,
        most: INTID_LIMIT,
        step: SPI_FIRST,
        taken: &[("the console", UART_INTID), ("the mailbox", MAILBOX_INTID)],
    },
    channels: Channels {
        registers: CHANNEL_REGISTERS,
        memory: Range::new(CHANNEL_MEMORY, CHANNEL_END - CHANNEL_MEMORY),
        interrupt: CHANNEL_INTID,
    },
    mailbox: Mailbox {
        registers: MAILBOX_REGISTERS,
        memory: MAILBOX_MEMORY,
        interrupt: MAILBOX_INTID,
    },
    entry_align: 4,
    rules: &[],
    machine_rules: &[],
};
