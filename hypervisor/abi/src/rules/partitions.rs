// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules of partitions, their names and their CPUs.

use super::{Sink, pairs};
use crate::bundle::{Tables, label};
use crate::platform::VCPUS_PER_PARTITION;
use crate::records::{Name, PartitionRecord, Span};
use crate::refusal::{Refusal, Rule};

/// Partitions in one machine: each has a VMID of 8 bits, and zero is nobody's.
pub const PARTITIONS: usize = 255;
/// The hypervisor's own name on the console.
pub const OWN_NAME: &str = "bulkhead";

/// A machine has at least one partition and at most as many as VMIDs.
pub(super) fn some_but_not_too_many(tables: &Tables, sink: Sink) {
    let count = tables.partitions.len();
    if count == 0 {
        sink(Refusal::new(Rule::NoPartition));
    }
    if count > PARTITIONS {
        sink(Refusal::new(Rule::ManyPartitions).numbers(count as u64, PARTITIONS as u64));
    }
}

/// The rows of a partition follow those of the one before, so that no row has two owners, and together they are the table.
pub(super) fn rows_follow_one_another(tables: &Tables, sink: Sink) {
    follow(tables, "cpus", tables.cpus.len(), |record| record.cpus, sink);
    follow(tables, "segments", tables.segments.len(), |record| record.segments, sink);
    follow(tables, "devices", tables.devices.len(), |record| record.devices, sink);
}

fn follow(tables: &Tables, what: &str, len: usize, span: fn(&PartitionRecord) -> Span, sink: Sink) {
    let refusal = Refusal::new(Rule::Rows).what(label(what));
    let mut next = 0_u32;
    for record in tables.partitions {
        let span = span(record);
        match next.checked_add(span.count.get()) {
            Some(end) if span.first.get() == next && end as usize <= len => next = end,
            _ => return sink(refusal.owner(record.name)),
        }
    }
    if next as usize != len {
        sink(refusal.owner(tables.partitions.last().map(|record| record.name).unwrap_or_default()));
    }
}

/// A name is 1 to 16 characters that cannot confuse a console or a shell.
pub(super) fn is_plain(name: &Name) -> bool {
    let plain = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    let len = name.iter().take_while(|byte| plain(byte)).count();
    len != 0 && name.iter().skip(len).all(|byte| *byte == 0)
}

/// Names are plain, and none is the hypervisor's.
pub(super) fn names_are_plain(tables: &Tables, sink: Sink) {
    for record in tables.partitions {
        if !is_plain(&record.name) {
            sink(Refusal::new(Rule::BadName).what(record.name));
        }
        if record.name == label(OWN_NAME) {
            sink(Refusal::new(Rule::ReservedName).owner(record.name));
        }
    }
}

/// No two partitions have the same name.
pub(super) fn names_are_unique(tables: &Tables, sink: Sink) {
    for (later, earlier) in pairs(tables.partitions) {
        if later.name == earlier.name {
            sink(Refusal::new(Rule::NameTwice).owner(later.name));
        }
    }
}

/// A partition has at least one CPU and at most as many as the platform shows.
pub(super) fn cpus_are_some_but_not_too_many(tables: &Tables, sink: Sink) {
    for partition in tables.iter() {
        let count = partition.cpus().len();
        let refusal = |rule| Refusal::new(rule).owner(partition.record.name);
        if count == 0 {
            sink(refusal(Rule::NoCpu));
        }
        if count > VCPUS_PER_PARTITION {
            sink(refusal(Rule::ManyCpus).numbers(count as u64, VCPUS_PER_PARTITION as u64));
        }
    }
}

/// A CPU runs one vCPU.
pub(super) fn a_cpu_has_one_owner(tables: &Tables, sink: Sink) {
    for partition in tables.iter() {
        let owner = Refusal::new(Rule::CpuTwice).owner(partition.record.name);
        for other in tables.iter().take(partition.index) {
            for cpu in partition.cpus() {
                if other.cpus().iter().any(|taken| taken.cpu == cpu.cpu) {
                    sink(owner.other(other.record.name).numbers(cpu.cpu.get().into(), 0));
                }
            }
        }
        for (later, earlier) in pairs(partition.cpus()) {
            if later.cpu == earlier.cpu {
                sink(
                    Refusal { rule: Rule::CpuRepeated, ..owner }.numbers(later.cpu.get().into(), 0),
                );
            }
        }
    }
}
