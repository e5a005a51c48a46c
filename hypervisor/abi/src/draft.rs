// SPDX-License-Identifier: MIT OR Apache-2.0
//! The writer of bundles: tables on a heap that become the bytes which
//! [`crate::bundle::Bundle::open`] reads. It checks nothing: the reader does.

use alloc::vec::Vec;

use zerocopy::{Immutable, IntoBytes};

use crate::bundle::Tables;
use crate::crc32c;
use crate::layout;
use crate::platform::Platform;
use crate::records::{
    ChannelRecord, CpuRecord, DeviceRecord, FORMAT, Header, MAGIC, Name, PartitionRecord,
    SegmentRecord, Span, Table, U32, U64,
};

/// Alignment of a segment's bytes in the bundle.
const SEGMENT_ALIGN: usize = 64;

/// A bundle in the making.
#[derive(Clone, Debug)]
pub struct Draft {
    /// What the guests see.
    pub platform: &'static Platform,
    /// Name of the board.
    pub board: Name,
    /// Partitions; their spans are kept by [`Draft::add`].
    pub partitions: Vec<PartitionRecord>,
    /// CPUs of all partitions.
    pub cpus: Vec<CpuRecord>,
    /// Segments of all partitions; their offsets are set by [`Draft::write`].
    pub segments: Vec<SegmentRecord>,
    /// Devices of all partitions.
    pub devices: Vec<DeviceRecord>,
    /// Channels.
    pub channels: Vec<ChannelRecord>,
    /// The UART on which the host is answered.
    pub management: DeviceRecord,
    /// Bytes of each segment.
    pub payload: Vec<Vec<u8>>,
}

impl Draft {
    /// An empty one for a board whose guests see a platform.
    #[must_use]
    pub fn new(board: Name, platform: &'static Platform) -> Self {
        Self {
            platform,
            board,
            partitions: Vec::new(),
            cpus: Vec::new(),
            segments: Vec::new(),
            devices: Vec::new(),
            channels: Vec::new(),
            management: DeviceRecord::default(),
            payload: Vec::new(),
        }
    }

    /// Adds a partition with its rows; a segment is a guest address and bytes.
    pub fn add(
        &mut self,
        record: PartitionRecord,
        cpus: &[u32],
        segments: Vec<(u64, Vec<u8>)>,
        devices: &[DeviceRecord],
    ) {
        let span = |first: usize, count: usize| Span { first: narrow(first), count: narrow(count) };
        self.partitions.push(PartitionRecord {
            cpus: span(self.cpus.len(), cpus.len()),
            segments: span(self.segments.len(), segments.len()),
            devices: span(self.devices.len(), devices.len()),
            ..record
        });
        self.cpus.extend(cpus.iter().map(|cpu| CpuRecord { cpu: U32::from(*cpu) }));
        self.devices.extend_from_slice(devices);
        for (guest, bytes) in segments {
            let len = U64::from(bytes.len() as u64);
            self.segments.push(SegmentRecord {
                offset: U64::from(0),
                len,
                guest: U64::from(guest),
            });
            self.payload.push(bytes);
        }
    }

    /// The tables, for the rules.
    #[must_use]
    pub fn tables(&self) -> Tables<'_> {
        Tables {
            platform: self.platform,
            partitions: &self.partitions,
            cpus: &self.cpus,
            segments: &self.segments,
            devices: &self.devices,
            channels: &self.channels,
        }
    }

    /// The bundle's bytes, with its checksum.
    #[must_use]
    pub fn write(mut self) -> Vec<u8> {
        let tables_len = size_of_val(self.partitions.as_slice())
            .saturating_add(size_of_val(self.cpus.as_slice()))
            .saturating_add(size_of_val(self.segments.as_slice()))
            .saturating_add(size_of_val(self.devices.as_slice()))
            .saturating_add(size_of_val(self.channels.as_slice()));
        let mut end = size_of::<Header>().saturating_add(tables_len);
        for (segment, bytes) in self.segments.iter_mut().zip(&self.payload) {
            let offset = end.next_multiple_of(SEGMENT_ALIGN);
            segment.offset = U64::from(offset as u64);
            end = offset.saturating_add(bytes.len());
        }
        let mut out = Vec::with_capacity(end);
        out.resize(size_of::<Header>(), 0);
        let header = Header {
            magic: MAGIC,
            format: U32::from(FORMAT),
            crc: U32::from(0),
            layout: U64::from(layout::HASH),
            total_len: U64::from(end as u64),
            arch: self.platform.arch,
            board: self.board,
            partitions: append(&mut out, &self.partitions),
            segments: append(&mut out, &self.segments),
            devices: append(&mut out, &self.devices),
            channels: append(&mut out, &self.channels),
            // Last: its rows are shorter than the alignment of the others.
            cpus: append(&mut out, &self.cpus),
            management: self.management,
            signature: [0; 96],
        };
        for bytes in &self.payload {
            out.resize(out.len().next_multiple_of(SEGMENT_ALIGN), 0);
            out.extend_from_slice(bytes);
        }
        overwrite(&mut out, &header);
        let crc = U32::from(crc32c::of_bundle(&out, crc32c::software));
        overwrite(&mut out, &Header { crc, ..header });
        out
    }
}

/// Counts are bounded far below; the reader refuses what is not.
fn narrow(count: usize) -> U32 {
    U32::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn append<T: IntoBytes + Immutable>(out: &mut Vec<u8>, rows: &[T]) -> Table {
    let table = Table { offset: narrow(out.len()), count: narrow(rows.len()) };
    out.extend_from_slice(rows.as_bytes());
    table
}

fn overwrite(out: &mut [u8], header: &Header) {
    if let Some(place) = out.get_mut(..size_of::<Header>()) {
        place.copy_from_slice(header.as_bytes());
    }
}
