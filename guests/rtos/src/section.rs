// SPDX-License-Identifier: MIT OR Apache-2.0
//! What embassy asks of a platform: critical sections, and an executor that
//! waits for an interrupt when no task is ready. All unsafe code of this guest.
#![allow(unsafe_code, reason = "the border to embassy")]

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use critical_section::RawRestoreState;
use embassy_executor::{Spawner, raw::Executor};
use guest_rt::machine;
use static_cell::StaticCell;

/// Whether a task became ready since the executor last looked. One CPU, so any order does.
static READY: AtomicBool = AtomicBool::new(false);

struct Masked;

critical_section::set_impl!(Masked);

// SAFETY: one CPU runs this guest and nothing but its interrupts interleaves; the state says whether they were masked.
unsafe impl critical_section::Impl for Masked {
    unsafe fn acquire() -> RawRestoreState {
        let masked = machine::interrupts_are_masked();
        machine::mask_interrupts();
        masked
    }

    unsafe fn release(masked: RawRestoreState) {
        if !masked {
            machine::unmask_interrupts();
        }
    }
}

// SAFETY: embassy's executor declares this function with the same type, and nothing else defines it.
#[unsafe(export_name = "__pender")]
fn pend(_: *mut ()) {
    READY.store(true, Relaxed);
}

/// Runs the tasks that `spawn` starts.
pub(crate) fn run(spawn: fn(Spawner)) -> ! {
    static EXECUTOR: StaticCell<Executor> = StaticCell::new();
    let executor = EXECUTOR.init(Executor::new(core::ptr::null_mut()));
    spawn(executor.spawner());
    loop {
        READY.store(false, Relaxed);
        machine::unmask_interrupts();
        // SAFETY: this is the only call, on the thread that made the executor, and no task makes it.
        unsafe { executor.poll() };
        machine::mask_interrupts();
        if !READY.load(Relaxed) {
            machine::wait_for_interrupt();
        }
    }
}
