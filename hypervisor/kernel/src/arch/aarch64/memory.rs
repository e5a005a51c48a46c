// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guest memory, of which the kernel maps nothing but the bytes that a step
//! touches, through the CPU's window.
//!
//! A guest may look at its memory with its caches off, so whatever is written
//! here is cleaned to the point of coherency (Arm ARM, "Cache maintenance
//! instructions", DC CIVAC), and instructions are made visible (IC IALLUIS).

use super::map::{WINDOW_SIZE, with_window};
use super::sysreg::{dsb_sy, isb, mrs};
use super::{cpu_number, windows};
use aarch64_cpu::registers::{ID_AA64ISAR0_EL1, Readable};
use core::sync::atomic::AtomicU64;
use paging::HostPhys;

/// Runs `work` on the mapped bytes of a range, piece by piece where it crosses a window's end.
#[inline(never)]
fn pieces(host: HostPhys, len: usize, work: &mut dyn FnMut(*mut u8, usize, usize)) {
    let mut done = 0;
    while done < len {
        let address = host.get() + done as u64;
        let inside = (address & (WINDOW_SIZE - 1)) as usize;
        let piece = (len - done).min(WINDOW_SIZE as usize - inside);
        with_window(windows(), cpu_number(), address, |window| {
            // SAFETY: `inside + piece` is at most the window's size.
            work(unsafe { window.add(inside) }, done, piece);
        });
        done += piece;
    }
}

/// Writes zeros and cleans them to memory. `host` and `len` are multiples of 4 KiB.
///
/// The caller owns the range: it is a partition's, and no vCPU of it runs.
pub fn zero(host: HostPhys, len: usize) {
    // DCZID_EL0: words of one DC ZVA, as a power of two; bit 4 forbids it.
    let dczid = mrs!("dczid_el0");
    let step = if dczid & 1 << 4 == 0 { 4usize << (dczid & 0xf) } else { 0 };
    pieces(host, len, &mut |at, _, len| {
        // SAFETY: the window maps `len` bytes at `at`, which is page-aligned, and DC ZVA clears
        // `step` bytes, a power of two that divides a page.
        unsafe {
            if step == 0 {
                core::ptr::write_bytes(at, 0, len);
            } else {
                for offset in (0..len).step_by(step) {
                    core::arch::asm!("dc zva, {}", in(reg) at.add(offset), options(nostack, preserves_flags));
                }
            }
        }
        clean_mapped(at, len);
    });
}

/// Copies bytes and cleans them to memory.
///
/// The caller owns the range: it is a partition's, and no vCPU of it runs.
pub fn copy(host: HostPhys, bytes: &[u8]) {
    pieces(host, bytes.len(), &mut |at, done, len| {
        // SAFETY: the window maps `len` bytes at `at`; `done + len` is at most `bytes.len()`;
        // guest memory is nowhere mapped as a Rust object, so the two do not overlap.
        unsafe { copy_wide(bytes.as_ptr().add(done), at, len) }
        clean_mapped(at, len);
    });
}

/// Copies bytes, 64 at a time: a step of 64 KiB takes 10,240 instructions.
///
/// # Safety
/// `len` bytes are readable at `from` and writable at `to`, and do not overlap.
unsafe fn copy_wide(from: *const u8, to: *mut u8, len: usize) {
    let wide = len & !63;
    if wide > 0 {
        // SAFETY: moves `wide` bytes of what the caller promises. Both are normal memory, where
        // an address needs no alignment (SCTLR_EL2.A is 0).
        unsafe {
            core::arch::asm!(
                "2: ldp {a}, {b}, [{from}], #64",
                "ldp {c}, {d}, [{from}, #-48]",
                "ldp {e}, {f}, [{from}, #-32]",
                "ldp {g}, {h}, [{from}, #-16]",
                "stp {a}, {b}, [{to}], #64",
                "stp {c}, {d}, [{to}, #-48]",
                "stp {e}, {f}, [{to}, #-32]",
                "stp {g}, {h}, [{to}, #-16]",
                "subs {left}, {left}, #64",
                "b.ne 2b",
                from = inout(reg) from => _,
                to = inout(reg) to => _,
                left = inout(reg) wide => _,
                a = out(reg) _, b = out(reg) _, c = out(reg) _, d = out(reg) _,
                e = out(reg) _, f = out(reg) _, g = out(reg) _, h = out(reg) _,
                options(nostack)
            );
        }
    }
    // SAFETY: the rest of what the caller promises.
    unsafe { core::ptr::copy_nonoverlapping(from.add(wide), to.add(wide), len - wide) }
}

/// Writes what caches hold of a range back to memory and drops it.
pub fn clean(host: HostPhys, len: usize) {
    pieces(host, len, &mut |at, _, len| clean_mapped(at, len));
}

/// What was stored in words of the kept memory is in memory from now.
pub fn keep(words: &[AtomicU64]) {
    clean_mapped(words.as_ptr().cast_mut().cast(), size_of_val(words));
}

/// Reads the eight bytes at a multiple of eight, at once, of memory that a guest may write meanwhile,
/// with its caches on or off.
#[must_use]
pub fn peek(host: HostPhys) -> u64 {
    clean(host, 8);
    read(host).unwrap_or(0)
}

/// Writes the eight bytes at a multiple of eight, at once, to memory.
pub fn poke(host: HostPhys, value: u64) {
    pieces(host, 8, &mut |at, _, len| {
        // SAFETY: the window maps these bytes, and they are aligned.
        unsafe { at.cast::<u64>().write_volatile(value) }
        clean_mapped(at, len);
    });
}

/// Writes the four bytes at a multiple of four, at once, to memory.
pub fn poke32(host: HostPhys, value: u32) {
    pieces(host, 4, &mut |at, _, len| {
        // SAFETY: the window maps these bytes, and they are aligned.
        unsafe { at.cast::<u32>().write_volatile(value) }
        clean_mapped(at, len);
    });
}

/// Instructions that were copied are fetched anew by every CPU.
pub fn publish_code() {
    dsb_sy();
    // SAFETY: drops cached instructions, which memory still holds.
    unsafe { core::arch::asm!("ic ialluis", options(nostack, preserves_flags)) }
    dsb_sy();
    isb();
}

/// The eight aligned bytes of normal memory that an address lies in.
pub(super) fn read(host: HostPhys) -> Option<u64> {
    let mut double = None;
    pieces(HostPhys::new(host.get() & !7), 8, &mut |at, _, _| {
        // SAFETY: the window maps these bytes, and they are aligned.
        double = Some(unsafe { at.cast::<u64>().read_volatile() });
    });
    double
}

/// Cleans and invalidates mapped bytes to the point of coherency.
fn clean_mapped(at: *mut u8, len: usize) {
    // CTR_EL0.DminLine: words of the smallest data cache line, as a power of two.
    let line = 4usize << (mrs!("ctr_el0") >> 16 & 0xf);
    let start = at as usize & !(line - 1);
    for address in (start..at as usize + len).step_by(line) {
        // SAFETY: maintenance of mapped normal memory changes no value.
        unsafe {
            core::arch::asm!("dc civac, {}", in(reg) address, options(nostack, preserves_flags))
        }
    }
    dsb_sy();
}

/// CRC-32C of `bytes`, continuing `crc`, by the CPU's own instructions.
#[must_use]
pub fn crc32c(crc: u32, bytes: &[u8]) -> u32 {
    if ID_AA64ISAR0_EL1.get() >> 16 & 0xf == 0 {
        return abi::crc32c::small(crc, bytes);
    }
    let mut crc = !crc;
    let (head, words, tail) = {
        // SAFETY: every bit pattern is a u64.
        unsafe { bytes.align_to::<u64>() }
    };
    for byte in head {
        crc = crc_byte(crc, *byte);
    }
    for word in words {
        // SAFETY: the instruction exists, as ID_AA64ISAR0_EL1 says.
        unsafe {
            core::arch::asm!(".arch_extension crc", "crc32cx {0:w}, {0:w}, {1}", ".arch_extension nocrc",
                inout(reg) crc, in(reg) *word, options(pure, nomem, nostack, preserves_flags));
        }
    }
    for byte in tail {
        crc = crc_byte(crc, *byte);
    }
    !crc
}

/// One byte of [`crc32c`].
fn crc_byte(crc: u32, byte: u8) -> u32 {
    let mut crc = crc;
    // SAFETY: the instruction exists: `crc32c` looked.
    unsafe {
        core::arch::asm!(".arch_extension crc", "crc32cb {0:w}, {0:w}, {1:w}", ".arch_extension nocrc",
            inout(reg) crc, in(reg) u32::from(byte), options(pure, nomem, nostack, preserves_flags));
    }
    crc
}
