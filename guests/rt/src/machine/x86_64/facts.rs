// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a guest asks its platform: memory, CPUs, command line, channels, mailbox.
//! The first three come from PVH's start information and the MADT. A channel is a
//! device of the DSDT, and is recognised by its bytes, for a guest this small
//! has no interpreter: `BULK0001`, then two Memory32Fixed and an Interrupt. The
//! mailbox is the same behind `BULK0002`.
//! Manual: Xen, "x86/HVM direct boot ABI"; ACPI specification, "ACPI Software
//! Programming Model", "Resource Data Types for ACPI".

use super::apic;
use super::mmio::{Registers, channel_window};
use crate::Boot;
use crate::channel::{Channel, Channels};
use crate::mailbox::Mailbox;
use abi::platform::pc;

const MAGIC: u32 = 0x336e_c578;
/// Bytes of the start information, and of one entry of its memory map.
const START: u64 = 56;
const MAP_ENTRY: u64 = 24;
const RAM: u32 = 1;
/// One past the last address that the map reaches.
const MAPPED: u64 = 1 << 32;
/// Longest command line, and most bytes of a table.
const LINE: usize = 4096;
const TABLE: u32 = 0x10_0000;
/// The _HID of a channel.
const CHANNEL: &[u8] = pc::CHANNEL_HID.as_bytes();
/// The _HID of the mailbox.
const MAILBOX: &[u8] = b"BULK0002";

/// The start information.
#[derive(Clone, Copy)]
pub struct Facts(&'static [u8]);

impl Facts {
    /// What the loader left, if it is PVH's.
    #[must_use]
    pub fn find(boot: Boot) -> Option<Facts> {
        let bytes = bytes(boot.argument, START)?;
        (number(bytes, 0, 4) == u64::from(MAGIC)).then_some(Facts(bytes))
    }

    /// The largest RAM above 1 MiB: first address and bytes.
    #[must_use]
    pub fn memory(&self) -> Option<(u64, u64)> {
        let (at, entries) = (number(self.0, 40, 8), number(self.0, 48, 4).min(128));
        let map = bytes(at, entries * MAP_ENTRY)?;
        let ram = map.chunks_exact(MAP_ENTRY as usize).filter(|e| number(e, 16, 4) == RAM.into());
        ram.map(|entry| (number(entry, 0, 8), number(entry, 8, 8)))
            .filter(|&(start, _)| start >= pc::HIGH)
            .max_by_key(|&(_, size)| size)
    }

    /// CPUs in the MADT.
    #[must_use]
    pub fn cpus(&self) -> usize {
        let mut rest = self.table(b"APIC").and_then(|table| table.get(44..)).unwrap_or(&[]);
        let mut found = 0;
        // Each entry: kind, length; a local APIC (0) has its flags at 4, an x2APIC (9) at 8.
        while let [kind, length, ..] = rest {
            let flags = match kind {
                0 => number(rest, 4, 4),
                9 => number(rest, 8, 4),
                _ => 0,
            };
            found += usize::from(flags & 1 != 0);
            rest = rest.get(usize::from(*length).max(2)..).unwrap_or(&[]);
        }
        found.max(1)
    }

    /// The command line.
    #[must_use]
    pub fn command_line(&self) -> &'static str {
        let line = bytes(number(self.0, 24, 8), LINE as u64).unwrap_or(&[]);
        let text = line.split(|&byte| byte == 0).next().unwrap_or(&[]);
        core::str::from_utf8(text).unwrap_or("")
    }

    /// Every channel, in the order of the DSDT.
    #[must_use]
    pub fn channels(&self) -> Channels {
        let mut found = Channels::new();
        let mut rest = self.dsdt();
        while let Some(at) = position(rest, CHANNEL) {
            rest = &rest[at + CHANNEL.len()..];
            let device = &rest[..position(rest, CHANNEL).unwrap_or(rest.len())];
            if let Some(channel) = channel(device) {
                let _ = found.try_push(channel);
            }
        }
        found
    }

    /// The mailbox, if the partition has one.
    #[must_use]
    pub fn mailbox(&self) -> Option<Mailbox> {
        let dsdt = self.dsdt();
        let device = dsdt.get(position(dsdt, MAILBOX)?..)?;
        let (end, registers) = memory(device, 0)?;
        let (_, shared) = memory(device, end)?;
        Mailbox::attach(registers, shared)
    }

    /// The table of the devices.
    fn dsdt(&self) -> &'static [u8] {
        let dsdt = self.table(b"FACP").map_or(0, |fadt| number(fadt, 40, 4));
        table_at(dsdt).unwrap_or(&[])
    }

    /// The ACPI table with this signature.
    fn table(&self, signature: &[u8; 4]) -> Option<&'static [u8]> {
        let root = bytes(number(self.0, 32, 8), 36)?;
        let (root, width) = match number(root, 15, 1) {
            0 | 1 => (number(root, 16, 4), 4),
            _ => (number(root, 24, 8), 8),
        };
        let pointers = table_at(root)?.get(36..)?.chunks_exact(width);
        let mut tables = pointers.filter_map(|pointer| table_at(number(pointer, 0, width)));
        tables.find(|table| table.starts_with(signature))
    }
}

/// A table by its address; its length is in its header.
fn table_at(address: u64) -> Option<&'static [u8]> {
    let header = bytes(address, 36)?;
    bytes(address, number(header, 4, 4).clamp(36, TABLE.into()))
}

/// A channel's device, from behind its _HID on.
fn channel(device: &'static [u8]) -> Option<Channel> {
    let (end, registers) = memory(device, 0)?;
    let (end, shared) = memory(device, end)?;
    // Interrupt: 0x89, length 6, flags, count, number.
    let interrupt = device.get(end..)?;
    let line = number(interrupt, position(interrupt, &[0x89, 6, 0])? + 5, 4);
    let intid = apic::line(u32::try_from(line).ok()?);
    Some(Channel::new(name(device)?, registers, shared, intid))
}

/// The next window among a device's resources, and where they go on.
/// Memory32Fixed: 0x86, length 9, writable or not, base, bytes.
fn memory(device: &'static [u8], from: usize) -> Option<(usize, Registers)> {
    let at = from + position(device.get(from..)?, &[0x86, 9, 0])?;
    Some((at + 12, channel_window(number(device, at + 4, 4), number(device, at + 8, 4))?))
}

/// The string of the device's _UID.
fn name(device: &'static [u8]) -> Option<&'static str> {
    let text = device.get(position(device, b"_UID\x0d")? + 5..)?;
    core::str::from_utf8(text.split(|&byte| byte == 0).next()?).ok()
}

fn position(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// A little-endian number; zero where there are no such bytes.
fn number(bytes: &[u8], at: usize, width: usize) -> u64 {
    let digits = bytes.get(at..at + width).unwrap_or(&[]);
    digits.iter().rev().fold(0, |number, &digit| number << 8 | u64::from(digit))
}

/// What a loader left at `address`.
fn bytes(address: u64, length: u64) -> Option<&'static [u8]> {
    if address == 0 || address.checked_add(length)? > MAPPED {
        return None;
    }
    // SAFETY: the address comes from the start information or a table, so the loader wrote there; it is mapped, and
    // this guest never writes to it.
    Some(unsafe { core::slice::from_raw_parts(address as *const u8, length as usize) })
}
