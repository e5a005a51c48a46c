// SPDX-License-Identifier: MIT OR Apache-2.0
//! Self-hosted debug at EL1: BRK, breakpoints, watchpoints, single step.
//! Manual: Arm ARM, "AArch64 Self-hosted Debug".

use crate::cpu::registers::{
    DBGBCR0, DBGBCR5, DBGBVR0, DBGBVR5, DBGWCR0, DBGWCR3, DBGWVR0, DBGWVR3, DFR0, MDSCR, OSLAR,
};
use crate::cpu::{self, Register};
use crate::report::{Report, Result, Wrong, equal};
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use guest_rt::machine::{Caught, Frame, Vector, on_fault};

/// MDSCR_EL1: software step; debug exceptions at EL1; breakpoints and watchpoints.
const SS: u64 = 1;
const KDE: u64 = 1 << 13;
const MDE: u64 = 1 << 15;
/// SPSR_EL1: step one instruction; debug exceptions are masked.
const SPSR_SS: u64 = 1 << 21;
const SPSR_D: u64 = 1 << 9;
/// DBGBCR: on, at EL1, all four bytes.
const BREAKPOINT: u64 = 0xf << 5 | 0b01 << 1 | 1;
/// DBGWCR: on, at EL1, stores, all eight bytes.
const WATCHPOINT: u64 = 0xff << 5 | 0b10 << 3 | 0b01 << 1 | 1;

/// Exception classes.
const BREAKPOINT_HIT: u64 = 0x31;
const STEPPED: u64 = 0x33;
const WATCHPOINT_HIT: u64 = 0x35;
const BRK: u64 = 0x3c;

pub(crate) fn run(report: &mut Report) {
    OSLAR.set(0);
    MDSCR.set(KDE | MDE);
    let numbers = DFR0.get();
    let last_breakpoint = numbers >> 12 & 0xf;
    let last_watchpoint = numbers >> 20 & 0xf;
    report.item("BRK", brk());
    report.item("breakpoint 0", breakpoint(DBGBCR0, DBGBVR0));
    if last_breakpoint >= 5 {
        report.item("breakpoint 5", breakpoint(DBGBCR5, DBGBVR5));
    }
    report.item("watchpoint 0", watchpoint(DBGWCR0, DBGWVR0));
    if last_watchpoint >= 3 {
        report.item("watchpoint 3", watchpoint(DBGWCR3, DBGWVR3));
    }
    MDSCR.set(KDE);
    report.item("single step", single_step());
    MDSCR.set(0);
}

/// That an exception of this class came.
fn class(caught: Option<Caught>, expected: u64) -> core::result::Result<Caught, Wrong> {
    let caught = caught.ok_or(Wrong("no exception", 0, expected))?;
    equal("class", caught.class(), expected).map(|()| caught)
}

fn brk() -> Result {
    let caught = class(cpu::brk(), BRK)?;
    equal("number", caught.esr & 0xffff, 0x123)
}

fn breakpoint(control: Register, value: Register) -> Result {
    let mut address = 0;
    let caught = cpu::execute(|target| {
        address = target;
        value.set(target);
        control.set(BREAKPOINT);
    });
    control.set(0);
    equal("address", class(caught, BREAKPOINT_HIT)?.elr, address)?;
    let quiet = cpu::execute(|_| {});
    equal("hits when it is off", quiet.map_or(0, |caught| caught.class()), 0)
}

fn watchpoint(control: Register, value: Register) -> Result {
    let address = cpu::scratch() + 0x40;
    value.set(address);
    control.set(WATCHPOINT);
    let beside = cpu::store(address + 8);
    let caught = cpu::store(address);
    control.set(0);
    equal("hits beside it", beside.map_or(0, |caught| caught.class()), 0)?;
    let caught = class(caught, WATCHPOINT_HIT)?;
    equal("address", caught.far, address)?;
    equal("store", caught.esr >> 6 & 1, 1)
}

/// More steps than the code has.
const STEPS: usize = 16;
/// Where each step ended, and how many there were.
static ENDS: [AtomicU64; STEPS] = [const { AtomicU64::new(0) }; STEPS];
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// An exception that is no part of stepping: its syndrome.
static STRANGE: AtomicU64 = AtomicU64::new(0);

/// Steps through [`cpu::step`], of which each step ends at the next instruction, also where the
/// hypervisor carried it out.
fn single_step() -> Result {
    on_fault(fault);
    cpu::step();
    let (start, end) = cpu::stepped_instructions();
    equal("strange exception", STRANGE.load(Ordering::Relaxed), 0)?;
    let expected = (end - start) / 4;
    let count = COUNT.load(Ordering::Relaxed);
    for (address, at) in (start + 4..=end).step_by(4).zip(&ENDS) {
        equal("step's end", at.load(Ordering::Relaxed), address)?;
    }
    equal("steps", count as u64, expected)
}

/// BRK #1 starts stepping; each step is noted; BRK #2 is behind the last one.
fn fault(_: Vector, frame: &mut Frame) {
    match (frame.esr >> 26 & 0x3f, frame.esr & 0xffff) {
        (BRK, 1) => {
            frame.elr += 4;
            frame.spsr = frame.spsr & !SPSR_D | SPSR_SS;
            MDSCR.set(KDE | SS);
        }
        (STEPPED, _) => {
            let step = COUNT.fetch_add(1, Ordering::Relaxed);
            if let Some(end) = ENDS.get(step) {
                end.store(frame.elr, Ordering::Relaxed);
            }
            frame.spsr |= SPSR_SS;
            if frame.elr >= cpu::stepped_instructions().1 {
                stop(frame);
            }
        }
        (BRK, 2) => {
            frame.elr += 4;
            stop(frame);
        }
        _ => {
            STRANGE.store(frame.esr, Ordering::Relaxed);
            frame.elr += 4;
            stop(frame);
        }
    }
}

/// The frame goes on unstepped.
fn stop(frame: &mut Frame) {
    MDSCR.set(KDE);
    frame.spsr = frame.spsr & !SPSR_SS | SPSR_D;
}
