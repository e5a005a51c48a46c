// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules of channels.

use super::devices::shows;
use super::partitions::is_plain;
use super::{Sink, pairs};
use crate::bundle::Tables;
use crate::platform::{
    self, CHANNEL_MEMORY, CHANNEL_REGISTERS, CHANNEL_REGISTERS_STRIDE, CHANNELS_PER_PARTITION,
};
use crate::range::Range;
use crate::records::{ChannelEnd, ChannelRecord};
use crate::refusal::{Refusal, Rule};

/// Where the shared memory of all channels of a partition lies.
const MEMORY: Range = Range::new(CHANNEL_MEMORY, platform::CHANNEL_END - CHANNEL_MEMORY);
/// Where the register pages of all channels of a partition lie.
const REGISTERS: Range =
    Range::new(CHANNEL_REGISTERS, CHANNELS_PER_PARTITION as u64 * CHANNEL_REGISTERS_STRIDE);

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
    for channel in tables.channels {
        let range = Range::new(0, channel.size.get());
        if !range.is_paged() || range.size == 0 || range.size > MEMORY.size {
            sink(
                Refusal::new(Rule::ChannelSize).what(channel.name).numbers(range.size, MEMORY.size),
            );
        }
    }
}

/// Registers and memory of a channel appear in the window that the platform has for them.
pub(super) fn are_in_their_window(tables: &Tables, sink: Sink) {
    for partition in tables.iter() {
        for (channel, side) in partition.channels() {
            let Some(end) = channel.ends.get(side) else { continue };
            let refusal =
                Refusal::new(Rule::ChannelWindow).owner(partition.record.name).what(channel.name);
            for (range, window) in [(registers(end), REGISTERS), (memory(channel, end), MEMORY)] {
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

/// A channel's interrupt is an SPI that the partition's distributor shows, and not the console's.
pub(super) fn interrupts_are_shown(tables: &Tables, sink: Sink) {
    for partition in tables.iter() {
        for (channel, side) in partition.channels() {
            let intid = channel.ends.get(side).map_or(0, |end| end.interrupt.get());
            if !shows(&partition, intid) || intid == platform::UART_INTID {
                let last = partition.record.intids.get().saturating_sub(1);
                let refusal = Refusal::new(Rule::InterruptRange).owner(partition.record.name);
                sink(refusal.what(channel.name).numbers(intid.into(), last.into()));
            }
        }
    }
}
