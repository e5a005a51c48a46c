// SPDX-License-Identifier: MIT OR Apache-2.0
//! A bug on purpose, only in the build with the feature `panic-test`: CPU 1
//! panics five seconds after its start, so that a scenario can show what a bug
//! of the hypervisor costs.

use crate::arch::{self, time};
use core::sync::atomic::{AtomicU64, Ordering};

const DELAY_NS: u64 = 5_000_000_000;

/// When CPU 1 panics; zero before it has started.
static DUE: AtomicU64 = AtomicU64::new(0);

/// A CPU starts.
pub fn start() {
    if arch::cpu_number() == 1 {
        let due = time::now() + time::ticks(DELAY_NS);
        DUE.store(due, Ordering::Relaxed);
        time::arm(due);
    }
}

/// A deadline of this CPU has come; it may be this one.
#[expect(clippy::panic, reason = "it is what this build is for")]
pub fn deadline() {
    let due = DUE.load(Ordering::Relaxed);
    if arch::cpu_number() != 1 || due == 0 {
        return;
    }
    if time::now() >= due {
        panic!("a drill");
    }
    time::arm(due);
}
