// SPDX-License-Identifier: MIT OR Apache-2.0
//! The 8254 interval timer, and port 0x61, which gates its third channel and
//! shows that channel's output: what guests calibrate their clocks with.
//!
//! A channel remembers when it was loaded; count and output follow from the
//! time. A new count starts at once, in every mode. The first channel's rising
//! edges are interrupts; those that nobody asked about in time become one.
//! Intel 82C54 data sheet, "Mode Definitions", "Read Operations".

use super::rate::Rate;

/// Counts in a second.
const HZ: u64 = 1_193_182;
/// Access to a count: both bytes, the low one first.
const BOTH: u8 = 3;

/// One channel.
#[derive(Clone, Copy, Debug)]
struct Channel {
    /// From 1 to 65,536.
    count: u32,
    /// When it was loaded or triggered, in counts of [`HZ`].
    start: u64,
    /// Rising edges since then that were told.
    edges: u64,
    /// What has passed since the start, while it stands still.
    stopped: Option<u64>,
    mode: u8,
    access: u8,
    decimal: bool,
    gate: bool,
    /// A count was written since the mode was.
    loaded: bool,
    /// The low byte of a count whose high byte is still to be written.
    low: Option<u8>,
    /// The high byte is read next.
    high_next: bool,
    latched: Option<u16>,
    status: Option<u8>,
}

impl Channel {
    const fn new(gate: bool) -> Self {
        Self {
            count: 0x1_0000,
            start: 0,
            edges: 0,
            stopped: None,
            mode: 0,
            access: BOTH,
            decimal: false,
            gate,
            loaded: false,
            low: None,
            high_next: false,
            latched: None,
            status: None,
        }
    }

    /// Modes 2 and 3 begin again by themselves.
    const fn repeats(&self) -> bool {
        matches!(self.mode, 2 | 3)
    }

    /// Modes 1 and 5 begin when the gate rises.
    const fn is_triggered(&self) -> bool {
        matches!(self.mode, 1 | 5)
    }

    /// Counts since it was loaded.
    fn passed(&self, time: u64) -> u64 {
        self.stopped.unwrap_or_else(|| time.saturating_sub(self.start))
    }

    /// Counts since its cycle began.
    fn phase(&self, time: u64) -> u64 {
        self.passed(time).checked_rem(self.count.into()).unwrap_or(0)
    }

    /// What the counter holds.
    fn value(&self, time: u64) -> u16 {
        let count = u64::from(self.count);
        let left = match self.mode {
            2 => count.wrapping_sub(self.phase(time)),
            // Counts by two, through each half of the cycle.
            3 => count.wrapping_sub(
                self.phase(time).wrapping_mul(2).checked_rem(count).unwrap_or(0) & !1,
            ),
            _ => count.wrapping_sub(self.passed(time)),
        };
        let binary = (left & 0xffff) as u16;
        if self.decimal { to_decimal(binary) } else { binary }
    }

    /// The level of its output.
    fn output(&self, time: u64) -> bool {
        if !self.loaded {
            return self.mode != 0;
        }
        let (passed, count) = (self.passed(time), u64::from(self.count));
        match self.mode {
            0 | 1 => passed >= count,
            2 => !self.gate || self.phase(time) != count.wrapping_sub(1),
            3 => !self.gate || self.phase(time) < count.wrapping_add(1) >> 1,
            _ => passed != count,
        }
    }

    /// Rising edges since it was loaded.
    fn risen(&self, time: u64) -> u64 {
        let (passed, count) = (self.passed(time), u64::from(self.count));
        match self.mode {
            _ if !self.loaded => 0,
            2 | 3 => passed.checked_div(count).unwrap_or(0),
            4 | 5 => u64::from(passed > count),
            _ => u64::from(passed >= count),
        }
    }

    /// Whether its output rose since the last call.
    fn take_edge(&mut self, time: u64) -> bool {
        let risen = self.risen(time);
        let new = risen > self.edges;
        self.edges = risen;
        new
    }

    /// Counts until its output rises next.
    fn next_edge(&self, time: u64) -> Option<u64> {
        if !self.loaded || self.stopped.is_some() || self.edges > 0 && !self.repeats() {
            return None;
        }
        let count = u64::from(self.count);
        let at = self.edges.wrapping_add(1).wrapping_mul(count);
        let strobe = u64::from(self.mode >= 4);
        Some(at.wrapping_add(strobe).saturating_sub(self.passed(time)))
    }

    fn load(&mut self, written: u16, time: u64) {
        let binary = if self.decimal { from_decimal(written) } else { u32::from(written) };
        self.count = match (binary, self.decimal) {
            (0, true) => 10_000,
            (0, false) => 0x1_0000,
            // Modes 2 and 3 do not know a count of one.
            (1, _) if self.repeats() => 2,
            (count, _) => count,
        };
        self.loaded = true;
        self.begin(time);
        if self.is_triggered() {
            // Waits behind its end for the gate to rise.
            self.stopped = Some(u64::from(self.count).wrapping_add(1));
            self.edges = 1;
        } else if !self.gate {
            self.stopped = Some(0);
        }
    }

    const fn begin(&mut self, time: u64) {
        self.start = time;
        self.edges = 0;
        self.stopped = None;
    }

    fn set_gate(&mut self, gate: bool, time: u64) {
        if gate == self.gate {
            return;
        }
        if !gate && !self.is_triggered() {
            self.stopped = Some(self.passed(time));
        } else if gate && (self.is_triggered() || self.repeats()) {
            self.begin(time);
        } else if gate && let Some(passed) = self.stopped.take() {
            self.start = time.saturating_sub(passed);
        }
        self.gate = gate;
    }

    fn write(&mut self, byte: u8, time: u64) {
        match (self.access, self.low.take()) {
            (1, _) => self.load(byte.into(), time),
            (2, _) => self.load(u16::from(byte) << 8, time),
            (_, None) => {
                self.low = Some(byte);
                // In mode 0 the first byte stops the count.
                if self.mode == 0 {
                    self.loaded = false;
                }
            }
            (_, Some(low)) => self.load(u16::from_le_bytes([low, byte]), time),
        }
    }

    fn read(&mut self, time: u64) -> u8 {
        if let Some(status) = self.status.take() {
            return status;
        }
        let [low, high] = self.latched.unwrap_or_else(|| self.value(time)).to_le_bytes();
        let high_now = self.access == 2 || self.access == BOTH && self.high_next;
        self.high_next = self.access == BOTH && !high_now;
        if !self.high_next {
            self.latched = None;
        }
        if high_now { high } else { low }
    }

    /// Mode, access and form of its counts are set; it stands still until a count is written.
    const fn control(&mut self, word: u8) {
        let mode = word >> 1 & 7;
        let gate = self.gate;
        *self = Self::new(gate);
        // 6 and 7 are 2 and 3.
        self.mode = if mode > 5 { mode & 3 } else { mode };
        self.access = word >> 4 & 3;
        self.decimal = word & 1 != 0;
    }

    fn latch_count(&mut self, time: u64) {
        if self.latched.is_none() {
            self.latched = Some(self.value(time));
        }
    }

    fn latch_status(&mut self, time: u64) {
        let output = u8::from(self.output(time)) << 7;
        let empty = u8::from(!self.loaded) << 6;
        let form = self.access << 4 | self.mode << 1 | u8::from(self.decimal);
        self.status = self.status.or(Some(output | empty | form));
    }
}

/// The three channels and port 0x61.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pit {
    rate: Rate,
    channels: [Channel; 3],
    speaker: bool,
}

impl Pit {
    pub(super) const fn new(tsc_hz: u64) -> Self {
        Self {
            rate: Rate::new(HZ, tsc_hz),
            channels: [Channel::new(true), Channel::new(true), Channel::new(false)],
            speaker: false,
        }
    }

    pub(super) const fn reset(&mut self) {
        self.channels = [Channel::new(true), Channel::new(true), Channel::new(false)];
        self.speaker = false;
    }

    /// Reads port 0x40 to 0x43.
    pub(super) fn read(&mut self, port: u16, now: u64) -> u8 {
        let time = self.rate.count(now);
        self.channels.get_mut(usize::from(port & 3)).map_or(0xff, |channel| channel.read(time))
    }

    /// Writes port 0x40 to 0x43.
    pub(super) fn write(&mut self, port: u16, byte: u8, now: u64) {
        let time = self.rate.count(now);
        match self.channels.get_mut(usize::from(port & 3)) {
            Some(channel) => channel.write(byte, time),
            None => self.command(byte, time),
        }
    }

    fn command(&mut self, byte: u8, time: u64) {
        match self.channels.get_mut(usize::from(byte >> 6)) {
            Some(channel) if byte & 0x30 == 0 => channel.latch_count(time),
            Some(channel) => channel.control(byte),
            None => {
                // Read-back: what is not to be latched is a one.
                for (n, channel) in self.channels.iter_mut().enumerate() {
                    let chosen = byte >> (n & 3) & 2 != 0;
                    if chosen && byte & 0x20 == 0 {
                        channel.latch_count(time);
                    }
                    if chosen && byte & 0x10 == 0 {
                        channel.latch_status(time);
                    }
                }
            }
        }
    }

    /// Reads port 0x61: gate, speaker, the refresh clock and the third channel's output.
    pub(super) fn read_gate(&self, now: u64) -> u8 {
        let time = self.rate.count(now);
        let third = &self.channels[2];
        let refresh = (time & 0x10) as u8;
        u8::from(third.gate)
            | u8::from(self.speaker) << 1
            | refresh
            | u8::from(third.output(time)) << 5
    }

    /// Writes port 0x61.
    pub(super) fn write_gate(&mut self, byte: u8, now: u64) {
        let time = self.rate.count(now);
        self.channels[2].set_gate(byte & 1 != 0, time);
        self.speaker = byte & 2 != 0;
    }

    /// Whether the first channel's output rose since the last call.
    #[inline]
    pub(super) fn take_edge(&mut self, now: u64) -> bool {
        let time = self.rate.count(now);
        self.channels[0].take_edge(time)
    }

    /// When it rises next.
    #[inline]
    pub(super) fn next_edge(&self, now: u64) -> Option<u64> {
        let counts = self.channels[0].next_edge(self.rate.count(now))?;
        Some(now.saturating_add(self.rate.wait(counts)))
    }
}

/// The number of four decimal digits; digits above nine count as what they are.
fn from_decimal(digits: u16) -> u32 {
    let mut number = 0u32;
    for place in [12, 8, 4, 0] {
        number = number.wrapping_mul(10).wrapping_add(u32::from(digits >> place & 15));
    }
    number
}

/// Four decimal digits.
const fn to_decimal(number: u16) -> u16 {
    (number / 1000 % 10) << 12 | (number / 100 % 10) << 8 | (number / 10 % 10) << 4 | (number % 10)
}
