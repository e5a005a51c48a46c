// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bracketed operations and the handlers whose first instruction reads the
//! counter.
//!
//! Interrupts are taken only inside the waits below, where RAX, RDX and R15
//! are declared lost: the first CPU's handler saves nothing. It notes the
//! counter in R15; the interrupt is ended after the wait.

use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use guest_rt::machine::{call, descriptors, mask_interrupts, probe, start_cpu, wait_for_interrupt};
use guest_rt::{interrupts, timer};

/// Instructions of the bracket alone.
const BRACKET: u64 = 3;
/// Number of the interrupt to this CPU, and of the one to the second.
const HERE: u32 = 1;
const THERE: u32 = 2;
/// How far ahead the timer is set, in counts.
const AHEAD: u64 = 20_000;
/// The wait before a measurement, as a share of a second.
const SETTLE: u64 = 5;

/// When the second CPU's handler began.
static SECOND: AtomicU64 = AtomicU64::new(0);

global_asm!(
    r#"
    .section .text.bench, "ax"
bench_here:
    rdtsc
    shl rdx, 32
    or rax, rdx
    mov r15, rax
    iretq

    // Saves what a handler in a high-level language would lose, as an operating system's does.
bench_there:
    push rax
    push rdx
    rdtsc
    shl rdx, 32
    or rax, rdx
    push rcx
    push rsi
    push rdi
    push r8
    push r9
    push r10
    push r11
    mov rdi, rax
    call {answer}
    pop r11
    pop r10
    pop r9
    pop r8
    pop rdi
    pop rsi
    pop rcx
    pop rdx
    pop rax
    iretq
"#,
    answer = sym answer,
);

unsafe extern "C" {
    fn bench_here();
    fn bench_there();
}

/// The second CPU's answer to an interrupt: another one.
extern "C" fn answer(began: u64) {
    SECOND.store(began, SeqCst);
    interrupts::send_ipi(HERE, 0);
    interrupts::end(interrupts::ipi(THERE));
}

/// Gives the vectors their handlers.
pub(crate) fn prepare() {
    for (intid, entry) in [
        (timer::INTID, bench_here as unsafe extern "C" fn()),
        (interrupts::ipi(HERE), bench_here),
        (interrupts::ipi(THERE), bench_there),
    ] {
        // SAFETY: interrupts are masked but in the waits below, whose registers the handlers keep to.
        unsafe { descriptors::set_interrupt(intid as u8, entry) };
    }
}

/// Runs instructions between two reads of the counter: R8 and R9 keep the first.
macro_rules! bracket {
    ([$($op:literal),*] $($operand:tt)*) => {{
        let (low, high, after_low, after_high): (u32, u32, u32, u32);
        // SAFETY: the operations ask devices and hypervisors for what changes no memory; everything lost is declared.
        unsafe {
            asm!(
                "mov r10, rbx", "rdtsc", "mov r8d, eax", "mov r9d, edx",
                $($op,)*
                "rdtsc", "mov rbx, r10",
                out("r8") low, out("r9") high, lateout("eax") after_low, lateout("edx") after_high, out("r10") _,
                $($operand)*
            );
        }
        let join = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        join(after_high, after_low) - join(high, low)
    }};
}

/// Counts the empty bracket.
pub(crate) fn empty() -> u64 {
    bracket!([])
}

/// Counts four instructions that do nothing.
pub(crate) fn four_nops() -> u64 {
    bracket!(["nop", "nop", "nop", "nop"]) - BRACKET
}

/// Counts a loop of ten million instructions, with one that keeps the counter and one that reads it.
pub(crate) fn ten_million() -> u64 {
    let (before, after): (u32, u32);
    // SAFETY: reads the counter and counts down a register.
    unsafe {
        asm!(
            "mov ecx, 5000000", "rdtsc", "mov r8d, eax",
            "2: dec ecx", "jnz 2b",
            "rdtsc",
            out("ecx") _, out("r8") before, out("eax") after, out("edx") _,
        );
    }
    after.wrapping_sub(before).into()
}

/// Counts CPUID of a leaf.
pub(crate) fn cpuid(leaf: u32) -> u64 {
    bracket!(["mov eax, r11d", "cpuid"] in("r11") leaf, inout("ecx") 0 => _,) - BRACKET - 1
}

/// Counts a hypercall; `None` where there is no hypervisor.
pub(crate) fn hypercall(function: u64) -> Option<u64> {
    let once = if call::is_amd() { vmmcall } else { vmcall };
    let mut counted = None;
    // SAFETY: a fault abandons nothing but the count.
    unsafe { probe(|| counted = Some(once(function))) }.ok().and(counted)
}

fn vmmcall(function: u64) -> u64 {
    bracket!(["mov rax, r11", "vmmcall"] in("r11") function,) - BRACKET - 1
}

fn vmcall(function: u64) -> u64 {
    bracket!(["mov rax, r11", "vmcall"] in("r11") function,) - BRACKET - 1
}

/// Counts a byte from a port.
pub(crate) fn port(number: u16) -> u64 {
    bracket!(["mov edx, r11d", "in al, dx"] in("r11") u32::from(number),) - BRACKET - 1
}

/// Counts the read of a device register.
pub(crate) fn read(address: u64) -> u64 {
    bracket!(["mov ecx, [r11]"] in("r11") address, out("ecx") _,) - BRACKET
}

/// Counts the write of a device register.
pub(crate) fn write(address: u64, value: u32) -> u64 {
    bracket!(["mov [r11], ecx"] in("r11") address, in("ecx") value,) - BRACKET
}

/// Counts the read of an MSR.
pub(crate) fn read_msr(number: u32) -> u64 {
    bracket!(["rdmsr"] in("ecx") number,) - BRACKET
}

/// Counts the write of an MSR.
pub(crate) fn write_msr(number: u32, value: u32) -> u64 {
    bracket!(["mov eax, r11d", "xor edx, edx", "wrmsr"] in("ecx") number, in("r11") value,)
        - BRACKET
        - 2
}

/// Waits until the handler of this CPU has run, spinning or by HLT: when it began.
fn wait(idle: bool) -> u64 {
    let began: u64;
    // SAFETY: the handler changes the registers declared lost here and no other.
    unsafe {
        asm!(
            "xor r15d, r15d", "test {idle}, {idle}", "jnz 3f",
            "sti", "2: test r15, r15", "jz 2b", "cli", "jmp 4f",
            "3: sti", "hlt", "cli", "test r15, r15", "jz 3b",
            "4:",
            idle = in(reg) u64::from(idle),
            out("r15") began, out("rax") _, out("rdx") _,
        );
    }
    began
}

/// Counts from sending an interrupt to this CPU to the first instruction of its handler.
pub(crate) fn ipi_to_self() -> u64 {
    let before = timer::now();
    interrupts::send_ipi(HERE, 0);
    let began = wait(false);
    interrupts::end(interrupts::ipi(HERE));
    began - before
}

/// Counts from the moment the timer is set for to the first instruction of its handler.
pub(crate) fn timer(idle: bool) -> u64 {
    let due = timer::now() + AHEAD;
    timer::arm(due);
    let began = wait(idle);
    interrupts::end(timer::INTID);
    began.saturating_sub(due)
}

/// Starts the second CPU, which waits for interrupts for ever; whether there is one.
pub(crate) fn start_second() -> bool {
    start_cpu(1, |_| {
        interrupts::init();
        loop {
            mask_interrupts();
            wait_for_interrupt();
        }
    })
    .is_ok()
}

/// Sends an interrupt to the waiting second CPU, which answers with one: counts one way and the round trip.
pub(crate) fn ipi() -> (u64, u64) {
    let before = timer::now();
    interrupts::send_ipi(THERE, 1);
    let back = wait(true);
    interrupts::end(interrupts::ipi(HERE));
    (SECOND.load(SeqCst) - before, back - before)
}

/// Idles for a fifth of a second, so that a hypervisor finishes what it has begun: output, other CPUs, clearing memory.
pub(crate) fn settle() {
    timer::arm(timer::now() + timer::frequency() / SETTLE);
    wait(true);
    interrupts::end(timer::INTID);
}
