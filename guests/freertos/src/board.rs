// SPDX-License-Identifier: MIT OR Apache-2.0
//! The platform below the kernel, as `c/board.h` declares it: tick, bells,
//! heartbeat. All unsafe code of this guest is here.
//!
//! The tick is the virtual timer, whose compare value goes forward by whole
//! periods: a late tick delays no other, and none is lost. Its lateness is the
//! counter at the handler minus the compare value.
#![allow(unsafe_code, reason = "the border to the C kernel")]

use core::ffi::{CStr, c_char};
use core::fmt::Write;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use guest_rt::channel::{Channel, Channels, RTC_TIME, RTOS_TELEMETRY};
use guest_rt::console::Console;
use guest_rt::keeper::Keeper;
use guest_rt::machine::gic::{self, Trigger};
use guest_rt::mailbox::Mailbox;
use guest_rt::{power, timer};
use spin::{Mutex, Once};

/// Ticks per second: configTICK_RATE_HZ.
const TICK_RATE: u64 = 1000;
/// Priority 30 of 32, which the port's tick handler asserts.
const TICK_PRIORITY: u8 = 30 << 3;
/// INTID bits of ICC_IAR1_EL1.
const INTID_MASK: u32 = 0xff_ffff;
/// Channel that takes the telemetry.
const TELEMETRY: &str = "telemetry";

/// Who watches watchdog and driver, if there is a mailbox.
static KEEPER: Mutex<Option<Keeper>> = Mutex::new(None);
static CHANNELS: Once<Channels> = Once::new();
/// Compare value of the next tick.
static DUE: AtomicU64 = AtomicU64::new(0);
/// Worst lateness since it was last taken, in counts.
static LATENESS: AtomicU64 = AtomicU64::new(0);
/// Bells heard.
static RINGS: AtomicU64 = AtomicU64::new(0);
/// The driver's last heartbeat; zero before the first.
static HEARTBEAT: AtomicU64 = AtomicU64::new(0);
/// Seconds since 1970 as the driver partition last told them; zero before.
static SECONDS: AtomicU64 = AtomicU64::new(0);

unsafe extern "C" {
    safe fn tasks_run();
    safe fn FreeRTOS_Tick_Handler();
}

/// Hands the CPU to the kernel.
pub(crate) fn run(channels: Channels, mailbox: Option<Mailbox>) -> ! {
    *KEEPER.lock() = mailbox.map(Keeper::begin);
    CHANNELS.call_once(|| channels);
    tasks_run();
    board_failed(c"the kernel returned".as_ptr(), 0)
}

fn channels() -> &'static [Channel] {
    CHANNELS.get().map_or(&[], |channels| channels)
}

fn period() -> u64 {
    timer::frequency() / TICK_RATE
}

// SAFETY: the C sources declare these functions with the same types and define no others of the name.
#[unsafe(no_mangle)]
extern "C" fn board_start() {
    for channel in channels() {
        gic::enable(channel.intid(), Trigger::Edge);
    }
    gic::enable(timer::INTID, Trigger::Level);
    gic::set_priority(timer::INTID, TICK_PRIORITY);
    let first = timer::now() + period();
    DUE.store(first, Relaxed);
    timer::arm(first);
}

// SAFETY: as above.
#[unsafe(no_mangle)]
extern "C" fn board_next_tick() {
    let due = DUE.load(Relaxed);
    LATENESS.fetch_max(timer::now().saturating_sub(due), Relaxed);
    DUE.store(due + period(), Relaxed);
    timer::arm(due + period());
}

// SAFETY: as above.
#[unsafe(no_mangle)]
extern "C" fn board_take_lateness() -> u64 {
    LATENESS.swap(0, Relaxed)
}

/// The port calls this for every interrupt, vector registers saved.
// SAFETY: as above.
#[unsafe(no_mangle)]
extern "C" fn vApplicationFPUSafeIRQHandler(acknowledged: u32) {
    let intid = acknowledged & INTID_MASK;
    if intid == timer::INTID {
        FreeRTOS_Tick_Handler();
    } else if let Some(channel) = channels().iter().find(|channel| channel.intid() == intid) {
        bell(channel);
    }
}

fn bell(channel: &Channel) {
    if channel.take_ring() {
        RINGS.fetch_add(1, Relaxed);
    }
    if let Some([heartbeat, seconds, ..]) = channel.read(RTC_TIME) {
        HEARTBEAT.store(heartbeat, Relaxed);
        SECONDS.store(seconds, Relaxed);
    }
}

// SAFETY: as above.
#[unsafe(no_mangle)]
extern "C" fn board_heartbeat(number: u64, tick: u64, lateness: u64, items: u64) {
    let lateness = timer::microseconds(lateness);
    let seconds = SECONDS.load(Relaxed);
    let rings = RINGS.load(Relaxed);
    for channel in channels().iter().filter(|channel| channel.name() == TELEMETRY) {
        channel.publish(RTOS_TELEMETRY, &[number, tick, lateness, items, rings, seconds]);
    }
    let _ = write!(Console, "heartbeat {number} tick {tick} worst lateness {lateness} us");
    let _ = match seconds {
        0 => writeln!(Console),
        known => writeln!(Console, " rtc {known}"),
    };
}

/// The task that prints calls this once a second.
// SAFETY: as above.
#[unsafe(no_mangle)]
extern "C" fn board_keep() {
    if let Some(keeper) = &mut *KEEPER.lock() {
        let heartbeat = HEARTBEAT.load(Relaxed);
        keeper.step(Some(heartbeat).filter(|heartbeat| *heartbeat != 0));
    }
}

// SAFETY: as above.
#[unsafe(no_mangle)]
extern "C" fn board_failed(what: *const c_char, line: u32) -> ! {
    // SAFETY: every caller passes a string that C or Rust ended with a zero byte.
    let what = unsafe { CStr::from_ptr(what) };
    let _ = writeln!(Console, "freertos: failed: {} {line}", what.to_str().unwrap_or("?"));
    power::off()
}
