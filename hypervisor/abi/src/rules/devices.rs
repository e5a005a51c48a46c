// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules of devices and interrupts.

use super::{Sink, pairs};
use crate::bundle::{Partition, Tables, label};
use crate::range::Range;
use crate::records::DeviceRecord;
use crate::refusal::{Refusal, Rule};

fn host(device: &DeviceRecord) -> Range {
    Range::new(device.host.get(), device.size.get())
}

fn guest(device: &DeviceRecord) -> Range {
    Range::new(device.guest.get(), device.size.get())
}

/// A device's I/O ports.
pub(crate) fn ports(device: &DeviceRecord) -> Range {
    Range::new(device.port.get().into(), device.ports.get().into())
}

/// Every device with its partition.
pub(crate) fn owned<'a>(
    tables: &Tables<'a>,
) -> impl Iterator<Item = (Partition<'a>, &'a DeviceRecord)> + use<'a> {
    tables
        .iter()
        .flat_map(|partition| partition.devices().iter().map(move |device| (partition, device)))
}

/// Whether a partition shows an interrupt to which a line can be bound.
pub(super) fn shows(tables: &Tables, partition: &Partition, intid: u32) -> bool {
    (tables.platform.interrupts.first..partition.record.intids.get()).contains(&intid)
}

/// The platform's own device that an interrupt belongs to.
pub(super) fn taken(tables: &Tables, intid: u32) -> Option<&'static str> {
    let taken = tables.platform.interrupts.taken;
    taken.iter().find(|(_, own)| *own == intid).map(|(owner, _)| *owner)
}

/// An interrupt controller shows whole registers of interrupts.
pub(super) fn intids_are_whole_words(tables: &Tables, sink: Sink) {
    let known = &tables.platform.interrupts;
    for partition in tables.iter() {
        let intids = partition.record.intids.get();
        if !intids.is_multiple_of(known.step) || !(known.least..=known.most).contains(&intids) {
            let refusal = Refusal::new(Rule::Intids).owner(partition.record.name);
            sink(refusal.numbers(intids.into(), known.most.into()));
        }
    }
}

/// A device's registers are whole pages, at least one if it has no ports.
pub(super) fn registers_are_whole_pages(tables: &Tables, sink: Sink) {
    for (partition, device) in owned(tables) {
        for range in [host(device), guest(device)] {
            let none = range.size == 0 && device.ports.get() == 0;
            if !range.is_paged() || range.wraps() || none {
                let refusal = Refusal::new(Rule::DeviceUnaligned).owner(partition.record.name);
                sink(refusal.what(device.name).numbers(range.start, 0));
                break;
            }
        }
    }
}

/// A device does not hide its partition's memory.
pub(super) fn registers_are_beside_memory(tables: &Tables, sink: Sink) {
    for (partition, device) in owned(tables) {
        if guest(device).overlaps(partition.memory()) {
            let refusal = Refusal::new(Rule::DeviceOnMemory).owner(partition.record.name);
            sink(refusal.what(device.name).numbers(device.guest.get(), 0));
        }
    }
}

/// A device does not hide what the platform shows at fixed addresses.
pub(super) fn registers_are_beside_the_platform(tables: &Tables, sink: Sink) {
    for (partition, device) in owned(tables) {
        for (what, range) in tables.platform.reserved {
            if range.overlaps(guest(device)) {
                let refusal = Refusal::new(Rule::DeviceOnPlatform).owner(partition.record.name);
                sink(refusal.what(device.name).other(label(what)).numbers(device.guest.get(), 0));
            }
        }
    }
}

/// A device, each page of it, belongs to one partition, and appears there once.
pub(super) fn a_device_has_one_owner(tables: &Tables, sink: Sink) {
    for partition in tables.iter() {
        let owner = Refusal::new(Rule::DeviceTwice).owner(partition.record.name);
        for (other, taken) in owned(tables).take_while(|(other, _)| other.index < partition.index) {
            for device in
                partition.devices().iter().filter(|device| host(device).overlaps(host(taken)))
            {
                sink(owner.other(other.record.name).what(device.name));
            }
        }
        for (later, earlier) in pairs(partition.devices()) {
            if host(later).overlaps(host(earlier)) || guest(later).overlaps(guest(earlier)) {
                sink(Refusal { rule: Rule::DeviceRepeated, ..owner }.what(later.name));
            }
        }
    }
}

/// A device's ports are some that the architecture has, beside those of the platform.
pub(super) fn ports_exist_beside_the_platform(tables: &Tables, sink: Sink) {
    for (partition, device) in owned(tables) {
        let range = ports(device);
        let refusal = |rule| Refusal::new(rule).owner(partition.record.name).what(device.name);
        if range.end() > tables.platform.port_end {
            sink(refusal(Rule::PortRange).numbers(range.start, 0));
        }
        for (what, taken) in tables.platform.ports.iter().filter(|(_, own)| own.overlaps(range)) {
            let first = taken.start.max(range.start);
            sink(refusal(Rule::PortOnPlatform).other(label(what)).numbers(first, 0));
        }
    }
}

/// A port belongs to one device.
pub(super) fn a_port_has_one_owner(tables: &Tables, sink: Sink) {
    for (row, (partition, device)) in owned(tables).enumerate() {
        for (other, earlier) in owned(tables).take(row) {
            let (range, taken) = (ports(device), ports(earlier));
            if !range.overlaps(taken) {
                continue;
            }
            let rule = match other.index == partition.index {
                true => Rule::DeviceRepeated,
                false => Rule::PortTwice,
            };
            let refusal = Refusal::new(rule).owner(partition.record.name).what(device.name);
            let first = range.start.max(taken.start);
            sink(refusal.other(other.record.name).numbers(first, 0));
        }
    }
}

/// A device's interrupts are some that the partition shows, and to which a line can be bound.
pub(super) fn interrupts_are_shown(tables: &Tables, sink: Sink) {
    for (partition, device) in owned(tables) {
        for intid in device.lines().filter(|intid| !shows(tables, &partition, *intid)) {
            let last = partition.record.intids.get().saturating_sub(1);
            let refusal = Refusal::new(Rule::InterruptRange).owner(partition.record.name);
            sink(refusal.what(device.name).numbers(intid.into(), last.into()));
        }
    }
}

/// An interrupt belongs to one device; the console's and the channels' belong to none.
pub(super) fn an_interrupt_has_one_owner(tables: &Tables, sink: Sink) {
    for (row, (partition, device)) in owned(tables).enumerate() {
        for intid in device.lines() {
            let refusal = Refusal::new(Rule::InterruptTaken).owner(partition.record.name);
            let refusal = refusal.what(device.name).numbers(intid.into(), 0);
            if let Some(own) = taken(tables, intid) {
                sink(refusal.other(label(own)));
            }
            for (other, earlier) in owned(tables).take(row) {
                let shared =
                    earlier.name != device.name && earlier.lines().any(|taken| taken == intid);
                match shared {
                    true if other.index == partition.index => sink(refusal.other(earlier.name)),
                    true => {
                        sink(
                            Refusal { rule: Rule::InterruptTwice, ..refusal }
                                .other(other.record.name),
                        );
                    }
                    false => {}
                }
            }
            for (channel, side) in partition.channels() {
                if channel.ends.get(side).is_some_and(|end| end.interrupt.get() == intid) {
                    sink(refusal.other(channel.name));
                }
            }
        }
    }
}
