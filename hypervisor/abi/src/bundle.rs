// SPDX-License-Identifier: MIT OR Apache-2.0
//! A bundle that was checked: the only way to the manifest in flash.
//!
//! [`Bundle::open`] looks at the bytes as they are, copies nothing and refuses
//! what is damaged, from another build, or against a rule. Whoever holds a
//! [`Bundle`] may rely on every rule in [`crate::rules`].

use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::crc32c::{self, Step};
use crate::layout;
use crate::platform::Platform;
use crate::range::Range;
use crate::records::{
    ALIGN, ChannelRecord, CpuRecord, DeviceRecord, FORMAT, Header, MAGIC, NAME_LEN, Name,
    PartitionFlags, PartitionRecord, SegmentRecord, Span, Table, name, text,
};
use crate::refusal::{Refusal, Rule};
use crate::rules;

/// The tables of a bundle, in flash or about to be written.
#[derive(Clone, Copy, Debug)]
pub struct Tables<'a> {
    /// What the guests see.
    pub platform: &'a Platform,
    /// Partitions.
    pub partitions: &'a [PartitionRecord],
    /// CPUs of all partitions.
    pub cpus: &'a [CpuRecord],
    /// Segments of all partitions.
    pub segments: &'a [SegmentRecord],
    /// Devices of all partitions.
    pub devices: &'a [DeviceRecord],
    /// Channels.
    pub channels: &'a [ChannelRecord],
}

impl<'a> Tables<'a> {
    /// All partitions.
    pub fn iter(self) -> impl Iterator<Item = Partition<'a>> + Clone {
        self.partitions.iter().enumerate().map(move |(index, record)| Partition {
            index,
            record,
            tables: self,
        })
    }

    /// The partition in a row.
    #[must_use]
    pub fn partition(self, index: usize) -> Option<Partition<'a>> {
        Some(Partition { index, record: self.partitions.get(index)?, tables: self })
    }
}

/// The rows of a span; none if it leaves the table.
fn rows<T>(table: &[T], span: Span) -> &[T] {
    let first = span.first.get() as usize;
    let count = span.count.get() as usize;
    first.checked_add(count).and_then(|end| table.get(first..end)).unwrap_or(&[])
}

/// One partition and its rows in every table.
#[derive(Clone, Copy, Debug)]
pub struct Partition<'a> {
    /// Row in the partitions table.
    pub index: usize,
    /// Its record.
    pub record: &'a PartitionRecord,
    tables: Tables<'a>,
}

impl<'a> Partition<'a> {
    /// Its name as text.
    #[must_use]
    pub fn name(&self) -> &'a str {
        text(&self.record.name)
    }

    /// Its options; unknown bits are dropped.
    #[must_use]
    pub fn flags(&self) -> PartitionFlags {
        PartitionFlags::from_bits_truncate(self.record.flags.get())
    }

    /// Its RAM in guest addresses.
    #[must_use]
    pub fn memory(&self) -> Range {
        Range::new(self.record.memory_guest.get(), self.record.memory_size.get())
    }

    /// The CPUs of its vCPUs, in order.
    #[must_use]
    pub fn cpus(&self) -> &'a [CpuRecord] {
        rows(self.tables.cpus, self.record.cpus)
    }

    /// What is copied before it starts.
    #[must_use]
    pub fn segments(&self) -> &'a [SegmentRecord] {
        rows(self.tables.segments, self.record.segments)
    }

    /// Its devices.
    #[must_use]
    pub fn devices(&self) -> &'a [DeviceRecord] {
        rows(self.tables.devices, self.record.devices)
    }

    /// Its channels, each with the side (0 or 1) that this partition is.
    pub fn channels(&self) -> impl Iterator<Item = (&'a ChannelRecord, usize)> + use<'a> {
        let index = self.index;
        self.tables.channels.iter().flat_map(move |channel| {
            let ends = channel.ends.iter().enumerate();
            ends.filter(move |(_, end)| end.partition.get() as usize == index)
                .map(move |(side, _)| (channel, side))
        })
    }
}

/// Bytes to copy to a guest address.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// First guest address.
    pub guest: u64,
    /// What to copy.
    pub bytes: &'a [u8],
}

/// A checked bundle.
#[derive(Clone, Copy, Debug)]
pub struct Bundle<'a> {
    bytes: &'a [u8],
    header: &'a Header,
    tables: Tables<'a>,
}

impl<'a> Bundle<'a> {
    /// Checks the bytes, from the header's first to the payload's last, for guests
    /// on a platform. They lie at a multiple of [`ALIGN`].
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn open(bytes: &'a [u8], step: Step, platform: &'a Platform) -> Result<Self, Refusal> {
        if !bytes.as_ptr().addr().is_multiple_of(ALIGN) {
            return Err(
                Refusal::new(Rule::Align).numbers(bytes.as_ptr().addr() as u64, ALIGN as u64)
            );
        }
        let (header, _) = Header::ref_from_prefix(bytes).map_err(|_| Refusal::new(Rule::Short))?;
        check_header(bytes, header, step)?;
        if header.arch != platform.arch {
            return Err(Refusal::new(Rule::Arch).what(header.arch).other(platform.arch));
        }
        let tables = Tables {
            platform,
            partitions: table(bytes, header.partitions, "partitions")?,
            cpus: table(bytes, header.cpus, "cpus")?,
            segments: table(bytes, header.segments, "segments")?,
            devices: table(bytes, header.devices, "devices")?,
            channels: table(bytes, header.channels, "channels")?,
        };
        let bundle = Self { bytes, header, tables };
        bundle.check_payload()?;
        rules::first(&tables)?;
        Ok(bundle)
    }

    /// Name of the board that the manifest was written for.
    #[must_use]
    pub fn board(&self) -> &'a str {
        text(&self.header.board)
    }

    /// The UART on which the host is answered, if it has one of its own.
    #[must_use]
    pub fn management(&self) -> Option<&'a DeviceRecord> {
        let device = &self.header.management;
        (device.size.get() != 0 || device.ports.get() != 0).then_some(device)
    }

    /// The tables.
    #[must_use]
    pub const fn tables(&self) -> Tables<'a> {
        self.tables
    }

    /// All partitions.
    pub fn partitions(&self) -> impl Iterator<Item = Partition<'a>> + Clone {
        self.tables.iter()
    }

    /// All channels.
    #[must_use]
    pub const fn channels(&self) -> &'a [ChannelRecord] {
        self.tables.channels
    }

    /// What is copied before a partition starts, with its bytes.
    pub fn segments(
        &self,
        partition: &Partition<'a>,
    ) -> impl Iterator<Item = Segment<'a>> + use<'a> {
        let bytes = self.bytes;
        partition.segments().iter().filter_map(move |record| {
            payload(bytes, record).map(|bytes| Segment { guest: record.guest.get(), bytes })
        })
    }

    /// Every segment's bytes lie in the bundle.
    fn check_payload(&self) -> Result<(), Refusal> {
        for partition in self.partitions() {
            for record in partition.segments() {
                let aligned = record.offset.get().is_multiple_of(64);
                if !aligned || payload(self.bytes, record).is_none() {
                    return Err(Refusal::new(Rule::Payload).owner(partition.record.name));
                }
            }
        }
        Ok(())
    }
}

/// The header is ours and the bytes are whole.
fn check_header(bytes: &[u8], header: &Header, step: Step) -> Result<(), Refusal> {
    if header.magic != MAGIC {
        return Err(Refusal::new(Rule::Magic));
    }
    if header.format.get() != FORMAT {
        return Err(Refusal::new(Rule::Format).numbers(header.format.get().into(), FORMAT.into()));
    }
    if header.layout.get() != layout::HASH {
        return Err(Refusal::new(Rule::Layout));
    }
    let (found, told) = (bytes.len() as u64, header.total_len.get());
    if found != told {
        return Err(Refusal::new(Rule::Length).numbers(found, told));
    }
    let (found, told) = (crc32c::of_bundle(bytes, step), header.crc.get());
    if found != told {
        return Err(Refusal::new(Rule::Checksum).numbers(found.into(), told.into()));
    }
    Ok(())
}

/// The rows of a table, if it lies in the bundle.
fn table<'a, T>(bytes: &'a [u8], table: Table, what: &str) -> Result<&'a [T], Refusal>
where
    T: FromBytes + Immutable + KnownLayout,
{
    let rest = bytes.get(table.offset.get() as usize..);
    rest.and_then(|rest| <[T]>::ref_from_prefix_with_elems(rest, table.count.get() as usize).ok())
        .map(|(rows, _)| rows)
        .ok_or_else(|| Refusal::new(Rule::Table).what(label(what)))
}

/// The bytes of a segment, if they lie in the bundle.
fn payload<'a>(bytes: &'a [u8], record: &SegmentRecord) -> Option<&'a [u8]> {
    let start = usize::try_from(record.offset.get()).ok()?;
    let len = usize::try_from(record.len.get()).ok()?;
    bytes.get(start..start.checked_add(len)?)
}

/// A name for a refusal from a short text.
#[must_use]
pub const fn label(text: &str) -> Name {
    match name(text) {
        Some(name) => name,
        None => [0; NAME_LEN],
    }
}
