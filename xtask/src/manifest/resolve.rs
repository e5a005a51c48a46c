// SPDX-License-Identifier: MIT OR Apache-2.0
//! From keys to facts: names are looked up, addresses and interrupts given out.
//!
//! Channels take their windows in the file's order: the first one of a
//! partition gets the first register page, memory window and interrupt.

mod life;

use life::{no_circle, restart, rights, rows, watchdog};
use std::ops::Range as Span;
use std::path::{Path, PathBuf};

use abi::platform::{CHANNEL_REGISTERS_STRIDE, Platform};
use abi::range::{PAGE, Range};
use abi::records;
use abi::refusal::Rule;

use super::board::{Arch, Board, Device, Iommu};
use super::cures::cure;
use super::file::{
    ChannelFile, Dma, GuestFile, Idle, ImageFile, ImageKind, ManifestFile, MemoryFile, MemoryTable,
    PartitionFile, Smt, Start,
};
use super::mistake::Kind;
use super::read::{At, Named, Reader, nearest};
use super::units::Size;
use super::{Channel, End, Folders, Guest, Image, Partition, Restart, Spans};

/// Shortest time between two interrupts of a channel that does not say, in nanoseconds.
const INTERVAL_NS: u64 = 100_000;

/// What a manifest says, with every name looked up.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    /// Partitions that can be judged further.
    pub partitions: Vec<Partition>,
    /// Channels that can be judged further.
    pub channels: Vec<Channel>,
    /// The UART on which the host is answered.
    pub management: Option<Device>,
}

/// Where names are looked up.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    /// The board.
    pub board: &'a Board,
    /// Boards and guests.
    pub folders: &'a Folders,
    /// The manifest's own folder.
    pub beside: &'a Path,
}

/// Looks everything up.
pub(super) fn resolve(file: &ManifestFile, scope: &Scope, reader: &mut Reader) -> Resolved {
    let mut resolved = Resolved::default();
    let names: Vec<&str> = file.partition.names().map(|name| name.value.as_str()).collect();
    if names.is_empty() {
        let cure = "add a [partition.NAME] table";
        reader.tell(
            Kind::Rule(Rule::NoPartition),
            file.board.span.clone(),
            "for this board",
            "no partition",
            cure,
        );
    }
    for name in file.partition.names().chain(file.channel.iter().flat_map(Named::names)) {
        check_name(name, reader);
    }
    resolved.management = file.management.as_ref().and_then(|name| scope.management(name, reader));
    for (name, partition) in file.partition.tables() {
        let partition = scope.partition(name, partition, &names, reader);
        resolved.partitions.extend(partition);
    }
    no_circle(file, &resolved.partitions, reader);
    for (name, channel) in file.channel.iter().flat_map(Named::tables) {
        let platform = scope.board.platform();
        let channel = connect(name, channel, &names, (&resolved, platform), reader);
        resolved.channels.extend(channel);
    }
    resolved
}

/// Whether a name can be one in a bundle.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
    };
    (1..=records::NAME_LEN).contains(&name.len()) && name.bytes().all(plain)
}

fn check_name(name: &At<String>, reader: &mut Reader) {
    if !is_name(name) {
        let message = format!("name {:?} is not 1 to 16 of a-z, 0-9, - and _", name.value);
        reader.tell(
            Kind::Rule(Rule::BadName),
            name.span.clone(),
            "this name",
            message,
            cure(Rule::BadName),
        );
    }
}

/// What stands for memory whose mistake was told: too little to be in anybody's way.
fn no_memory() -> At<MemoryFile> {
    let table = MemoryTable { size: Size(PAGE), guest: None, host: None, identity: None };
    At { value: MemoryFile(table), span: 0..0 }
}

impl Scope<'_> {
    /// A partition; where something could not be read, the rest is judged nevertheless.
    fn partition(
        &self,
        name: &At<String>,
        file: &PartitionFile,
        names: &[&str],
        reader: &mut Reader,
    ) -> Option<Partition> {
        let guest = file.guest.0.as_ref().and_then(|guest| self.guest(guest, reader));
        let devices =
            self.devices(file.devices.iter().flat_map(|told| told.0.iter().flatten()), reader);
        let memory = file.memory.0.clone().unwrap_or_else(no_memory);
        let table = &memory.value.0;
        let identity = table.identity.unwrap_or(false);
        let platform = self.board.platform();
        let guest_address =
            table.guest.or(if identity { table.host } else { None }).unwrap_or(platform.ram);
        let host = table.host.or(identity.then_some(guest_address));
        let dma = file.dma.as_ref().and_then(|told| told.0.as_ref());
        self.dma(name, &devices, dma, identity, reader);
        let last =
            devices.iter().flat_map(|(device, _)| &device.interrupts).copied().max().unwrap_or(0);
        let cpus = file.cpus.0.as_ref().map_or(&[][..], |cpus| &cpus.value);
        let partition = Partition {
            name: name.value.clone(),
            cpus: cpus.iter().map(|cpu| cpu.value).collect(),
            memory: Range::new(guest_address, table.size.0),
            host,
            identity,
            unprotected_dma: dma.is_some(),
            trap_idle: file.idle.as_ref().is_some_and(|told| told.0 == Some(Idle::Trap)),
            smt_shared: file.smt.as_ref().is_some_and(|told| told.0 == Some(Smt::Shared)),
            restart: file
                .restart
                .as_ref()
                .and_then(|told| told.0.as_ref())
                .map_or_else(Restart::default, |file| restart(file, reader)),
            mailbox: file
                .mailbox
                .as_ref()
                .and_then(|told| told.0.as_ref())
                .map(|mailbox| rights(&mailbox.value.0, names, reader)),
            watchdog: watchdog(file, reader),
            depends: file
                .depends
                .as_ref()
                .and_then(|told| told.0.as_ref())
                .map_or_else(Vec::new, |depends| rows(depends, names, reader)),
            manual: file.start.as_ref().is_some_and(|told| told.0 == Some(Start::Manual)),
            intids: shown(platform, last),
            cmdline: file
                .cmdline
                .as_ref()
                .and_then(|told| told.0.clone())
                .map(|cmdline| cmdline.value),
            spans: Spans {
                name: name.span.clone(),
                guest: file.guest.0.as_ref().map(|guest| guest.span.clone()),
                memory: memory.span.clone(),
                cpus: file.cpus.0.as_ref().map(|cpus| cpus.span.clone()),
                cpu: cpus.iter().map(|cpu| cpu.span.clone()).collect(),
                device: devices.iter().map(|(_, span)| span.clone()).collect(),
            },
            devices: devices.into_iter().map(|(device, _)| device).collect(),
            guest: guest.unwrap_or(Guest::Folder(String::new())),
        };
        is_name(name).then_some(partition)
    }

    /// A guest is a folder or a complete image.
    fn guest(&self, guest: &At<GuestFile>, reader: &mut Reader) -> Option<Guest> {
        let folder = match &guest.value {
            GuestFile::Image(image) => return self.image(image, reader).map(Guest::Image),
            GuestFile::Folder(folder) => folder,
        };
        let known = self.folders.guests();
        if known.contains(folder) {
            return Some(Guest::Folder(folder.clone()));
        }
        let message = format!("guest `{folder}` is no folder in guests/ with a guest.toml");
        reader.tell(
            Kind::UnknownGuest,
            guest.span.clone(),
            "no such guest",
            message,
            &nearest(folder, &known),
        );
        None
    }

    /// An image has the keys of its kind and no others.
    fn image(&self, file: &ImageFile, reader: &mut Reader) -> Option<Image> {
        let raw = file.kind.value == ImageKind::Raw;
        for (key, value) in [("load", &file.load), ("entry", &file.entry)] {
            match value {
                None if raw => {
                    let message = format!("an image of kind raw needs the key `{key}`");
                    reader.tell(
                        Kind::MissingKey,
                        file.kind.span.clone(),
                        "raw",
                        message,
                        &format!("add `{key} = …`"),
                    );
                }
                Some(value) if !raw => {
                    let message = format!("key `{key}` belongs to images of kind raw");
                    reader.wrong_value(value.span.clone(), message, "leave it out");
                }
                _ => {}
            }
        }
        if let Some(initrd) = file.initrd.as_ref().filter(|_| file.kind.value != ImageKind::Linux) {
            reader.wrong_value(
                initrd.span.clone(),
                "key `initrd` belongs to images of kind linux",
                "leave it out",
            );
        }
        let mode = self.mode(file, reader);
        if let (Arch::X86_64, ImageKind::Firmware) = (self.board.arch, file.kind.value) {
            let message = "kind firmware belongs to Arm boards: a guest on x86 has no flash";
            reader.wrong_value(file.kind.span.clone(), message, "choose linux, elf or raw");
        }
        let path = self.existing(&file.image, reader);
        let initrd = file.initrd.as_ref().map(|initrd| self.existing(initrd, reader));
        Some(Image {
            kind: file.kind.value,
            path: path?,
            initrd: initrd.map_or(Some(None), |initrd| initrd.map(Some))?,
            load: file.load.as_ref().map_or(0, |load| load.value),
            entry: file.entry.as_ref().map_or(0, |entry| entry.value),
            mode: mode?,
        })
    }

    /// The bits of a raw image's first instruction: on x86 they must be said.
    fn mode(&self, file: &ImageFile, reader: &mut Reader) -> Option<u32> {
        let x86 = self.board.arch == Arch::X86_64;
        match &file.mode {
            None if x86 && file.kind.value == ImageKind::Raw => {
                let message = "an image of kind raw needs the key `mode` on x86";
                let cure = "add `mode = 16`, 32 or 64: the bits of its first instruction";
                reader.tell(Kind::MissingKey, file.kind.span.clone(), "raw", message, cure);
                None
            }
            None => Some(0),
            Some(mode) if !x86 || file.kind.value != ImageKind::Raw => {
                let message = "key `mode` belongs to images of kind raw on x86 boards";
                reader.wrong_value(mode.span.clone(), message, "leave it out");
                None
            }
            Some(mode) if matches!(mode.value, 16 | 32 | 64) => Some(mode.value),
            Some(mode) => {
                let message = format!("mode {} is none that an x86 CPU has", mode.value);
                reader.wrong_value(mode.span.clone(), message, "write 16, 32 or 64");
                None
            }
        }
    }

    /// A file beside the manifest.
    fn existing(&self, path: &At<String>, reader: &mut Reader) -> Option<PathBuf> {
        let whole = self.beside.join(&path.value);
        if whole.is_file() {
            return Some(whole);
        }
        let message = format!("no file `{}` beside the manifest", path.value);
        let cure = "build it first, or correct the path: it counts from the manifest's folder";
        reader.tell(Kind::ImageMissing, path.span.clone(), "not there", message, cure);
        None
    }

    fn devices<'a>(
        &self,
        names: impl Iterator<Item = &'a At<String>>,
        reader: &mut Reader,
    ) -> Vec<(Device, Span<usize>)> {
        names.filter_map(|name| Some((self.device(name, reader)?, name.span.clone()))).collect()
    }

    fn device(&self, name: &At<String>, reader: &mut Reader) -> Option<Device> {
        let device = self.board.device(name).cloned();
        if device.is_none() {
            let known: Vec<_> = self.board.devices.iter().map(|device| &device.name).collect();
            let message = format!("board {} has no device `{}`", self.board.name, name.value);
            let cure = nearest(&name.value, &known);
            reader.tell(Kind::UnknownDevice, name.span.clone(), "no such device", message, &cure);
        }
        device
    }

    /// The UART of the host: one device with one interrupt, beside RAM.
    fn management(&self, name: &At<String>, reader: &mut Reader) -> Option<Device> {
        let device = self.device(name, reader)?;
        let on_ram = self.board.ram.iter().any(|ram| ram.overlaps(device.registers));
        let is_there = device.registers.size.max(device.ports.size) != 0;
        let known = &self.board.platform().interrupts;
        let is_line = |intid: &u32| (known.first..known.most).contains(intid);
        let one_line = device.interrupts.len() == 1 && device.interrupts.iter().all(is_line);
        if !one_line || on_ram || !is_there {
            let message = format!("device {} is no UART with one shared interrupt", device.name);
            let cure = "name the device of a UART: a 16550 on a PC, a PL011 on Arm";
            reader.wrong_value(name.span.clone(), message, cure);
            return None;
        }
        Some(device)
    }

    /// A device that writes memory is confined, or the manifest says that it is not.
    fn dma(
        &self,
        name: &At<String>,
        devices: &[(Device, Span<usize>)],
        dma: Option<&At<Dma>>,
        identity: bool,
        reader: &mut Reader,
    ) {
        match (dma, self.board.iommu) {
            (None, Iommu::None) => {
                for (device, span) in devices.iter().filter(|(device, _)| device.dma) {
                    let message = format!(
                        "device {} of partition {} writes memory by itself, and board {} has no IOMMU",
                        device.name, name.value, self.board.name
                    );
                    let cure = "leave the device to nobody, or concede it: `dma = \"unprotected\"` with identity memory";
                    reader.tell(Kind::Dma, span.clone(), "may write anywhere", message, cure);
                }
            }
            (Some(dma), Iommu::None) if !identity => {
                let message =
                    format!("partition {} has unprotected DMA without identity memory", name.value);
                let cure = "its devices see host addresses: `memory = { size = …, host = …, identity = true }`";
                reader.tell(
                    Kind::DmaNeedsIdentity,
                    dma.span.clone(),
                    "needs identity",
                    message,
                    cure,
                );
            }
            (Some(_), Iommu::None) => {}
        }
    }
}

/// How many interrupts a partition shows whose devices have interrupts up to `last`.
fn shown(platform: &Platform, last: u32) -> u32 {
    let known = &platform.interrupts;
    last.saturating_add(1).clamp(known.least, known.most).next_multiple_of(known.step)
}

/// Finds both ends of a channel and gives it its windows there.
fn connect(
    name: &At<String>,
    file: &ChannelFile,
    names: &[&str],
    (resolved, platform): (&Resolved, &Platform),
    reader: &mut Reader,
) -> Option<Channel> {
    let between = file.between.0.as_ref()?;
    let Ok([one, two]) = <&[At<String>; 2]>::try_from(between.as_slice()) else {
        let message = format!("channel {} has {} ends", name.value, between.len());
        reader.wrong_value(
            between.span.clone(),
            message,
            "name two partitions: `between = [\"a\", \"b\"]`",
        );
        return None;
    };
    for end in [one, two].into_iter().filter(|end| !names.contains(&end.as_str())) {
        let message = format!(
            "channel {} leads to partition `{}`, which does not exist",
            name.value, end.value
        );
        reader.tell(
            Kind::Rule(Rule::ChannelNobody),
            end.span.clone(),
            "nobody",
            message,
            &nearest(end, names),
        );
    }
    if one.value == two.value {
        let message =
            format!("channel {} leads from partition {} to itself", name.value, one.value);
        reader.tell(
            Kind::Rule(Rule::ChannelSelf),
            between.span.clone(),
            "one partition",
            message,
            cure(Rule::ChannelSelf),
        );
        return None;
    }
    let row = |end: &str| resolved.partitions.iter().position(|partition| partition.name == end);
    let rows = [row(one)?, row(two)?];
    let size = file.size.0.as_ref()?;
    let channel = Channel {
        name: name.value.clone(),
        ends: rows.map(|row| window(platform, row, &resolved.channels)),
        size: size.value.0,
        interval_ns: file
            .interval
            .as_ref()
            .and_then(|told| told.0)
            .map_or(INTERVAL_NS, |interval| interval.0),
        span: name.span.clone(),
        size_span: size.span.clone(),
    };
    is_name(name).then_some(channel)
}

/// The next free window of a partition for a channel.
fn window(platform: &Platform, row: usize, channels: &[Channel]) -> End {
    let taken: Vec<u64> = channels
        .iter()
        .filter(|channel| channel.ends.iter().any(|end| end.partition == row))
        .map(|channel| channel.size.checked_next_multiple_of(PAGE).unwrap_or(channel.size))
        .collect();
    let windows = platform.channels;
    let slot = u32::try_from(taken.len()).unwrap_or(u32::MAX);
    End {
        partition: row,
        registers: windows.registers.saturating_add(u64::from(slot) * CHANNEL_REGISTERS_STRIDE),
        memory: taken.into_iter().fold(windows.memory.start, u64::saturating_add),
        interrupt: windows.interrupt.saturating_add(slot),
    }
}
