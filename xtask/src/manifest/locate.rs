// SPDX-License-Identifier: MIT OR Apache-2.0
//! The lines that a refusal is about: the owner's first, then the other owner's.

use std::ops::Range as Span;

use abi::range::Range;
use abi::records::{self, Name};
use abi::refusal::{Refusal, Rule};

use super::mistake::Place;
use super::resolve::Resolved;
use super::{Channel, Partition};

/// What of a partition or a channel a rule is about.
enum Subject {
    /// Nothing that was written.
    Nothing,
    Name,
    Cpu,
    Cpus,
    Memory,
    Guest,
    Device,
    Interrupt,
    Ports,
    Channel,
    ChannelSize,
    /// Memory of a partition or size of a channel.
    Room,
}

fn subject(rule: Rule) -> Subject {
    match rule {
        Rule::Align
        | Rule::Short
        | Rule::Magic
        | Rule::Format
        | Rule::Layout
        | Rule::Arch
        | Rule::Length => Subject::Nothing,
        Rule::Checksum | Rule::Table | Rule::Rows | Rule::Payload => Subject::Nothing,
        Rule::NoPartition | Rule::ManyPartitions => Subject::Nothing,
        Rule::BadName | Rule::ReservedName | Rule::NameTwice => Subject::Name,
        Rule::Intids | Rule::ManyChannels => Subject::Name,
        Rule::CpuTwice | Rule::CpuRepeated | Rule::CpuAbsent | Rule::CoreShared => Subject::Cpu,
        Rule::NoCpu | Rule::ManyCpus => Subject::Cpus,
        Rule::MemoryUnaligned | Rule::NoMemory | Rule::MemoryHigh | Rule::MemoryStart => {
            Subject::Memory
        }
        Rule::MemoryOnPlatform | Rule::MemoryOverlap | Rule::Identity => Subject::Memory,
        Rule::PinnedOutside | Rule::PinnedReserved => Subject::Memory,
        Rule::Rom | Rule::SegmentOutside | Rule::SegmentOverlap | Rule::EntryOutside => {
            Subject::Guest
        }
        Rule::DeviceUnaligned | Rule::DeviceOnMemory | Rule::DeviceOnPlatform => Subject::Device,
        Rule::DeviceTwice | Rule::DeviceRepeated | Rule::DeviceOnRam => Subject::Device,
        Rule::PortRange | Rule::PortOnPlatform | Rule::PortTwice => Subject::Ports,
        Rule::DeviceReserved | Rule::InterruptReserved | Rule::PortReserved => Subject::Device,
        Rule::InterruptTwice | Rule::InterruptTaken | Rule::InterruptRange => Subject::Interrupt,
        Rule::ChannelNobody | Rule::ChannelSelf | Rule::ChannelTwice | Rule::ChannelOverlap => {
            Subject::Channel
        }
        Rule::ChannelSize | Rule::ChannelWindow => Subject::ChannelSize,
        Rule::NoRoom => Subject::Room,
    }
}

/// The lines, each with its owner's name.
pub(super) fn places(refusal: &Refusal, resolved: &Resolved) -> Vec<Place> {
    let owners = [refusal.owner, refusal.other].map(|owner| find(&owner, resolved));
    let what = records::text(&refusal.what);
    let each = |spans: &dyn Fn(&Partition) -> Vec<Span<usize>>| {
        let label = |owner: &Partition, span| Place::new(span, owner.name.as_str());
        let of = |owner| spans(owner).into_iter().rev().map(|span| label(owner, span)).collect();
        owners.into_iter().flatten().flat_map(|owner| -> Vec<Place> { of(owner) }).collect()
    };
    match subject(refusal.rule) {
        Subject::Nothing => Vec::new(),
        Subject::Name => each(&|owner| vec![owner.spans.name.clone()]),
        Subject::Cpu => each(&|owner| cpus(owner, refusal.value)),
        Subject::Cpus => each(&|owner| owner.spans.cpus.iter().cloned().collect()),
        Subject::Memory => each(&|owner| vec![owner.spans.memory.clone()]),
        Subject::Guest => each(&|owner| owner.spans.guest.iter().cloned().collect()),
        Subject::Device => each(&|owner| devices(owner, what)),
        Subject::Ports => ports(refusal, owners),
        Subject::Interrupt => interrupts(refusal, owners, resolved),
        Subject::Channel => channels(what, resolved, |channel| channel.span.clone()),
        Subject::ChannelSize => channels(what, resolved, |channel| channel.size_span.clone()),
        Subject::Room if what == "channel" => {
            let owner = records::text(&refusal.owner);
            channels(owner, resolved, |channel| channel.size_span.clone())
        }
        Subject::Room => each(&|owner| vec![owner.spans.memory.clone()]),
    }
}

fn find<'a>(owner: &Name, resolved: &'a Resolved) -> Option<&'a Partition> {
    let owner = records::text(owner);
    resolved.partitions.iter().find(|partition| partition.name == owner)
}

/// Where a partition names a CPU.
fn cpus(partition: &Partition, cpu: u64) -> Vec<Span<usize>> {
    let named = partition.cpus.iter().zip(&partition.spans.cpu);
    let named = named.filter(|(named, _)| u64::from(**named) == cpu);
    named.map(|(_, span)| span.clone()).collect()
}

/// Where a partition names a device.
fn devices(partition: &Partition, device: &str) -> Vec<Span<usize>> {
    let named = partition.devices.iter().zip(&partition.spans.device);
    let named = named.filter(|(named, _)| named.name == device);
    named.map(|(_, span)| span.clone()).collect()
}

/// Where a channel is written.
fn channels(channel: &str, resolved: &Resolved, span: fn(&Channel) -> Span<usize>) -> Vec<Place> {
    let named = resolved.channels.iter().filter(|named| named.name == channel);
    named.map(|named| Place::new(span(named), named.name.as_str())).collect()
}

/// Where the device with some ports is named, and another device that has the same.
fn ports(refusal: &Refusal, owners: [Option<&Partition>; 2]) -> Vec<Place> {
    let having = |owner: &Partition| -> Vec<Place> {
        let named = owner.devices.iter().zip(&owner.spans.device);
        let first = Range::new(refusal.value, 1);
        let having = named.filter(|(device, _)| device.ports.overlaps(first));
        having.map(|(device, span)| Place::new(span.clone(), device.name.as_str())).collect()
    };
    owners.into_iter().flatten().flat_map(having).collect()
}

/// Where whoever has an interrupt is named: the device, another device, a channel.
fn interrupts(
    refusal: &Refusal,
    [owner, other]: [Option<&Partition>; 2],
    resolved: &Resolved,
) -> Vec<Place> {
    let (what, label) = (records::text(&refusal.what), records::text(&refusal.other));
    let having = |owner: &Partition| -> Vec<Place> {
        let named = owner.devices.iter().zip(&owner.spans.device);
        let having = named.filter(|(device, _)| {
            device.interrupts.iter().any(|intid| u64::from(*intid) == refusal.value)
        });
        having.map(|(device, span)| Place::new(span.clone(), device.name.as_str())).collect()
    };
    let mut places: Vec<Place> = owner.into_iter().flat_map(having).collect();
    places.sort_by_key(|place| place.label != what);
    places.extend(other.into_iter().flat_map(having));
    for channel in [what, label] {
        places.extend(channels(channel, resolved, |channel| channel.span.clone()));
    }
    places
}
