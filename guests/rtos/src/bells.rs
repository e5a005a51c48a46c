// SPDX-License-Identifier: MIT OR Apache-2.0
//! The channels: what a peer's bell tells, and where the telemetry goes.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use guest_rt::channel::{
    Channel, Channels, RTC_TIME, RTOS_TELEMETRY, SERIAL_COUNTS, VALUE_COUNT, Values,
};
use spin::Once;

/// Channel that takes the telemetry.
const TELEMETRY: &str = "telemetry";

static CHANNELS: Once<Channels> = Once::new();
/// Bells heard.
static RINGS: AtomicU64 = AtomicU64::new(0);
/// The driver's last value: seconds since 1970 of a clock's, bytes sent of a serial line's; zero before.
static TOLD: AtomicU64 = AtomicU64::new(0);

/// The driver's last heartbeat; zero before the first.
static HEARTBEAT: AtomicU64 = AtomicU64::new(0);

/// Keeps the channels for everybody.
pub(crate) fn keep(channels: Channels) {
    CHANNELS.call_once(|| channels);
}

fn channels() -> &'static [Channel] {
    CHANNELS.get().map_or(&[], |channels| channels)
}

/// Takes a channel's interrupt.
pub(crate) fn heard(intid: u32) {
    let Some(channel) = channels().iter().find(|channel| channel.intid() == intid) else { return };
    if channel.take_ring() {
        RINGS.fetch_add(1, Relaxed);
    }
    let record = [RTC_TIME, SERIAL_COUNTS].into_iter().find_map(|kind| channel.read(kind));
    if let Some([heartbeat, told, ..]) = record {
        HEARTBEAT.store(heartbeat, Relaxed);
        TOLD.store(told, Relaxed);
    }
}

/// Bells heard so far, and the driver's last value.
pub(crate) fn peers() -> (u64, u64) {
    (RINGS.load(Relaxed), TOLD.load(Relaxed))
}

/// The driver's last heartbeat, if it had one.
pub(crate) fn driver() -> Option<u64> {
    Some(HEARTBEAT.load(Relaxed)).filter(|heartbeat| *heartbeat != 0)
}

/// Publishes heartbeat, ticks, worst lateness in microseconds and items, with what the peers told.
pub(crate) fn publish([heartbeat, tick, lateness, items]: [u64; 4]) {
    let (rings, told) = peers();
    let values: Values = [heartbeat, tick, lateness, items, rings, told];
    for channel in channels().iter().filter(|channel| channel.name() == TELEMETRY) {
        channel.publish(RTOS_TELEMETRY, &values);
    }
}

const _: () = assert!(VALUE_COUNT == 6);
