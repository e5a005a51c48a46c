// SPDX-License-Identifier: MIT OR Apache-2.0
//! embassy's clock: a tick each millisecond, whose deadline goes forward by
//! whole periods, so that a late tick delays no other and none is lost. Its
//! lateness is the counter at the handler minus the deadline.

use core::cell::RefCell;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::task::Waker;
use embassy_sync::blocking_mutex::CriticalSectionMutex;
use embassy_time::TICK_HZ;
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;
use guest_rt::timer;

/// Deadline of the next tick.
static DUE: AtomicU64 = AtomicU64::new(0);
/// Ticks so far.
static TICKS: AtomicU64 = AtomicU64::new(0);
/// Worst lateness since it was last taken, in counts.
static LATENESS: AtomicU64 = AtomicU64::new(0);

struct Clock {
    sleepers: CriticalSectionMutex<RefCell<Queue>>,
}

embassy_time_driver::time_driver_impl!(static CLOCK: Clock = Clock {
    sleepers: CriticalSectionMutex::new(RefCell::new(Queue::new())),
});

impl Driver for Clock {
    fn now(&self) -> u64 {
        TICKS.load(Relaxed)
    }

    /// The next tick looks at every sleeper, so that none is passed over that is due already.
    fn schedule_wake(&self, at: u64, waker: &Waker) {
        self.sleepers.lock(|sleepers| sleepers.borrow_mut().schedule_wake(at, waker));
    }
}

/// Counts of the counter from tick to tick.
fn period() -> u64 {
    timer::frequency() / TICK_HZ
}

/// Arms the first tick.
pub(crate) fn start() {
    let first = timer::now() + period();
    DUE.store(first, Relaxed);
    timer::arm(first);
}

/// The timer's interrupt.
pub(crate) fn tick() {
    let due = DUE.load(Relaxed);
    LATENESS.fetch_max(timer::now().saturating_sub(due), Relaxed);
    DUE.store(due + period(), Relaxed);
    timer::arm(due + period());
    let now = TICKS.fetch_add(1, Relaxed) + 1;
    CLOCK.sleepers.lock(|sleepers| sleepers.borrow_mut().next_expiration(now));
}

/// The worst lateness of a tick since the last call, in counts.
pub(crate) fn take_lateness() -> u64 {
    LATENESS.swap(0, Relaxed)
}
