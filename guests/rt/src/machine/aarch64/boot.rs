// SPDX-License-Identifier: MIT OR Apache-2.0
//! The first instructions of every CPU: mask interrupts, take this CPU's
//! stack, point VBAR_EL1 at the vectors, allow floating point, go to Rust.
//! CPU 0 clears .bss first. Entry is at EL1 with the MMU off, as PSCI's
//! "Initial core configuration" and the platform promise.

use super::power::{self, StartError};
use crate::Boot;
use aarch64_cpu::registers::{MPIDR_EL1, Readable};
use core::arch::global_asm;
use core::sync::atomic::{AtomicPtr, Ordering};

/// Bytes of one CPU's stack; `guest.ld` reserves eight of them.
const GUEST_STACK: usize = 0x8000;
/// CPUs that have a stack.
pub(super) const CPUS: usize = 8;

global_asm!(
    r#"
    .section .text.boot, "ax"
    .global _start
_start:
    msr daifset, #0xf
    mov x19, x0
    adrp x1, __bss_start
    add x1, x1, :lo12:__bss_start
    adrp x2, __bss_end
    add x2, x2, :lo12:__bss_end
1:  cmp x1, x2
    b.hs 2f
    stp xzr, xzr, [x1], #16
    b 1b
2:  adrp x20, {primary}
    add x20, x20, :lo12:{primary}
    b 3f

    .global guest_secondary
guest_secondary:
    msr daifset, #0xf
    mov x19, x0
    adrp x20, {secondary}
    add x20, x20, :lo12:{secondary}

3:  mrs x1, mpidr_el1
    and x1, x1, #0xff
    add x1, x1, #1
    mov x2, #{stack}
    adrp x3, __stacks
    add x3, x3, :lo12:__stacks
    madd x1, x1, x2, x3
    msr spsel, #1
    mov sp, x1
    adrp x1, guest_vectors
    add x1, x1, :lo12:guest_vectors
    msr vbar_el1, x1
    mov x1, #(3 << 20)
    msr cpacr_el1, x1
    isb
    mov x29, xzr
    mov x30, xzr
    mov x0, x19
    br x20
"#,
    primary = sym primary,
    secondary = sym secondary,
    stack = const GUEST_STACK,
);

unsafe extern "C" {
    /// Where a secondary CPU starts; defined above.
    safe fn guest_secondary();
}

unsafe extern "Rust" {
    /// Defined by `entry!` in the guest, whose type that macro checks.
    safe fn guest_main(boot: Boot) -> !;
}

extern "C" fn primary(argument: u64) -> ! {
    guest_main(Boot { argument })
}

/// What each secondary CPU runs, written before it is started.
static MAINS: [AtomicPtr<()>; CPUS] = [const { AtomicPtr::new(core::ptr::null_mut()) }; CPUS];

extern "C" fn secondary(index: u64) -> ! {
    let cpu = usize::try_from(index).unwrap_or(0) % CPUS;
    let main = MAINS.get(cpu).map_or(core::ptr::null_mut(), |slot| slot.load(Ordering::Acquire));
    // SAFETY: only `start_cpu` starts a CPU here and it stored a `fn(usize) -> !` in this slot first.
    let main: fn(usize) -> ! = unsafe { core::mem::transmute(main) };
    main(cpu)
}

/// This CPU's number: affinity 0 of MPIDR_EL1.
#[must_use]
pub fn cpu_index() -> usize {
    usize::try_from(MPIDR_EL1.get() & 0xff).unwrap_or(0)
}

/// Starts CPU `index` in `main`, on a stack of its own, interrupts masked and MMU off.
///
/// # Errors
/// [`StartError::NoStack`] from CPU 8 on, else what PSCI's CPU_ON answered.
pub fn start_cpu(index: usize, main: fn(usize) -> !) -> Result<(), StartError> {
    let slot = MAINS.get(index).ok_or(StartError::NoStack)?;
    slot.store(main as *mut (), Ordering::Release);
    aarch64_cpu::asm::barrier::dsb(aarch64_cpu::asm::barrier::SY);
    power::cpu_on(index as u64, guest_secondary as *const () as u64, index as u64)
        .map_err(StartError::Psci)
}

/// The device tree's bytes at `address`, if one lies there.
pub(crate) fn tree_bytes(address: u64) -> Option<&'static [u8]> {
    const MAGIC: u32 = 0xd00d_feed;
    let start = address as *const u32;
    if address == 0 || !start.is_aligned() {
        return None;
    }
    // SAFETY: the caller passes x0 or the start of RAM, both mapped memory on this platform; aligned above.
    let (magic, len) = unsafe { (u32::from_be(start.read()), u32::from_be(start.add(1).read())) };
    if magic != MAGIC {
        return None;
    }
    // SAFETY: the tree's header says that `len` bytes belong to it, and this guest never writes there.
    Some(unsafe { core::slice::from_raw_parts(start.cast(), len as usize) })
}
