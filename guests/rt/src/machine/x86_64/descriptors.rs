// SPDX-License-Identifier: MIT OR Apache-2.0
//! Segment, interrupt and task descriptors. One GDT and one IDT serve all
//! CPUs; each has a task state segment of its own, by whose selector it knows
//! its number. Every exception runs on a stack of its own, so that a broken
//! stack pointer is reported like everything else; interrupts keep the stack.
//!
//! ```text
//! 0x08 code  0x10 data  0x18 code, 32 bits  0x23 user data  0x2b user code  0x30 + 16 n  TSS of CPU n
//! ```
//! Manual: Intel SDM, "Segment Descriptors", "64-Bit Mode Task-State Segment", "64-Bit Mode IDT".

use super::boot::CPUS;
use super::vectors;
use core::arch::asm;
use core::cell::UnsafeCell;

/// Code and data of CPL 0.
pub const CODE: u16 = 0x08;
/// Data of CPL 0.
pub const DATA: u16 = 0x10;
/// Data of CPL 3.
pub const USER_DATA: u16 = 0x23;
/// Code of CPL 3, 64 bits.
pub const USER_CODE: u16 = 0x2b;
/// Task state segment of CPU 0.
pub const TSS_FIRST: u16 = 0x30;
/// Task state segment of the last CPU.
pub const TSS_LAST: u16 = TSS_FIRST + 16 * (CPUS as u16 - 1);
const GDT_WORDS: usize = 6 + 2 * CPUS;
const VECTORS: usize = 256;
/// Vectors of exceptions; those on the second stack: NMI, double fault, machine check.
const EXCEPTIONS: usize = 32;
const GRAVE: [usize; 3] = [2, 8, 18];
const STACK: usize = 0x2000;
/// Present, DPL 0, interrupt gate; present, 64-bit TSS; what marks a TSS busy.
const GATE: u64 = 0x8e << 40;
const AVAILABLE_TSS: u64 = 0x89 << 40;
const TSS_LIMIT: u64 = 0x67;

#[repr(C, align(16))]
struct Table<const N: usize>(UnsafeCell<[u64; N]>);

/// A TSS by its 32-bit words, and the stacks that it names.
#[repr(C, align(16))]
struct Task {
    words: UnsafeCell<[u32; 26]>,
    stacks: UnsafeCell<[[u8; STACK]; 3]>,
}

// SAFETY: `init` writes before there is a second CPU; later each CPU writes its own TSS descriptor only.
unsafe impl<const N: usize> Sync for Table<N> {}
// SAFETY: written by `init` alone, before there is a second CPU; the stacks belong to the CPU of the same number.
unsafe impl Sync for Task {}

static GDT: Table<GDT_WORDS> = Table(UnsafeCell::new([0; GDT_WORDS]));
static IDT: Table<{ 2 * VECTORS }> = Table(UnsafeCell::new([0; 2 * VECTORS]));
static TASKS: [Task; CPUS] =
    [const { Task { words: UnsafeCell::new([0; 26]), stacks: UnsafeCell::new([[0; STACK]; 3]) } };
        CPUS];

/// What LGDT and LIDT take.
#[repr(C, packed)]
struct Pointer {
    limit: u16,
    base: u64,
}

/// Takes the I/O APIC for the interrupt table, and needs it.
pub(super) fn lose() -> ! {
    let pointer = Pointer { limit: 0xfff, base: abi::platform::pc::IO_APIC };
    // SAFETY: no exception is handled any more, so nothing of Rust runs behind this.
    unsafe { asm!("lidt [{}]", "ud2", in(reg) &raw const pointer, options(noreturn)) }
}

/// Fills the tables; CPU 0, once.
pub(super) fn init() {
    // SAFETY: CPU 0 is alone, and no reference to a table exists.
    let (gdt, idt) = unsafe { (&mut *GDT.0.get(), &mut *IDT.0.get()) };
    gdt[..6].copy_from_slice(&[
        0,
        0x00af_9b00_0000_ffff,
        0x00cf_9300_0000_ffff,
        0x00cf_9b00_0000_ffff,
        0x00cf_f300_0000_ffff,
        0x00af_fb00_0000_ffff,
    ]);
    for (task, descriptor) in TASKS.iter().zip(gdt[6..].chunks_mut(2)) {
        let base = task.words.get() as u64;
        descriptor[0] =
            AVAILABLE_TSS | TSS_LIMIT | (base & 0xff_ffff) << 16 | (base >> 24 & 0xff) << 56;
        descriptor[1] = base >> 32;
        // SAFETY: CPU 0 is alone.
        let words = unsafe { &mut *task.words.get() };
        // RSP0 is the word pair at 1, IST1 and IST2 those at 9 and 11.
        for (number, word) in [(0, 1), (1, 9), (2, 11)] {
            let top = task.stacks.get() as u64 + ((number + 1) * STACK) as u64;
            words[word] = top as u32;
            words[word + 1] = (top >> 32) as u32;
        }
        words[25] = 0x68 << 16; // no I/O permission map
    }
    for (number, gate) in idt.chunks_mut(2).enumerate() {
        let entry = vectors::entry(number);
        let stack = match number {
            _ if GRAVE.contains(&number) => 2,
            0..EXCEPTIONS => 1,
            _ => 0,
        };
        gate[0] = entry & 0xffff
            | u64::from(CODE) << 16
            | stack << 32
            | GATE
            | (entry >> 16 & 0xffff) << 48;
        gate[1] = entry >> 32;
    }
}

/// Loads the tables on CPU `cpu`.
pub(super) fn load(cpu: usize) {
    let task = TSS_FIRST + 16 * cpu as u16;
    // SAFETY: only this CPU touches its descriptor, which must not say "busy" from an earlier start.
    // The tables are complete and stay for ever.
    unsafe {
        let descriptor = GDT.0.get().cast::<u64>().add(usize::from(task) / 8);
        descriptor.write_volatile(descriptor.read_volatile() & !(2 << 40));
    }
    let gdt = Pointer { limit: (GDT_WORDS * 8 - 1) as u16, base: GDT.0.get() as u64 };
    // SAFETY: the tables are complete and stay for ever; the segments in use are the same in this GDT.
    unsafe {
        asm!("lgdt [{}]", in(reg) &raw const gdt, options(nostack, preserves_flags));
        asm!("ltr {0:x}", in(reg) task, options(nostack, preserves_flags));
    }
    load_idt();
}

/// Points this CPU at the IDT, once more after somebody pointed it elsewhere.
pub fn load_idt() {
    let idt = Pointer { limit: (VECTORS * 16 - 1) as u16, base: IDT.0.get() as u64 };
    // SAFETY: the table is complete and stays for ever.
    unsafe { asm!("lidt [{}]", in(reg) &raw const idt, options(nostack, preserves_flags)) };
}

/// Sends interrupt `vector` to code of the caller's own.
///
/// # Safety
/// The code keeps all registers that the interrupted code needs, returns by
/// IRETQ, and the vector is none of the runtime's exceptions.
pub unsafe fn set_interrupt(vector: u8, entry: unsafe extern "C" fn()) {
    let entry = entry as *const () as u64;
    let gate = IDT.0.get().cast::<u64>();
    // SAFETY: inside the table, of which no reference exists; the caller vouches for the code.
    unsafe {
        let low = gate.add(2 * usize::from(vector));
        low.write_volatile(
            entry & 0xffff | u64::from(CODE) << 16 | GATE | (entry >> 16 & 0xffff) << 48,
        );
        low.add(1).write_volatile(entry >> 32);
    }
}

/// One past CPU 0's stack for exceptions.
#[must_use]
pub fn exception_stack() -> u64 {
    // IST1 is the second of the stacks.
    TASKS[0].stacks.get() as u64 + 2 * STACK as u64
}

/// The CPU that has the task register `selector`.
pub(super) fn cpu_of(selector: u16) -> usize {
    usize::from(selector.saturating_sub(TSS_FIRST) / 16) % CPUS
}
