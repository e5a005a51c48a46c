// SPDX-License-Identifier: MIT OR Apache-2.0
//! Exceptions and interrupts. Interrupts go to the handler of [`on_interrupt`].
//! A fault inside [`probe`] ends the probe, which says what was caught; any
//! other goes to the handler of [`on_fault`] or ends the guest with a report.
//! Manual: Intel SDM, "Interrupt and Exception Handling".

use super::boot::CPUS;
use super::descriptors::{CODE, DATA, USER_CODE, USER_DATA};
use super::{apic, cpu_index};
use core::arch::global_asm;
use core::cell::{Cell, UnsafeCell};
use core::mem::offset_of;
use core::sync::atomic::{AtomicPtr, Ordering};
use x86_64::registers::control::Cr2;

/// Bytes of one entry in the table of entries.
const ENTRY: usize = 16;
/// First vector that is an interrupt.
const FIRST_INTERRUPT: u64 = 32;
const PAGE_FAULT: u64 = 14;

/// The registers of the code that an exception interrupted; what the handler changes here takes effect.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Frame {
    /// R15 to R8.
    pub high: [u64; 8],
    /// Destination index.
    pub rdi: u64,
    /// Source index.
    pub rsi: u64,
    /// Frame pointer.
    pub rbp: u64,
    /// Base.
    pub rbx: u64,
    /// Data.
    pub rdx: u64,
    /// Counter.
    pub rcx: u64,
    /// Accumulator.
    pub rax: u64,
    /// Vector.
    pub vector: u64,
    /// Error code; zero where the exception has none.
    pub error: u64,
    /// Address to return to.
    pub rip: u64,
    /// Its code segment.
    pub cs: u64,
    /// Its flags.
    pub rflags: u64,
    /// Its stack.
    pub rsp: u64,
    /// Its stack segment.
    pub ss: u64,
}

/// Which vector was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vector(u64);

impl Vector {
    /// The exception's mnemonic.
    #[must_use]
    pub fn name(self) -> &'static str {
        exception_name(self.0).unwrap_or("interrupt")
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }
}

/// The mnemonic of exception `vector`, if it has one.
#[must_use]
pub fn exception_name(vector: u64) -> Option<&'static str> {
    let name = match vector {
        0 => "#DE",
        1 => "#DB",
        2 => "NMI",
        3 => "#BP",
        4 => "#OF",
        5 => "#BR",
        6 => "#UD",
        7 => "#NM",
        8 => "#DF",
        10 => "#TS",
        11 => "#NP",
        12 => "#SS",
        13 => "#GP",
        14 => "#PF",
        16 => "#MF",
        17 => "#AC",
        18 => "#MC",
        19 => "#XM",
        20 => "#VE",
        21 => "#CP",
        _ => return None,
    };
    Some(name)
}

/// An exception that ended a [`probe`].
#[derive(Clone, Copy, Debug)]
pub struct Caught {
    /// Its vector.
    pub vector: Vector,
    /// Error code, zero where it has none.
    pub error: u64,
    /// Faulting address (CR2) of a page fault, else zero.
    pub address: u64,
    /// Address of the instruction.
    pub rip: u64,
}

/// Where a fault on one CPU resumes.
#[repr(C)]
struct Recovery {
    /// Address to resume at; zero while no probe runs.
    resume: u64,
    rsp: u64,
    rflags: u64,
}

struct Slot {
    recovery: UnsafeCell<Recovery>,
    caught: Cell<Option<Caught>>,
}

// SAFETY: `slot` gives each CPU only the slot of its own number.
unsafe impl Sync for Slot {}

static SLOTS: [Slot; CPUS] = [const {
    Slot {
        recovery: UnsafeCell::new(Recovery { resume: 0, rsp: 0, rflags: 0 }),
        caught: Cell::new(None),
    }
}; CPUS];

fn slot() -> &'static Slot {
    &SLOTS[cpu_index() % CPUS]
}

static INTERRUPT: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());
static FAULT: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Sends every interrupt to `handler`, which acknowledges it (`interrupts::acknowledge`).
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

/// Runs the code at `entry` at CPL 3 with interrupts masked, until its first exception.
///
/// # Safety
/// The code may touch only what a [`probe`] may, and no memory above `stack`.
/// The map of the runtime gives CPL 3 no access: the caller maps what it needs.
///
/// # Errors
/// The exception that ended it.
pub unsafe fn probe_user(entry: u64, stack: u64, argument: u64) -> Result<(), Caught> {
    // SAFETY: the caller vouches for the code; its first exception ends the probe.
    unsafe { probe(|| guest_enter_user(argument, entry, stack)) }
}

/// Address of the entry of vector `number`.
pub(super) fn entry(number: usize) -> u64 {
    (guest_vectors as *const () as usize + number * ENTRY) as u64
}

extern "C" fn exception(frame: &mut Frame) {
    let vector = Vector(frame.vector);
    if vector.0 >= FIRST_INTERRUPT {
        apic::took(vector.0 as u32);
        let handler = INTERRUPT.load(Ordering::Acquire);
        if handler.is_null() {
            return apic::drop_unhandled();
        }
        // SAFETY: only `on_interrupt` writes this and it wrote a `fn()`.
        let handler: fn() = unsafe { core::mem::transmute(handler) };
        return handler();
    }
    let slot = slot();
    // SAFETY: only this CPU uses it, and `guest_probe` has stored what it wanted to.
    let recovery = unsafe { &*slot.recovery.get() };
    if recovery.resume != 0 {
        let address = if vector.0 == PAGE_FAULT { Cr2::read_raw() } else { 0 };
        slot.caught.set(Some(Caught { vector, error: frame.error, address, rip: frame.rip }));
        frame.rip = recovery.resume;
        frame.rsp = recovery.rsp;
        frame.rflags = recovery.rflags;
        frame.cs = CODE.into();
        frame.ss = DATA.into();
        frame.rdx = slot.recovery.get() as u64;
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
        "unexpected {} ({}) from CPL {} at {:#x}: error {:#x} CR2 {:#x} RSP {:#x} RFLAGS {:#x}",
        vector.name(),
        vector.number(),
        frame.cs & 3,
        frame.rip,
        frame.error,
        Cr2::read_raw(),
        frame.rsp,
        frame.rflags,
    );
    crate::power::off()
}

unsafe extern "C" {
    safe fn guest_vectors();
    fn guest_probe(argument: *mut (), call: *const (), slot: *mut Recovery);
    fn guest_enter_user(argument: u64, entry: u64, stack: u64);
}

global_asm!(
    r#"
    .section .text.guest_vectors, "ax"
    .macro guest_vector number
    .balign {entry}
    .if !((0x\number == 8) || (0x\number >= 10 && 0x\number <= 14) || (0x\number == 17) || (0x\number == 21) || (0x\number == 29) || (0x\number == 30))
    push 0
    .endif
    push 0x\number
    jmp guest_exception
    .endm

    .balign {entry}
    .global guest_vectors
guest_vectors:
    .irp high, 0,1,2,3,4,5,6,7,8,9,a,b,c,d,e,f
    .irp low, 0,1,2,3,4,5,6,7,8,9,a,b,c,d,e,f
    guest_vector \high\low
    .endr
    .endr

guest_exception:
    push rax
    push rcx
    push rdx
    push rbx
    push rbp
    push rsi
    push rdi
    push r8
    push r9
    push r10
    push r11
    push r12
    push r13
    push r14
    push r15
    cld
    mov rdi, rsp
    call {exception}
    pop r15
    pop r14
    pop r13
    pop r12
    pop r11
    pop r10
    pop r9
    pop r8
    pop rdi
    pop rsi
    pop rbp
    pop rbx
    pop rdx
    pop rcx
    pop rax
    add rsp, 16
    iretq

    // RDI argument, RSI function, RDX slot. A fault resumes at its middle with RDX = slot.
    .global guest_probe
guest_probe:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    push rdx                    // also aligns the stack
    pushfq
    pop rax
    mov [rdx + {slot_rflags}], rax
    mov [rdx + {slot_rsp}], rsp
    lea rax, [rip + guest_probe_resume]
    mov [rdx + {slot_resume}], rax
    call rsi
    mov rdx, [rsp]
guest_probe_resume:
    mov qword ptr [rdx + {slot_resume}], 0
    add rsp, 8
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret

    // RDI argument, RSI entry, RDX stack; interrupts masked.
    .global guest_enter_user
guest_enter_user:
    push {user_data}
    push rdx
    push 2
    push {user_code}
    push rsi
    iretq
"#,
    entry = const ENTRY,
    exception = sym exception,
    slot_resume = const offset_of!(Recovery, resume),
    slot_rsp = const offset_of!(Recovery, rsp),
    slot_rflags = const offset_of!(Recovery, rflags),
    user_data = const USER_DATA,
    user_code = const USER_CODE,
);
