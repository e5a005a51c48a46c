// SPDX-License-Identifier: MIT OR Apache-2.0
//! A PC's hypervisor under AMD-V: it lies in one block of 2 MiB, where no guest
//! that is measured has anything. VMRUN ends a path and what follows it begins
//! one; interrupts are masked but where the hypervisor lets them in before a
//! CLI, which ends a path and begins another. CPUs are told apart by the base of GS,
//! which the hypervisor keeps different on each, and where that is the guest's, by the
//! control block that a CPU entered.
//!
//! AMD manual volume 2, "VMCB Layout, Control Area", "SVM Intercept Codes".

use crate::counts::Reason;
use crate::qemu::{self, Block, Register};
use crate::{PC, Settings, count, counts, report};
use std::ffi::{c_uint, c_void};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// The hypervisor's block: where it is linked, where it lies, and its size.
const HOME: u64 = 0xffff_ffff_8000_0000;
const HOME_PHYSICAL: u64 = 0x20_0000;
const HOME_SIZE: u64 = 0x20_0000;
/// Encodings, the first byte lowest: each with RAX, which has the VMCB's address.
const VMRUN: u32 = 0xd8_010f;
const VMSAVE: u32 = 0xdb_010f;
const CLI: u32 = 0xfa;
/// Bytes from VMRUN on in which the base of GS is the guest's.
const GUEST_BASE: u64 = 0x20;
/// Places in a VMCB: EXITCODE, EXITINFO1, EXITINFO2, RAX.
const EXIT_CODE: u64 = 0x70;
const EXIT_INFO: [u64; 2] = [0x78, 0x80];
const GUEST_RAX: u64 = 0x5f8;
/// Exit codes: an interrupt, a hypercall, and those with a detail.
const INTERRUPT: u64 = 0x60;
const CALL: u64 = 0x81;
const PORT: u64 = 0x7b;
const MSR: u64 = 0x7c;
const NESTED_FAULT: u64 = 0x400;
/// [`Reason::class`] is the exit code and this, which no class of Arm's has.
const CLASS: u64 = 0x1000;

/// A guest has run.
static RUNS: AtomicBool = AtomicBool::new(false);
/// Where VMRUN is.
static ENTRY: AtomicU64 = AtomicU64::new(0);

/// What is read of a CPU.
pub(crate) struct Registers {
    code: Register,
    local: Register,
    rax: Register,
    rcx: Register,
}

impl Registers {
    /// Found if the machine is a PC.
    pub(crate) fn find() -> Option<Self> {
        let find = Register::find;
        let (code, local) = (find("cs")?, find("gs_base")?);
        Some(Self { code, local, rax: find("rax")?, rcx: find("rcx")? })
    }
}

/// Marks the instructions of a block of the hypervisor.
pub(crate) fn translated(block: *mut Block, settings: &Settings, registers: &Registers) {
    // SAFETY: QEMU passed this block to the callback that called this.
    let mut instructions = unsafe { qemu::instructions(block) }.peekable();
    let Some(first) = instructions.peek() else { return };
    if first.address().wrapping_sub(HOME) >= HOME_SIZE {
        if settings.until_user && RUNS.load(Relaxed) && registers.code.read() & 3 == 3 {
            report(settings);
        }
        return;
    }
    let begins = first.address().wrapping_sub(ENTRY.load(Relaxed)) >= GUEST_BASE;
    for (index, instruction) in instructions.enumerate() {
        let encoding = instruction.encoding();
        if encoding == VMRUN {
            ENTRY.store(instruction.address(), Relaxed);
        } else if index == 0 && begins {
            instruction.call(begin, 0);
        }
        if encoding == VMSAVE {
            instruction.call(enter, 0);
        }
        instruction.call(count, settings.function(instruction.address()));
        match encoding {
            VMRUN => instruction.call(leave, 0),
            CLI => instruction.call(look, 0),
            _ => (),
        }
    }
}

/// Runs at the start of each block: which CPU runs it?
extern "C" fn begin(_: c_uint, _: *mut c_void) {
    if let Some(Some(registers)) = PC.get() {
        counts().run_on(registers.local.read());
    }
}

/// Runs on VMSAVE, which stands behind VMRUN.
extern "C" fn enter(_: c_uint, _: *mut c_void) {
    let Some(Some(registers)) = PC.get() else { return };
    let mut counts = counts();
    let block = registers.rax.read();
    if !counts.run_on_guests(block) {
        return;
    }
    let vmcb = block.wrapping_sub(HOME_PHYSICAL).wrapping_add(HOME);
    let read = |place| qemu::read_memory(vmcb.wrapping_add(place)).unwrap_or(0);
    let code = read(EXIT_CODE);
    let detail = match code {
        PORT => read(EXIT_INFO[0]) >> 16 & 0xffff,
        MSR => registers.rcx.read() & 0xffff_ffff,
        NESTED_FAULT => read(EXIT_INFO[1]) >> 12 << 12,
        _ => 0,
    };
    let vector = u64::from(code == INTERRUPT);
    counts.exit(Reason { vector, class: CLASS + code, detail });
    if code == CALL {
        counts.call(read(GUEST_RAX));
    }
}

/// Runs on VMRUN, after it is counted.
extern "C" fn leave(_: c_uint, _: *mut c_void) {
    let Some(Some(registers)) = PC.get() else { return };
    RUNS.store(true, Relaxed);
    let mut counts = counts();
    counts.enters(registers.rax.read());
    counts.leave(true);
}

/// Runs on CLI: before it, interrupts were taken.
extern "C" fn look(_: c_uint, _: *mut c_void) {
    let mut counts = counts();
    if !counts.takes_fresh() && RUNS.load(Relaxed) {
        counts.look();
    }
}
