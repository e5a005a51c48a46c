// SPDX-License-Identifier: MIT OR Apache-2.0
//! Entry, vectors and the bracketed operations.
//!
//! Interrupts are taken only inside the brackets that wait for one, with
//! registers x9 to x17 declared lost there: the handler saves nothing, so that
//! its first instruction can read the counter. A fault steps over the
//! instruction and says so in x22. The MMU stays off throughout.

use core::arch::{asm, global_asm};

global_asm!(include_str!("entry.S"));

/// Instructions of the bracket alone.
pub(crate) const BRACKET: u64 = 3;
/// INTID of the virtual timer.
const TIMER: u64 = 27;

/// What the entry code noted.
pub(crate) struct Entry {
    tree: u64,
    /// Physical counter at the second instruction.
    pub physical: u64,
    /// Virtual counter one instruction later.
    pub virtual_: u64,
}

impl Entry {
    /// The device tree; empty where there is none.
    pub(crate) fn tree(&self) -> &'static [u8] {
        // An ELF started by QEMU's `-kernel` gets its tree at the start of RAM and no pointer.
        let at = if self.tree == 0 { 0x4000_0000 } else { self.tree };
        let magic = u32::from_be(load(at));
        let length = u32::from_be(load(at + 4));
        if magic != 0xd00d_feed {
            return &[];
        }
        // SAFETY: the loader placed a device tree of this length here (its magic says so) and nothing writes to it.
        unsafe { core::slice::from_raw_parts(at as *const u8, length as usize) }
    }
}

#[unsafe(no_mangle)]
extern "C" fn first_cpu(tree: u64, physical: u64, virtual_: u64) -> ! {
    crate::main(Entry { tree, physical, virtual_ })
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    system_off()
}

/// Reads a 32-bit register or word.
pub(crate) fn load(address: u64) -> u32 {
    let value: u32;
    // SAFETY: callers pass device registers and the device tree; a read of neither breaks memory safety.
    unsafe { asm!("ldr {0:w}, [{1}]", out(reg) value, in(reg) address, options(nostack)) };
    value
}

/// Writes a 32-bit device register.
pub(crate) fn store(address: u64, value: u32) {
    // SAFETY: callers pass device registers from the device tree, where no memory of ours lies.
    unsafe { asm!("str {0:w}, [{1}]", in(reg) value, in(reg) address, options(nostack)) };
}

/// Runs one operation in the empty bracket; `None` if it is undefined here.
macro_rules! bracket {
    ([$($op:literal),*] $($operand:tt)*) => {{
        let (before, after, fault): (u64, u64, u64);
        // SAFETY: the operations read counters, call PSCI or touch device registers; everything lost is declared.
        unsafe {
            asm!(
                "mov x22, #0", "isb", "mrs x20, cntvct_el0", "isb",
                $($op,)*
                "isb", "mrs x21, cntvct_el0",
                out("x20") before, out("x21") after, out("x22") fault,
                $($operand)*
            );
        }
        (fault == 0).then(|| after - before)
    }};
}

/// Counts the empty bracket.
pub(crate) fn empty() -> Option<u64> {
    bracket!([])
}

/// Counts four instructions that do nothing.
pub(crate) fn four_nops() -> Option<u64> {
    bracket!(["nop", "nop", "nop", "nop"])
}

/// Counts a loop of ten million instructions, with two for reading the counter and loading the loop's.
pub(crate) fn ten_million() -> Option<u64> {
    let (before, after): (u64, u64);
    // SAFETY: reads the counter and counts down a register.
    unsafe {
        asm!(
            "mov x22, #0x4b40", "isb", "mrs x20, cntvct_el0",
            "movk x22, #0x4c, lsl #16",
            "2: subs x22, x22, #1", "b.ne 2b",
            "mrs x21, cntvct_el0",
            out("x20") before, out("x21") after, out("x22") _,
        );
    }
    Some(after - before)
}

/// Counts an HVC with function number `function`.
pub(crate) fn hvc(function: u64) -> Option<u64> {
    bracket!(["hvc #0"] inlateout("x0") function => _, clobber_abi("C"))
}

/// Counts a call in the way of Xen, whose cheapest it is: the version hypercall.
pub(crate) fn hvc_vendor() -> Option<u64> {
    bracket!(["hvc #0xea1"] inlateout("x0") 0u64 => _, in("x1") 0u64, in("x16") 17u64, clobber_abi("C"))
}

/// Counts an SMC with function number `function`.
pub(crate) fn smc(function: u64) -> Option<u64> {
    bracket!(["smc #0"] inlateout("x0") function => _, clobber_abi("C"))
}

/// Counts the read of a device register.
pub(crate) fn read(address: u64) -> Option<u64> {
    bracket!(["ldr w9, [x10]"] in("x10") address, out("x9") _, out("x16") _, out("x17") _)
}

/// Counts the write of a device register.
pub(crate) fn write(address: u64, value: u32) -> Option<u64> {
    bracket!(["str w9, [x10]"] in("x10") address, in("x9") value, out("x16") _, out("x17") _)
}

/// Counts from sending an SGI to this CPU to the first instruction of its handler.
pub(crate) fn sgi_to_self() -> u64 {
    let (before, after): (u64, u64);
    // SAFETY: the handler uses only the registers declared lost here.
    unsafe {
        asm!(
            "mov x15, #0", "msr daifclr, #2", "isb",
            "mrs x9, cntvct_el0", "isb",
            "msr S3_0_C12_C11_5, x10",
            "2: cbz x15, 2b",
            "msr daifset, #2",
            out("x9") before, lateout("x15") after, in("x10") target(0, 1),
            out("x13") _, out("x14") _, out("x16") _, out("x17") _,
        );
    }
    after - before
}

/// Counts from the moment the virtual timer is set for to the first instruction of its handler.
pub(crate) fn timer(idle: bool) -> u64 {
    let (due, after): (u64, u64);
    // SAFETY: the handler uses only the registers declared lost here and turns the timer off.
    unsafe {
        asm!(
            "mov x15, #0", "msr daifclr, #2", "isb",
            "mrs x9, cntvct_el0", "mov w10, #20000", "add x9, x9, x10",
            "msr cntv_cval_el0, x9", "mov x10, #1", "msr cntv_ctl_el0, x10", "isb",
            "cbz {idle}, 2f",
            "msr daifset, #2", "wfi", "msr daifclr, #2",
            "2: cbz x15, 2b",
            "msr daifset, #2",
            idle = in(reg) u64::from(idle),
            out("x9") due, out("x10") _, lateout("x15") after,
            out("x13") _, out("x14") _, out("x16") _, out("x17") _,
        );
    }
    after - due
}

/// Starts the second CPU and counts to its first instruction; `None` if there is none.
pub(crate) fn cpu_on(redistributor: u64) -> Option<u64> {
    let (before, after, status): (u64, u64, u64);
    // SAFETY: the second CPU runs `second_cpu` of entry.S on a stack of its own and reports in `SECOND`.
    unsafe {
        asm!(
            "adrp x21, SECOND", "add x21, x21, :lo12:SECOND",
            "adrp x2, second_cpu", "add x2, x2, :lo12:second_cpu",
            "isb", "mrs x20, cntvct_el0",
            "hvc #0",
            "cbnz x0, 3f",
            "2: yield", "ldr x22, [x21]", "cbz x22, 2b",
            "3:",
            out("x20") before, out("x21") _, out("x22") after,
            inlateout("x0") 0xc400_0003u64 => status, in("x1") 1u64, in("x3") redistributor,
            clobber_abi("C"),
        );
    }
    (status == 0).then(|| after - before)
}

/// Sends an SGI to the waiting second CPU, which answers with one: counts one way and the round trip.
pub(crate) fn ipi() -> (u64, u64) {
    let (before, there, back): (u64, u64, u64);
    // SAFETY: the handler uses only the registers declared lost here; the second CPU's writes only `SECOND`.
    unsafe {
        asm!(
            "adrp x11, SECOND", "add x11, x11, :lo12:SECOND",
            "mov x15, #0", "isb",
            "mrs x9, cntvct_el0", "isb",
            "msr S3_0_C12_C11_5, x10", "isb",
            "2: wfi", "msr daifclr, #2", "msr daifset, #2", "cbz x15, 2b",
            "ldr x12, [x11]",
            out("x9") before, out("x12") there, lateout("x15") back, in("x10") target(1, 2),
            out("x11") _, out("x13") _, out("x14") _, out("x16") _, out("x17") _,
        );
    }
    (there - before, back - before)
}

/// ICC_SGI1R_EL1 for SGI `intid` to the CPU with this affinity 0.
fn target(cpu: u64, intid: u64) -> u64 {
    intid << 24 | 1 << cpu
}

/// Idles for a fifth of a second, so that a hypervisor finishes what it has begun: output, other CPUs, clearing memory.
pub(crate) fn settle() {
    // SAFETY: the timer's interrupt ends the wait; its handler uses only the registers declared lost here.
    unsafe {
        asm!(
            "mrs {due}, cntfrq_el0", "mov {five}, #5", "udiv {due}, {due}, {five}",
            "mrs {five}, cntvct_el0", "add {due}, {due}, {five}",
            "msr cntv_cval_el0, {due}", "mov {five}, #1", "msr cntv_ctl_el0, {five}", "isb",
            "2: wfi", "msr daifclr, #2", "isb", "msr daifset, #2",
            "mrs {five}, cntvct_el0", "cmp {five}, {due}", "b.lo 2b",
            due = out(reg) _, five = out(reg) _,
            out("x13") _, out("x14") _, out("x15") _, out("x16") _, out("x17") _,
        );
    }
}

/// Turns the distributor on: affinity routing, group 1.
pub(crate) fn enable_distributor(distributor: u64) {
    store(distributor, 0x12);
}

/// Makes SGIs and the virtual timer deliverable as group 1 on the CPU of this redistributor.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn enable_interrupts(redistributor: u64) {
    store(redistributor + 0x14, 0); // GICR_WAKER: awake
    let private = redistributor + 0x1_0000;
    store(private + 0x80, u32::MAX); // GICR_IGROUPR0
    store(private + 0x100, 1 << TIMER | 0xffff); // GICR_ISENABLER0
    // SAFETY: turns the CPU interface on, as "Programmers' Model" of the GIC asks.
    unsafe {
        asm!(
            "msr S3_0_C12_C12_5, {one}", "isb", // ICC_SRE_EL1
            "msr S3_0_C4_C6_0, {all}",          // ICC_PMR_EL1
            "msr S3_0_C12_C12_7, {one}", "isb", // ICC_IGRPEN1_EL1
            one = in(reg) 1u64, all = in(reg) 0xffu64,
        );
    }
}

/// Turns this machine or partition off.
pub(crate) fn system_off() -> ! {
    loop {
        // SAFETY: PSCI SYSTEM_OFF does not return; if it fails, the CPU waits.
        unsafe { asm!("hvc #0", "wfi", inlateout("x0") 0x8400_0008u64 => _, clobber_abi("C")) };
    }
}
