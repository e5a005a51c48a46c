// SPDX-License-Identifier: MIT OR Apache-2.0
//! Exceptions at EL1. Interrupts go to the handler of [`on_interrupt`]. A
//! fault inside [`probe`] ends the probe, which says what was caught; any
//! other goes to the handler of [`on_fault`] or ends the guest with a report.
//!
//! Vector registers are not saved: a guest built for a target with floating
//! point that takes interrupts brings vectors of its own.
//! Manual: Arm ARM, "Exception vectors".

use super::boot::CPUS;
use core::arch::global_asm;
use core::cell::{Cell, UnsafeCell};
use core::mem::offset_of;
use core::sync::atomic::{AtomicPtr, Ordering};

/// The registers of the code that an exception interrupted; what the handler changes here takes effect.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub struct Frame {
    /// x0 to x30.
    pub x: [u64; 31],
    /// Address to return to.
    pub elr: u64,
    /// Its state.
    pub spsr: u64,
    /// Exception syndrome.
    pub esr: u64,
    /// Faulting address, if the syndrome has one.
    pub far: u64,
}

/// Which of the sixteen vectors was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vector(u64);

impl Vector {
    /// Kind of exception.
    #[must_use]
    pub fn name(self) -> &'static str {
        ["synchronous", "IRQ", "FIQ", "SError"][(self.0 & 3) as usize]
    }

    /// Whether it came from EL0.
    #[must_use]
    pub fn from_el0(self) -> bool {
        self.0 >= 8
    }

    /// Whether it is synchronous.
    #[must_use]
    pub fn is_synchronous(self) -> bool {
        self.0 & 3 == 0
    }

    fn is_irq(self) -> bool {
        self.0 & 3 == 1
    }
}

/// An exception that ended a [`probe`].
#[derive(Clone, Copy, Debug)]
pub struct Caught {
    /// Vector it came through.
    pub vector: Vector,
    /// Exception syndrome (ESR_EL1).
    pub esr: u64,
    /// Faulting address (FAR_EL1), if the syndrome has one.
    pub far: u64,
    /// Address of the instruction, or the one after it for SVC, HVC and SMC.
    pub elr: u64,
}

impl Caught {
    /// Exception class: ESR_EL1.EC.
    #[must_use]
    pub fn class(&self) -> u64 {
        self.esr >> 26 & 0x3f
    }
}

/// Where a fault on one CPU resumes.
#[repr(C)]
struct Recovery {
    /// Address to resume at; zero while no probe runs.
    resume: u64,
    sp: u64,
    spsr: u64,
}

struct Slot {
    recovery: UnsafeCell<Recovery>,
    caught: Cell<Option<Caught>>,
}

// SAFETY: `slot` gives each CPU only the slot of its own number.
unsafe impl Sync for Slot {}

static SLOTS: [Slot; CPUS] = [const {
    Slot {
        recovery: UnsafeCell::new(Recovery { resume: 0, sp: 0, spsr: 0 }),
        caught: Cell::new(None),
    }
}; CPUS];

fn slot() -> &'static Slot {
    &SLOTS[super::cpu_index() % CPUS]
}

static INTERRUPT: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());
static FAULT: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Sends every interrupt to `handler`, which acknowledges it at the GIC.
pub fn on_interrupt(handler: fn()) {
    INTERRUPT.store(handler as *mut (), Ordering::Release);
}

/// Sends every fault that no probe expects to `handler`; when it returns, the frame is resumed.
pub fn on_fault(handler: fn(Vector, &mut Frame)) {
    FAULT.store(handler as *mut (), Ordering::Release);
}

/// Runs `f` and says which exception ended it, if one did.
///
/// # Safety
/// Where `f` faults it is abandoned: there it may hold no lock, no value with
/// a destructor and no half-written state that others rely on. Probes do not nest.
///
/// # Errors
/// The exception that `f` caused.
pub unsafe fn probe<F: FnOnce()>(f: F) -> Result<(), Caught> {
    unsafe extern "C" fn call<F: FnOnce()>(argument: *mut Option<F>) {
        // SAFETY: `probe` passes its own `f`, which it does not touch while this runs.
        if let Some(f) = unsafe { (*argument).take() } {
            f();
        }
    }
    let mut f = Some(f);
    let slot = slot();
    slot.caught.set(None);
    // SAFETY: no probe runs on this CPU; the caller vouches for `f` being abandoned where it faults.
    unsafe { guest_probe((&raw mut f).cast(), call::<F> as *const (), slot.recovery.get()) };
    slot.caught.take().map_or(Ok(()), Err)
}

/// Runs the code at `entry` at EL0 with interrupts masked, until its first exception.
///
/// # Safety
/// The code may touch only what a [`probe`] may, and no memory above `stack`.
/// EL0 has access where the MMU is off; the map of `enable_mmu` gives it none.
///
/// # Errors
/// The exception that ended it: an SVC, too.
pub unsafe fn probe_el0(entry: u64, stack: u64, argument: u64) -> Result<(), Caught> {
    // SAFETY: the caller vouches for the code; its first exception ends the probe.
    unsafe { probe(|| guest_enter_el0(argument, entry, stack)) }
}

extern "C" fn exception(frame: &mut Frame, vector: u64) {
    let vector = Vector(vector);
    if vector.is_irq() {
        let handler = INTERRUPT.load(Ordering::Acquire);
        if !handler.is_null() {
            // SAFETY: only `on_interrupt` writes this and it wrote a `fn()`.
            let handler: fn() = unsafe { core::mem::transmute(handler) };
            return handler();
        }
    }
    let slot = slot();
    // SAFETY: only this CPU uses it, and `guest_probe` has stored what it wanted to.
    let recovery = unsafe { &*slot.recovery.get() };
    if recovery.resume != 0 {
        slot.caught.set(Some(Caught { vector, esr: frame.esr, far: frame.far, elr: frame.elr }));
        frame.elr = recovery.resume;
        frame.spsr = recovery.spsr;
        frame.x[2] = slot.recovery.get() as u64;
        return;
    }
    let handler = FAULT.load(Ordering::Acquire);
    if handler.is_null() {
        report(vector, frame);
    }
    // SAFETY: only `on_fault` writes this and it wrote such a function.
    let handler: fn(Vector, &mut Frame) = unsafe { core::mem::transmute(handler) };
    handler(vector, frame);
}

fn report(vector: Vector, frame: &Frame) -> ! {
    crate::println!(
        "unexpected {} exception from EL{} at {:#x}: ESR {:#x} FAR {:#x}",
        vector.name(),
        u8::from(!vector.from_el0()),
        frame.elr,
        frame.esr,
        frame.far
    );
    crate::power::off()
}

unsafe extern "C" {
    fn guest_probe(argument: *mut (), call: *const (), slot: *mut Recovery);
    fn guest_enter_el0(argument: u64, entry: u64, stack: u64);
}

global_asm!(
    r#"
    .section .text.guest_vectors, "ax"
    .macro guest_vector number
    .balign 0x80
    sub sp, sp, #{size}
    stp x0, x1, [sp]
    mov x1, #\number
    b guest_exception
    .endm

    .balign 0x800
    .global guest_vectors
guest_vectors:
    .irp number, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    guest_vector \number
    .endr
    .balign 0x80

guest_exception:
    stp x2, x3, [sp, #16]
    stp x4, x5, [sp, #32]
    stp x6, x7, [sp, #48]
    stp x8, x9, [sp, #64]
    stp x10, x11, [sp, #80]
    stp x12, x13, [sp, #96]
    stp x14, x15, [sp, #112]
    stp x16, x17, [sp, #128]
    stp x18, x19, [sp, #144]
    stp x20, x21, [sp, #160]
    stp x22, x23, [sp, #176]
    stp x24, x25, [sp, #192]
    stp x26, x27, [sp, #208]
    stp x28, x29, [sp, #224]
    mrs x2, elr_el1
    mrs x3, spsr_el1
    stp x30, x2, [sp, #240]
    mrs x4, esr_el1
    stp x3, x4, [sp, #{spsr}]
    mrs x5, far_el1
    str x5, [sp, #{far}]
    mov x0, sp
    bl {exception}
    ldp x30, x2, [sp, #240]
    ldr x3, [sp, #{spsr}]
    msr elr_el1, x2
    msr spsr_el1, x3
    ldp x28, x29, [sp, #224]
    ldp x26, x27, [sp, #208]
    ldp x24, x25, [sp, #192]
    ldp x22, x23, [sp, #176]
    ldp x20, x21, [sp, #160]
    ldp x18, x19, [sp, #144]
    ldp x16, x17, [sp, #128]
    ldp x14, x15, [sp, #112]
    ldp x12, x13, [sp, #96]
    ldp x10, x11, [sp, #80]
    ldp x8, x9, [sp, #64]
    ldp x6, x7, [sp, #48]
    ldp x4, x5, [sp, #32]
    ldp x2, x3, [sp, #16]
    ldp x0, x1, [sp]
    add sp, sp, #{size}
    eret

    // x0 argument, x1 function, x2 slot. A fault resumes at 1 with x2 = slot.
    .global guest_probe
guest_probe:
    stp x29, x30, [sp, #-112]!
    stp x19, x20, [sp, #16]
    stp x21, x22, [sp, #32]
    stp x23, x24, [sp, #48]
    stp x25, x26, [sp, #64]
    stp x27, x28, [sp, #80]
    str x2, [sp, #96]
    mov x3, sp
    str x3, [x2, #{slot_sp}]
    mrs x3, daif
    orr x3, x3, #4              // EL1h
    orr x3, x3, #1
    str x3, [x2, #{slot_spsr}]
    adr x3, 1f
    str x3, [x2, #{slot_resume}]
    blr x1
    ldr x2, [sp, #96]
1:  str xzr, [x2, #{slot_resume}]
    ldr x3, [x2, #{slot_sp}]
    mov sp, x3
    ldp x27, x28, [sp, #80]
    ldp x25, x26, [sp, #64]
    ldp x23, x24, [sp, #48]
    ldp x21, x22, [sp, #32]
    ldp x19, x20, [sp, #16]
    ldp x29, x30, [sp], #112
    ret

    // x0 argument, x1 entry, x2 stack; DAIF masked, EL0t.
    .global guest_enter_el0
guest_enter_el0:
    msr elr_el1, x1
    msr sp_el0, x2
    mov x3, #0x3c0
    msr spsr_el1, x3
    eret
"#,
    size = const size_of::<Frame>(),
    spsr = const offset_of!(Frame, spsr),
    far = const offset_of!(Frame, far),
    slot_resume = const offset_of!(Recovery, resume),
    slot_sp = const offset_of!(Recovery, sp),
    slot_spsr = const offset_of!(Recovery, spsr),
    exception = sym exception,
);

// The assembly above stores x30 beside ELR and SPSR beside ESR.
const _: () =
    assert!(offset_of!(Frame, elr) == 248 && offset_of!(Frame, esr) == offset_of!(Frame, spsr) + 8);
