// SPDX-License-Identifier: MIT OR Apache-2.0
//! The PL031 real-time clock: a counter of seconds and one match register.
//! Manual: PrimeCell Real Time Clock (PL031) TRM, "Register descriptions".

use guest_rt::machine::RTC;

/// Its interrupt, SPI 2, a level.
pub(crate) const INTID: u32 = 34;

const DATA: u64 = 0x00;
const MATCH: u64 = 0x04;
const CONTROL: u64 = 0x0c;
const MASK: u64 = 0x10;
const CLEAR: u64 = 0x1c;

/// Seconds since 1970.
pub(crate) fn seconds() -> u32 {
    RTC.read32(DATA)
}

/// Starts the clock and lets its interrupt out.
pub(crate) fn start() {
    RTC.write32(CONTROL, 1);
    RTC.write32(MASK, 1);
}

/// Clears the interrupt and asks for the next one in a second.
///
/// The seconds cannot pass the match unnoticed: the two stay equal for a whole second.
pub(crate) fn set_alarm() {
    RTC.write32(CLEAR, 1);
    RTC.write32(MATCH, seconds().wrapping_add(1));
}
