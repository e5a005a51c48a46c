// SPDX-License-Identifier: MIT OR Apache-2.0
//! Nothing allocates after boot, and nothing is given back: counted by an
//! allocator that knows the kernel's own calls from the machine's.

use crate::rig::{Rig, SMALL, add, channel, cpu_on, draft, write};
use abi::platform::{CHANNEL_REGISTERS, RAM, channel as register};
use kernel::arch::{Machine, device};
use kernel::exit::{Exit, Power};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn count() {
    if !Machine::is_inside() {
        CALLS.set(CALLS.get() + 1);
    }
}

// SAFETY: it is the system's allocator; counting touches no memory but a thread's own cell,
// which needs neither allocation nor destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count();
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}

#[test]
fn nothing_allocates_after_boot() {
    let mut draft = draft();
    add(&mut draft, "one", &[0, 1], SMALL);
    add(&mut draft, "two", &[2], SMALL);
    draft.channels = vec![channel("line", [0, 1], 0, 0)];
    let rig = Rig::boot(draft);
    let life = [
        Exit::Power(cpu_on(1, RAM, 0)),
        write(device::TERMINAL, b'x'),
        write(device::TERMINAL, b'\n'),
        write(CHANNEL_REGISTERS + register::DOORBELL, 1_u32 << 16),
        write(device::SCRATCH + 1, 0_u32),
        Exit::Power(Power::SystemReset),
    ];
    for _ in 0..3 {
        rig.machine.play(0, 0, life);
    }
    rig.machine.play(0, 0, [Exit::Power(Power::SystemOff)]);
    rig.machine.type_in(b"\x1d1typed");
    let before = CALLS.get();
    for _ in 0..200 {
        for cpu in 0..3 {
            rig.turn(cpu).expect("the other partition keeps the machine on");
        }
    }
    assert_eq!(CALLS.get(), before);
    assert_eq!((rig.machine.left(0, 0), rig.partition(0).life().restarts()), (0, 3));
}
