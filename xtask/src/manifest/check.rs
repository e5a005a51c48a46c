// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel's own rules, run on the tables that will go into the bundle, and
//! the placement on the board's known map. A refusal becomes a mistake with
//! the lines of both owners.

use std::ops::Range as Span;

use abi::bundle::Tables;
use abi::draft::Draft;
use abi::placement::{self, Request};
use abi::records::{
    self, ChannelEnd, ChannelRecord, DeviceRecord, Name, PLACE_AT_BOOT, PartitionFlags,
    PartitionRecord,
};
use abi::refusal::{Refusal, Rule};
use abi::{machine, rules};

use super::board::{Board, Device};
use super::cures::cure;
use super::mistake::{Kind, Mistake, Place};
use super::read::Reader;
use super::resolve::Resolved;
use super::{Channel, Partition};

fn name(text: &str) -> Name {
    records::name(text).unwrap_or_default()
}

/// The tables of a bundle without images.
fn draft(resolved: &Resolved, board: &Board) -> Draft {
    let mut draft = Draft::new(name(&board.name));
    for partition in &resolved.partitions {
        let devices: Vec<_> = partition.devices.iter().map(device).collect();
        draft.add(record(partition), &partition.cpus, Vec::new(), &devices);
    }
    draft.channels = resolved.channels.iter().map(channel).collect();
    draft
}

fn record(partition: &Partition) -> PartitionRecord {
    let mut flags = PartitionFlags::empty();
    flags.set(PartitionFlags::TRAP_IDLE, partition.trap_idle);
    flags.set(PartitionFlags::IDENTITY, partition.identity);
    flags.set(PartitionFlags::UNPROTECTED_DMA, partition.unprotected_dma);
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
        interrupts,
    }
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
    let told =
        |refusal: &Refusal| refusal.rule == Rule::NoCpu && places(refusal, resolved).is_empty();
    for refusal in refusals.iter().filter(|refusal| !told(refusal)) {
        tell(refusal, resolved, reader);
    }
    (draft, placement)
}

/// Places what can be placed; each request that cannot is told and left out.
fn place(tables: &Tables, board: &Board, refusals: &mut Vec<Refusal>) -> Vec<Request> {
    let mut wanted: Vec<Request> = placement::requests(tables).collect();
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

/// Makes a refusal a mistake.
fn tell(refusal: &Refusal, resolved: &Resolved, reader: &mut Reader) {
    reader.mistakes.push(Mistake {
        kind: Kind::Rule(refusal.rule),
        source: reader.source.clone(),
        message: refusal.to_string(),
        places: places(refusal, resolved),
        cure: cure(refusal.rule).to_owned(),
    });
}

/// The lines that a refusal is about: the owner's, then the other owner's.
fn places(refusal: &Refusal, resolved: &Resolved) -> Vec<Place> {
    let find =
        |owner: &Name| resolved.partitions.iter().find(|partition| name(&partition.name) == *owner);
    let (owner, other) = (find(&refusal.owner), find(&refusal.other));
    let what = records::text(&refusal.what);
    let pair = |span: &dyn Fn(&Partition) -> Option<Span<usize>>| {
        let one = owner.and_then(|owner| Some(Place::new(span(owner)?, owner.name.as_str())));
        let two = other.and_then(|other| Some(Place::new(span(other)?, other.name.as_str())));
        one.into_iter().chain(two).collect::<Vec<_>>()
    };
    match refusal.rule {
        Rule::CpuTwice | Rule::CpuAbsent => {
            pair(&|partition| cpus(partition, refusal.value).next())
        }
        Rule::CpuRepeated => {
            let mut spans: Vec<_> =
                owner.into_iter().flat_map(|owner| cpus(owner, refusal.value)).collect();
            spans.reverse();
            spans.into_iter().map(|span| Place::new(span, refusal.value.to_string())).collect()
        }
        Rule::NoCpu | Rule::ManyCpus => pair(&|partition| partition.spans.cpus.clone()),
        Rule::MemoryUnaligned
        | Rule::NoMemory
        | Rule::MemoryHigh
        | Rule::MemoryOnPlatform
        | Rule::MemoryOverlap
        | Rule::Identity
        | Rule::PinnedOutside
        | Rule::PinnedReserved => pair(&|partition| Some(partition.spans.memory.clone())),
        Rule::NoRoom if owner.is_some() && what != "channel" => {
            pair(&|partition| Some(partition.spans.memory.clone()))
        }
        Rule::DeviceUnaligned
        | Rule::DeviceOnMemory
        | Rule::DeviceOnPlatform
        | Rule::DeviceTwice
        | Rule::DeviceOnRam
        | Rule::DeviceReserved
        | Rule::InterruptReserved => pair(&|partition| devices(partition, what).next()),
        Rule::DeviceRepeated => {
            let mut spans: Vec<_> =
                owner.into_iter().flat_map(|owner| devices(owner, what)).collect();
            spans.reverse();
            spans.into_iter().map(|span| Place::new(span, what)).collect()
        }
        Rule::InterruptTwice | Rule::InterruptRange => interrupts(refusal, owner, resolved),
        Rule::ChannelSize | Rule::NoRoom => {
            let label =
                records::text(if what == "channel" { &refusal.owner } else { &refusal.what });
            channels(label, resolved, |channel| channel.size_span.clone())
        }
        Rule::ChannelWindow => channels(what, resolved, |channel| channel.size_span.clone()),
        Rule::Short | Rule::Magic | Rule::Format | Rule::Layout | Rule::Length | Rule::Checksum => {
            Vec::new()
        }
        Rule::Table | Rule::Rows | Rule::Payload | Rule::NoPartition | Rule::ManyPartitions => {
            Vec::new()
        }
        Rule::BadName
        | Rule::ReservedName
        | Rule::NameTwice
        | Rule::Intids
        | Rule::ManyChannels => pair(&|partition| Some(partition.spans.name.clone())),
        Rule::Rom | Rule::SegmentOutside | Rule::SegmentOverlap | Rule::EntryOutside => {
            pair(&|partition| partition.spans.guest.clone())
        }
        Rule::ChannelNobody | Rule::ChannelSelf | Rule::ChannelTwice | Rule::ChannelOverlap => {
            channels(what, resolved, |channel| channel.span.clone())
        }
    }
}

/// Where a partition names a CPU.
fn cpus(partition: &Partition, cpu: u64) -> impl Iterator<Item = Span<usize>> {
    let named = partition.cpus.iter().zip(&partition.spans.cpu);
    named.filter(move |(named, _)| u64::from(**named) == cpu).map(|(_, span)| span.clone())
}

/// Where a partition names a device.
fn devices(partition: &Partition, device: &str) -> impl Iterator<Item = Span<usize>> {
    let named = partition.devices.iter().zip(&partition.spans.device);
    named.filter(move |(named, _)| named.name == device).map(|(_, span)| span.clone())
}

/// Where a channel is written.
fn channels(channel: &str, resolved: &Resolved, span: fn(&Channel) -> Span<usize>) -> Vec<Place> {
    let named = resolved.channels.iter().filter(|named| named.name == channel);
    named.map(|named| Place::new(span(named), named.name.as_str())).collect()
}

/// Where the device with an interrupt is named, and whoever has it too.
fn interrupts(refusal: &Refusal, owner: Option<&Partition>, resolved: &Resolved) -> Vec<Place> {
    let (what, other) = (records::text(&refusal.what), records::text(&refusal.other));
    let first =
        owner.into_iter().flat_map(|owner| devices(owner, what)).map(|span| Place::new(span, what));
    let second = resolved.partitions.iter().flat_map(|partition| devices(partition, other));
    let second = second.map(|span| Place::new(span, other));
    let channel = channels(if other.is_empty() { what } else { other }, resolved, |channel| {
        channel.span.clone()
    });
    first.chain(second).chain(channel).collect()
}
