// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules of channels.

use super::devices::{shows, taken};
use super::partitions::is_plain;
use super::{Sink, pairs};
use crate::bundle::Tables;
use crate::platform::{CHANNEL_REGISTERS_STRIDE, CHANNELS_PER_PARTITION};
use crate::range::Range;
use crate::records::{ChannelEnd, ChannelRecord};
use crate::refusal::{Refusal, Rule};

/// Bytes of the register pages of all channels of a partition.
const PAGES: u64 = CHANNELS_PER_PARTITION as u64 * CHANNEL_REGISTERS_STRIDE;

fn memory(channel: &ChannelRecord, end: &ChannelEnd) -> Range {
    Range::new(end.memory.get(), channel.size.get())
}

fn registers(end: &ChannelEnd) -> Range {
    Range::new(end.registers.get(), CHANNEL_REGISTERS_STRIDE)
}

/// A channel's name is plain and its own.
pub(super) fn names_are_plain_and_unique(tables: &Tables, sink: Sink) {
    for channel in tables.channels.iter().filter(|channel| !is_plain(&channel.name)) {
        sink(Refusal::new(Rule::BadName).what(channel.name));
    }
    for (later, earlier) in pairs(tables.channels) {
        if later.name == earlier.name {
            sink(Refusal::new(Rule::ChannelTwice).what(later.name));
        }
    }
}

/// A channel joins two partitions, and both exist.
pub(super) fn ends_are_two_partitions(tables: &Tables, sink: Sink) {
    for channel in tables.channels {
        let [one, two] = channel.ends.map(|end| end.partition.get() as usize);
        let refusal = |rule| Refusal::new(rule).what(channel.name);
        match (tables.partition(one), tables.partition(two)) {
            (Some(same), Some(_)) if one == two => {
                sink(refusal(Rule::ChannelSelf).owner(same.record.name))
            }
            (Some(_), Some(_)) => {}
            _ => sink(refusal(Rule::ChannelNobody)),
        }
    }
}

/// A partition has at most as many channels as the platform has interrupts for.
pub(super) fn partitions_have_few(tables: &Tables, sink: Sink) {
    for partition in tables.iter() {
        let count = partition.channels().count();
        if count > CHANNELS_PER_PARTITION {
            let refusal = Refusal::new(Rule::ManyChannels).owner(partition.record.name);
            sink(refusal.numbers(count as u64, CHANNELS_PER_PARTITION as u64));
        }
    }
}

/// A channel's memory is whole pages, at least one.
pub(super) fn have_whole_pages(tables: &Tables, sink: Sink) {
    let most = tables.platform.channels.memory.size;
    for channel in tables.channels {
        let range = Range::new(0, channel.size.get());
        if !range.is_paged() || range.size == 0 || range.size > most {
            sink(Refusal::new(Rule::ChannelSize).what(channel.name).numbers(range.size, most));
        }
    }
}

/// Registers and memory of a channel appear in the window that the platform has for them.
pub(super) fn are_in_their_window(tables: &Tables, sink: Sink) {
    let windows = tables.platform.channels;
    let pages = Range::new(windows.registers, PAGES);
    for partition in tables.iter() {
        for (channel, side) in partition.channels() {
            let Some(end) = channel.ends.get(side) else { continue };
            let refusal =
                Refusal::new(Rule::ChannelWindow).owner(partition.record.name).what(channel.name);
            let ranges = [(registers(end), pages), (memory(channel, end), windows.memory)];
            for (range, window) in ranges {
                if !window.contains(range) || !range.start.is_multiple_of(CHANNEL_REGISTERS_STRIDE)
                {
                    sink(refusal.numbers(range.start, 0));
                }
            }
        }
    }
}

/// No two channels of a partition share registers, memory or an interrupt.
pub(super) fn are_disjoint(tables: &Tables, sink: Sink) {
    for partition in tables.iter() {
        for (row, (channel, side)) in partition.channels().enumerate() {
            for (earlier, other) in partition.channels().take(row) {
                let (Some(end), Some(taken)) = (channel.ends.get(side), earlier.ends.get(other))
                else {
                    continue;
                };
                let shared = registers(end).overlaps(registers(taken))
                    || memory(channel, end).overlaps(memory(earlier, taken))
                    || end.interrupt == taken.interrupt;
                if shared {
                    let refusal = Refusal::new(Rule::ChannelOverlap).owner(partition.record.name);
                    sink(refusal.what(channel.name).other(earlier.name));
                }
            }
        }
    }
}

/// A channel's interrupt is one that the partition shows, and none of the platform's own.
pub(super) fn interrupts_are_shown(tables: &Tables, sink: Sink) {
    for partition in tables.iter() {
        for (channel, side) in partition.channels() {
            let intid = channel.ends.get(side).map_or(0, |end| end.interrupt.get());
            if !shows(tables, &partition, intid) || taken(tables, intid).is_some() {
                let last = partition.record.intids.get().saturating_sub(1);
                let refusal = Refusal::new(Rule::InterruptRange).owner(partition.record.name);
                sink(refusal.what(channel.name).numbers(intid.into(), last.into()));
            }
        }
    }
}
