// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules of devices and interrupts.

use super::{Sink, pairs};
use crate::bundle::{Partition, Tables, label};
use crate::platform::{self, INTID_LIMIT, SPI_FIRST};
use crate::range::Range;
use crate::records::DeviceRecord;
use crate::refusal::{Refusal, Rule};

fn host(device: &DeviceRecord) -> Range {
    Range::new(device.host.get(), device.size.get())
}

fn guest(device: &DeviceRecord) -> Range {
    Range::new(device.guest.get(), device.size.get())
}

/// A device's interrupts; zero is none.
pub(crate) fn interrupts(device: &DeviceRecord) -> impl Iterator<Item = u32> {
    device.interrupts.iter().map(|intid| intid.get()).filter(|intid| *intid != 0)
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
pub(super) fn shows(partition: &Partition, intid: u32) -> bool {
    (SPI_FIRST..partition.record.intids.get()).contains(&intid)
}

/// A distributor shows whole registers of 32 interrupts, SPIs among them.
pub(super) fn intids_are_whole_words(tables: &Tables, sink: Sink) {
    for partition in tables.iter() {
        let intids = partition.record.intids.get();
        if !intids.is_multiple_of(32) || !(64..=INTID_LIMIT).contains(&intids) {
            let refusal = Refusal::new(Rule::Intids).owner(partition.record.name);
            sink(refusal.numbers(intids.into(), INTID_LIMIT.into()));
        }
    }
}

/// A device's registers are whole pages, at least one.
pub(super) fn registers_are_whole_pages(tables: &Tables, sink: Sink) {
    for (partition, device) in owned(tables) {
        for range in [host(device), guest(device)] {
            if !range.is_paged() || range.wraps() || range.size == 0 {
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
        for (what, range) in platform::RESERVED {
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

/// A device's interrupts are SPIs that the partition's distributor shows.
pub(super) fn interrupts_are_shown(tables: &Tables, sink: Sink) {
    for (partition, device) in owned(tables) {
        for intid in interrupts(device).filter(|intid| !shows(&partition, *intid)) {
            let last = partition.record.intids.get().saturating_sub(1);
            let refusal = Refusal::new(Rule::InterruptRange).owner(partition.record.name);
            sink(refusal.what(device.name).numbers(intid.into(), last.into()));
        }
    }
}

/// An interrupt belongs to one device; the console's and the channels' belong to none.
pub(super) fn an_interrupt_has_one_owner(tables: &Tables, sink: Sink) {
    for (row, (partition, device)) in owned(tables).enumerate() {
        for intid in interrupts(device) {
            let taken = Refusal::new(Rule::InterruptTaken).owner(partition.record.name);
            let taken = taken.what(device.name).numbers(intid.into(), 0);
            if intid == platform::UART_INTID {
                sink(taken.other(label("the console")));
            }
            for (other, earlier) in owned(tables).take(row) {
                let shared =
                    earlier.name != device.name && interrupts(earlier).any(|taken| taken == intid);
                match shared {
                    true if other.index == partition.index => sink(taken.other(earlier.name)),
                    true => {
                        sink(
                            Refusal { rule: Rule::InterruptTwice, ..taken }
                                .other(other.record.name),
                        );
                    }
                    false => {}
                }
            }
            for (channel, side) in partition.channels() {
                if channel.ends.get(side).is_some_and(|end| end.interrupt.get() == intid) {
                    sink(taken.other(channel.name));
                }
            }
        }
    }
}
