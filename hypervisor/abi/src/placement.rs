// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where memory lies in the machine: one pure function, run by `xtask` on the
//! board's known map and by the kernel on the one that the firmware reports.
//!
//! Pinned requests come first, then the largest. A request of 2 MiB or more
//! gets a host address congruent to its guest address modulo 2 MiB, one of
//! 1 GiB modulo 1 GiB while such room is left, so that stage 2 uses blocks.
//! What was placed is disjoint, in RAM, and beside everything reserved.

use crate::bundle::{Tables, label};
use crate::mailbox::ring::MEMORY_LEN;
use crate::range::{BLOCK_1G, BLOCK_2M, PAGE, Range};
use crate::records::{Name, PLACE_AT_BOOT, PartitionFlags};
use crate::refusal::{Refusal, Rule};

/// Addresses that are not for partitions, and whose they are.
#[derive(Clone, Copy, Debug)]
pub struct Reserved {
    /// Who keeps them.
    pub owner: Name,
    /// Which they are.
    pub range: Range,
}

impl Reserved {
    /// Keeps a range for somebody, named in at most 16 characters.
    #[must_use]
    pub fn new(owner: &str, start: u64, size: u64) -> Self {
        Self { owner: label(owner), range: Range::new(start, size) }
    }
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A partition's RAM.
    Memory,
    /// A partition's read-only flash.
    Flash,
    /// A channel's shared memory.
    Channel,
    /// The memory of a partition's mailbox.
    Mailbox,
}

/// Memory that somebody needs.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// The partition or the channel.
    pub owner: Name,
    /// What for.
    pub purpose: Purpose,
    /// Row of the partition or of the channel.
    pub row: usize,
    /// Guest address that the host address should be congruent to.
    pub guest: u64,
    /// Bytes.
    pub size: u64,
    /// The pinned host address or [`PLACE_AT_BOOT`]; the address found, after [`place`].
    pub host: u64,
}

impl Request {
    /// The host range, once placed.
    #[must_use]
    pub const fn range(&self) -> Option<Range> {
        if self.host == PLACE_AT_BOOT { None } else { Some(Range::new(self.host, self.size)) }
    }

    /// No room for it.
    fn refused(&self) -> Refusal {
        let what = match self.purpose {
            Purpose::Memory => "memory of",
            Purpose::Flash => "flash of",
            Purpose::Channel => "channel",
            Purpose::Mailbox => "mailbox of",
        };
        Refusal::new(Rule::NoRoom).what(label(what)).owner(self.owner).numbers(self.size, 0)
    }
}

/// All that a bundle asks for, partitions first, each memory before its flash.
pub fn requests(tables: &Tables, ask: &mut dyn FnMut(Request)) {
    let mut ask = |request: Request| {
        if request.size != 0 {
            ask(request);
        }
    };
    for partition in tables.iter() {
        let (owner, row, memory) = (partition.record.name, partition.index, partition.memory());
        let ram = Request {
            owner,
            purpose: Purpose::Memory,
            row,
            guest: memory.start,
            size: memory.size,
            host: partition.record.memory_host.get(),
        };
        ask(ram);
        ask(Request {
            purpose: Purpose::Flash,
            guest: tables.platform.flash.start,
            size: partition.record.rom_size.get(),
            host: PLACE_AT_BOOT,
            ..ram
        });
        if partition.flags().contains(PartitionFlags::MAILBOX) {
            ask(Request {
                purpose: Purpose::Mailbox,
                guest: tables.platform.mailbox.memory,
                size: MEMORY_LEN.into(),
                host: PLACE_AT_BOOT,
                ..ram
            });
        }
    }
    for (row, channel) in tables.channels.iter().enumerate() {
        ask(Request {
            owner: channel.name,
            purpose: Purpose::Channel,
            row,
            guest: 0,
            size: channel.size.get(),
            host: PLACE_AT_BOOT,
        });
    }
}

/// Gives every request a host address.
///
/// # Errors
/// The first request that lies outside RAM, on something reserved, or finds no room.
pub fn place(
    ram: &[Range],
    reserved: &[Reserved],
    requests: &mut [Request],
) -> Result<(), Refusal> {
    for request in requests.iter() {
        if let Some(range) = request.range() {
            check_pinned(ram, reserved, request, range)?;
        }
    }
    while let Some(row) = largest(requests) {
        let Some(request) = requests.get(row).copied() else { break };
        let host = find(ram, reserved, requests, &request).ok_or_else(|| request.refused())?;
        if let Some(placed) = requests.get_mut(row) {
            placed.host = host;
        }
    }
    Ok(())
}

/// A pinned request lies in RAM and beside everything reserved; that pinned ones are disjoint is a rule of the bundle.
fn check_pinned(
    ram: &[Range],
    reserved: &[Reserved],
    request: &Request,
    range: Range,
) -> Result<(), Refusal> {
    let refusal = |rule| Refusal::new(rule).owner(request.owner).numbers(range.size, range.start);
    if !ram.iter().any(|ram| ram.contains(range)) {
        return Err(refusal(Rule::PinnedOutside));
    }
    match reserved.iter().find(|reserved| reserved.range.overlaps(range)) {
        Some(reserved) => Err(refusal(Rule::PinnedReserved).other(reserved.owner)),
        None => Ok(()),
    }
}

/// Row of the largest request without an address, the first among equals.
fn largest(requests: &[Request]) -> Option<usize> {
    let open = requests.iter().enumerate().filter(|(_, request)| request.host == PLACE_AT_BOOT);
    open.rev().max_by_key(|(_, request)| request.size).map(|(row, _)| row)
}

/// The lowest free address for a request, with its guest address's offset in the largest block that helps.
fn find(
    ram: &[Range],
    reserved: &[Reserved],
    requests: &[Request],
    request: &Request,
) -> Option<u64> {
    let blocks: &[u64] = match request.size {
        BLOCK_1G.. => &[BLOCK_1G, BLOCK_2M],
        BLOCK_2M.. => &[BLOCK_2M],
        _ => &[PAGE],
    };
    blocks.iter().find_map(|block| {
        ram.iter().filter_map(|ram| first_fit(*ram, *block, reserved, requests, request)).min()
    })
}

/// The lowest free address in one range of RAM.
fn first_fit(
    ram: Range,
    block: u64,
    reserved: &[Reserved],
    requests: &[Request],
    request: &Request,
) -> Option<u64> {
    let mut start = congruent(ram.start, request.guest, block)?;
    loop {
        let wanted = Range::new(start, request.size);
        if !ram.contains(wanted) {
            return None;
        }
        let taken = reserved.iter().map(|reserved| reserved.range);
        let mut taken = taken.chain(requests.iter().filter_map(Request::range));
        match taken.find(|range| range.overlaps(wanted)) {
            Some(range) => start = congruent(range.end(), request.guest, block)?,
            None => return Some(start),
        }
    }
}

/// The first address from `start` with the same offset in a block as `guest` has.
const fn congruent(start: u64, guest: u64, block: u64) -> Option<u64> {
    let mask = block.wrapping_sub(1);
    start.checked_add(guest.wrapping_sub(start) & mask)
}

const _: () = {
    // The offset in the block is kept, and nothing moves down.
    assert!(matches!(congruent(0x4020_0000, 0x4000_0000, BLOCK_2M), Some(0x4020_0000)));
    assert!(matches!(congruent(0x4020_1000, 0x4000_0000, BLOCK_2M), Some(0x4040_0000)));
    assert!(matches!(congruent(0x4020_0000, 0x4000_0000, BLOCK_1G), Some(0x8000_0000)));
    assert!(congruent(u64::MAX, 0, PAGE).is_none());
};
