// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules of a partition's memory.

use super::{Sink, pairs};
use crate::bundle::{Tables, label};
use crate::range::Range;
use crate::records::{PLACE_AT_BOOT, PartitionFlags, PartitionRecord};
use crate::refusal::{Refusal, Rule};

/// The host range of a partition's memory, if the manifest pins it.
pub(crate) fn pinned(record: &PartitionRecord) -> Option<Range> {
    let host = record.memory_host.get();
    (host != PLACE_AT_BOOT).then(|| Range::new(host, record.memory_size.get()))
}

/// Memory is whole pages, in size and in both addresses.
pub(super) fn is_whole_pages(tables: &Tables, sink: Sink) {
    for partition in tables.iter() {
        let memory = partition.memory();
        let refusal = |rule| Refusal::new(rule).owner(partition.record.name);
        for range in [Some(memory), pinned(partition.record)].into_iter().flatten() {
            if !range.is_paged() {
                sink(refusal(Rule::MemoryUnaligned).numbers(range.size, range.start));
                break;
            }
        }
        if memory.size == 0 {
            sink(refusal(Rule::NoMemory));
        }
    }
}

/// Guest memory ends below the last address that the platform has for it.
pub(super) fn is_below_the_last_guest_address(tables: &Tables, sink: Sink) {
    let limit = tables.platform.ram_end;
    for partition in tables.iter() {
        let end = partition.memory().end();
        if end > limit {
            sink(Refusal::new(Rule::MemoryHigh).owner(partition.record.name).numbers(end, limit));
        }
    }
}

/// Guest memory starts where the platform has it.
pub(super) fn starts_where_the_platform_has_it(tables: &Tables, sink: Sink) {
    let wanted = tables.platform.ram;
    for partition in tables.iter() {
        let start = partition.memory().start;
        if start != wanted {
            let refusal = Refusal::new(Rule::MemoryStart).owner(partition.record.name);
            sink(refusal.numbers(start, wanted));
        }
    }
}

/// Guest memory lies beside what the platform shows at fixed addresses.
pub(super) fn leaves_the_platform_alone(tables: &Tables, sink: Sink) {
    for partition in tables.iter() {
        for (what, range) in tables.platform.reserved {
            if range.overlaps(partition.memory()) {
                let refusal = Refusal::new(Rule::MemoryOnPlatform).owner(partition.record.name);
                sink(refusal.what(label(what)).numbers(range.start, 0));
            }
        }
    }
}

/// Memories with a host address are disjoint; the others are placed so.
pub(super) fn pinned_ones_are_disjoint(tables: &Tables, sink: Sink) {
    for (later, earlier) in pairs(tables.partitions) {
        let (Some(range), Some(taken)) = (pinned(later), pinned(earlier)) else { continue };
        if range.overlaps(taken) {
            let refusal = Refusal::new(Rule::MemoryOverlap).owner(later.name).other(earlier.name);
            sink(refusal.numbers(range.start.max(taken.start), 0));
        }
    }
}

/// With identity, guest and host address are one.
pub(super) fn identity_means_one_address(tables: &Tables, sink: Sink) {
    for partition in tables.iter() {
        let (guest, host) =
            (partition.record.memory_guest.get(), partition.record.memory_host.get());
        if partition.flags().contains(PartitionFlags::IDENTITY) && guest != host {
            sink(Refusal::new(Rule::Identity).owner(partition.record.name).numbers(guest, host));
        }
    }
}
