// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel's own rules, run on the tables that will go into the bundle, and
//! the placement on the board's known map. A refusal becomes a mistake with
//! the lines of both owners.

use abi::bundle::Tables;
use abi::draft::Draft;
use abi::mailbox::rights::Set;
use abi::placement::{self, Request};
use abi::records::{
    self, ChannelEnd, ChannelRecord, DeviceRecord, Name, PLACE_AT_BOOT, PartitionFlags,
    PartitionRecord,
};
use abi::refusal::{Refusal, Rule};
use abi::{machine, rules};

use super::board::{Board, Device};
use super::cures::cure;
use super::locate::places;
use super::mistake::{Kind, Mistake, Mistakes};
use super::read::Reader;
use super::resolve::Resolved;
use super::{Channel, Manifest, Partition};

/// Whose the host's line is.
pub(super) const MANAGEMENT: &str = "management";

fn name(text: &str) -> Name {
    records::name(text).unwrap_or_default()
}

/// The tables of a bundle without images.
fn draft(resolved: &Resolved, board: &Board) -> Draft {
    let mut draft = Draft::new(name(&board.name), board.platform());
    for partition in &resolved.partitions {
        let devices: Vec<_> = partition.devices.iter().map(device).collect();
        draft.add(record(partition), &partition.cpus, Vec::new(), &devices);
    }
    draft.channels = resolved.channels.iter().map(channel).collect();
    draft.management = resolved.management.as_ref().map(device).unwrap_or_default();
    draft
}

fn record(partition: &Partition) -> PartitionRecord {
    let mut flags = PartitionFlags::empty();
    flags.set(PartitionFlags::TRAP_IDLE, partition.trap_idle);
    flags.set(PartitionFlags::SMT_SHARED, partition.smt_shared);
    flags.set(PartitionFlags::IDENTITY, partition.identity);
    flags.set(PartitionFlags::UNPROTECTED_DMA, partition.unprotected_dma);
    flags.set(PartitionFlags::MAILBOX, partition.mailbox.is_some());
    flags.set(PartitionFlags::MANUAL, partition.manual);
    flags.set(PartitionFlags::REBOOT_MACHINE, partition.restart.reboots);
    let mut depends = Set::default();
    partition.depends.iter().for_each(|row| depends.add(*row));
    PartitionRecord {
        name: name(&partition.name),
        flags: flags.bits().into(),
        intids: partition.intids.into(),
        memory_guest: partition.memory.start.into(),
        memory_host: partition.host.unwrap_or(PLACE_AT_BOOT).into(),
        memory_size: partition.memory.size.into(),
        rom_size: 0.into(),
        entry: 0.into(),
        argument: 0.into(),
        restart_on: partition.restart.on.into(),
        restart_max: partition.restart.max.into(),
        restart_within_ns: partition.restart.within.into(),
        restart_backoff_ns: partition.restart.backoff.into(),
        restart_uptime_ns: partition.restart.uptime.into(),
        watchdog_ns: partition.watchdog.unwrap_or(0).into(),
        depends,
        rights: partition.mailbox.unwrap_or_default(),
        cpus: Default::default(),
        segments: Default::default(),
        devices: Default::default(),
    }
}

fn device(device: &Device) -> DeviceRecord {
    let mut interrupts = [0.into(); 4];
    for (place, intid) in interrupts.iter_mut().zip(&device.interrupts) {
        *place = (*intid).into();
    }
    DeviceRecord {
        name: name(&device.name),
        host: device.registers.start.into(),
        guest: device.registers.start.into(),
        size: device.registers.size.into(),
        port: narrow(device.ports.start).into(),
        ports: narrow(device.ports.size).into(),
        interrupts,
    }
}

/// Board files have ports in 32 bits.
fn narrow(port: u64) -> u32 {
    u32::try_from(port).unwrap_or(u32::MAX)
}

fn channel(channel: &Channel) -> ChannelRecord {
    ChannelRecord {
        name: name(&channel.name),
        size: channel.size.into(),
        interval_ns: channel.interval_ns.into(),
        ends: channel.ends.map(|end| ChannelEnd {
            partition: u32::try_from(end.partition).unwrap_or(u32::MAX).into(),
            interrupt: end.interrupt.into(),
            registers: end.registers.into(),
            memory: end.memory.into(),
        }),
    }
}

/// Runs every rule that needs no image, and places the memory.
pub(super) fn check(
    resolved: &Resolved,
    board: &Board,
    reader: &mut Reader,
) -> (Draft, Vec<Request>) {
    let draft = draft(resolved, board);
    let tables = draft.tables();
    let mut refusals = Vec::new();
    if !resolved.partitions.is_empty() {
        rules::check_structure(&tables, &mut |refusal| refusals.push(refusal));
        machine::check(&tables, &board.machine(), &mut |refusal| refusals.push(refusal));
    }
    let placement = place(&tables, board, &mut refusals);
    let many: Vec<Name> = owners(&refusals, Rule::ManyChannels);
    let follows = |refusal: &Refusal| {
        // A list of CPUs that could not be read is no empty list.
        let unread = refusal.rule == Rule::NoCpu && places(refusal, resolved).is_empty();
        // A ninth channel has no window.
        let ninth = refusal.rule == Rule::ChannelWindow && many.contains(&refusal.owner);
        unread || ninth
    };
    for refusal in refusals.iter().filter(|refusal| !follows(refusal)) {
        tell(refusal, resolved, reader);
    }
    (draft, placement)
}

/// Who broke a rule.
fn owners(refusals: &[Refusal], rule: Rule) -> Vec<Name> {
    let broken = refusals.iter().filter(|refusal| refusal.rule == rule);
    broken.map(|refusal| refusal.owner).collect()
}

/// Runs the rules of images, and the placement with their flash.
pub(super) fn check_images(manifest: &Manifest, draft: &Draft, told: &Mistakes) -> Mistakes {
    let tables = draft.tables();
    let mut refusals = Vec::new();
    rules::check_images(&tables, &mut |refusal| refusals.push(refusal));
    place(&tables, &manifest.board, &mut refusals);
    let mut mistakes = Mistakes::default();
    for refusal in refusals {
        let row =
            manifest.partitions.iter().position(|partition| name(&partition.name) == refusal.owner);
        let row = row.unwrap_or(0);
        let mistake = manifest.guest_mistake(
            row,
            Kind::Rule(refusal.rule),
            refusal.to_string(),
            cure(refusal.rule),
        );
        let starts = |told: &Mistake| told.places.first().map(|place| place.span.start);
        if !told.iter().any(|told| starts(told) == starts(&mistake)) {
            mistakes.push(mistake);
        }
    }
    mistakes
}

/// Places what can be placed; each request that cannot is told and left out.
fn place(tables: &Tables, board: &Board, refusals: &mut Vec<Refusal>) -> Vec<Request> {
    let mut wanted = Vec::new();
    placement::requests(tables, &mut |request| wanted.push(request));
    loop {
        let mut placed = wanted.clone();
        match placement::place(&board.ram, &board.reserved, &mut placed) {
            Ok(()) => return placed,
            Err(refusal) => {
                let before = wanted.len();
                wanted.retain(|request| {
                    request.owner != refusal.owner || request.size != refusal.value
                });
                refusals.push(refusal);
                if wanted.len() == before {
                    return Vec::new();
                }
            }
        }
    }
}

/// What takes a mistake away: for what the manifest keeps by itself, not the board, another key.
fn cure_of(refusal: &Refusal) -> &'static str {
    if refusal.other == name(MANAGEMENT) {
        "leave the device out here, or `management` above"
    } else {
        cure(refusal.rule)
    }
}

/// Makes a refusal a mistake.
fn tell(refusal: &Refusal, resolved: &Resolved, reader: &mut Reader) {
    reader.mistakes.push(Mistake {
        kind: Kind::Rule(refusal.rule),
        source: reader.source.clone(),
        message: refusal.to_string(),
        places: places(refusal, resolved),
        cure: cure_of(refusal).to_owned(),
    });
}
