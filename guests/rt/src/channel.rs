// SPDX-License-Identifier: MIT OR Apache-2.0
//! Channels: memory shared with one other partition, and a doorbell. The
//! platform's description says where ([`crate::facts`]);
//! [`abi::platform::channel`] has the registers.
//!
//! Each side owns one record, at `position * 0x800` in the shared memory, of
//! eight aligned little-endian 64-bit words, and reads the other side's:
//!
//! ```text
//! 0 kind (eight ASCII bytes)   1 sequence, odd while being written   2..8 values
//! ```

use crate::machine::{Registers, barrier};
use abi::platform::{self, channel};
use arrayvec::ArrayVec;

/// Bytes between the two sides' records.
const RECORD_STRIDE: u64 = 0x800;
/// Offset of the sequence word.
const SEQUENCE: u64 = 8;
/// Offset of the first value.
const VALUES: u64 = 16;
/// Values in a record.
pub const VALUE_COUNT: usize = 6;
/// Times a reader tries again when the writer is at work.
const ATTEMPTS: usize = 100;

/// All channels of a partition.
pub type Channels = ArrayVec<Channel, { platform::CHANNELS_PER_PARTITION }>;

/// A record's values.
pub type Values = [u64; VALUE_COUNT];

/// Kind of the driver's record: heartbeat, seconds since 1970, lateness in microseconds.
pub const RTC_TIME: u64 = u64::from_le_bytes(*b"rtc-time");
/// Kind of the serial driver's record: heartbeat, bytes sent, interrupts taken, lateness in microseconds.
pub const SERIAL_COUNTS: u64 = u64::from_le_bytes(*b"serial  ");
/// Kind of the RTOS's record: heartbeat, ticks, worst lateness in microseconds, items
/// through the queue, rings from peers, seconds since 1970 as the driver told them.
pub const RTOS_TELEMETRY: u64 = u64::from_le_bytes(*b"freertos");

/// One end of a channel.
#[derive(Clone, Copy, Debug)]
pub struct Channel {
    name: &'static str,
    registers: Registers,
    memory: Registers,
    intid: u32,
}

impl Channel {
    pub(crate) fn new(
        name: &'static str,
        registers: Registers,
        memory: Registers,
        intid: u32,
    ) -> Channel {
        Channel { name, registers, memory, intid }
    }

    /// Name in the manifest.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// INTID of the bell that the peer rings; an edge.
    #[must_use]
    pub fn intid(&self) -> u32 {
        self.intid
    }

    /// The register page.
    #[must_use]
    pub fn registers(&self) -> Registers {
        self.registers
    }

    /// The shared memory.
    #[must_use]
    pub fn memory(&self) -> Registers {
        self.memory
    }

    /// This side's number, 0 or 1.
    #[must_use]
    pub fn position(&self) -> u32 {
        self.registers.read32(channel::POSITION) & 1
    }

    /// Rings the peer's bell.
    pub fn ring(&self) {
        self.registers.write32(channel::DOORBELL, (self.position() ^ 1) << 16);
    }

    /// Whether the peer rang since the last call.
    #[must_use]
    pub fn take_ring(&self) -> bool {
        self.registers.read32(channel::STATUS) & 1 != 0
    }

    /// Publishes this side's record and rings the bell.
    pub fn publish(&self, kind: u64, values: &Values) {
        let base = u64::from(self.position()) * RECORD_STRIDE;
        let sequence = self.memory.read64(base + SEQUENCE) | 1;
        self.memory.write64(base + SEQUENCE, sequence);
        barrier();
        self.memory.write64(base, kind);
        for (offset, value) in (base + VALUES..).step_by(8).zip(values) {
            self.memory.write64(offset, *value);
        }
        barrier();
        self.memory.write64(base + SEQUENCE, sequence.wrapping_add(1));
        barrier();
        self.ring();
    }

    /// The peer's record, if it is whole and of this kind.
    #[must_use]
    pub fn read(&self, kind: u64) -> Option<Values> {
        let base = u64::from(self.position() ^ 1) * RECORD_STRIDE;
        (0..ATTEMPTS).find_map(|_| self.read_once(base, kind))
    }

    fn read_once(&self, base: u64, kind: u64) -> Option<Values> {
        let before = self.memory.read64(base + SEQUENCE);
        barrier();
        let mut values = Values::default();
        for (offset, value) in (base + VALUES..).step_by(8).zip(&mut values) {
            *value = self.memory.read64(offset);
        }
        let found = self.memory.read64(base);
        barrier();
        let whole = before & 1 == 0 && before == self.memory.read64(base + SEQUENCE);
        (whole && found == kind).then_some(values)
    }
}
