// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules of the images: what is copied stays inside its own partition.

use super::{Sink, pairs};
use crate::bundle::{Partition, Tables};
use crate::range::{PAGE, Range};
use crate::records::SegmentRecord;
use crate::refusal::{Refusal, Rule};

fn range(segment: &SegmentRecord) -> Range {
    Range::new(segment.guest.get(), segment.len.get())
}

fn flash(tables: &Tables, partition: &Partition) -> Range {
    Range::new(tables.platform.flash.start, partition.record.rom_size.get())
}

/// Read-only flash is whole pages and fits where the platform has it.
pub(super) fn flash_fits(tables: &Tables, sink: Sink) {
    let most = tables.platform.flash.size;
    for partition in tables.iter() {
        let size = partition.record.rom_size.get();
        if size > most || !size.is_multiple_of(PAGE) {
            sink(Refusal::new(Rule::Rom).owner(partition.record.name).numbers(size, most));
        }
    }
}

/// A segment lies in its partition's memory or in its read-only flash.
pub(super) fn segments_are_inside(tables: &Tables, sink: Sink) {
    for partition in tables.iter() {
        for segment in partition.segments().iter().map(range) {
            if !partition.memory().contains(segment) && !flash(tables, &partition).contains(segment)
            {
                let refusal = Refusal::new(Rule::SegmentOutside).owner(partition.record.name);
                sink(refusal.numbers(segment.size, segment.start));
            }
        }
    }
}

/// No segment overwrites another.
pub(super) fn segments_are_disjoint(tables: &Tables, sink: Sink) {
    for partition in tables.iter() {
        for (later, earlier) in pairs(partition.segments()) {
            let (later, earlier) = (range(later), range(earlier));
            if later.overlaps(earlier) {
                let refusal = Refusal::new(Rule::SegmentOverlap).owner(partition.record.name);
                sink(refusal.numbers(later.start.max(earlier.start), 0));
            }
        }
    }
}

/// The first instruction lies in a segment.
pub(super) fn entry_is_inside(tables: &Tables, sink: Sink) {
    let align = tables.platform.entry_align;
    for partition in tables.iter() {
        let entry = partition.record.entry.get();
        let first = Range::new(entry, align);
        if !partition.segments().iter().any(|segment| range(segment).contains(first))
            || !entry.is_multiple_of(align)
        {
            sink(Refusal::new(Rule::EntryOutside).owner(partition.record.name).numbers(entry, 0));
        }
    }
}
