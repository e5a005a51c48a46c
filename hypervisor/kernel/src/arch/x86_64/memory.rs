// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guest memory, of which the kernel maps nothing but the bytes that a step
//! touches, through the CPU's window.
//!
//! Caches are coherent on x86, whatever a guest sets, and so are fetches with
//! the stores of other CPUs: nothing has to be cleaned.

use super::cpu_number;
use super::map::{WINDOW_SIZE, Window};
use super::sysreg::cpuid;
use core::arch::asm;
use core::sync::atomic::AtomicU64;
use paging::HostPhys;

/// Runs `work` on the mapped bytes of a range, piece by piece where it crosses a window's end.
fn pieces(host: HostPhys, len: usize, mut work: impl FnMut(*mut u8, usize, usize)) {
    let mut window = Window::of(cpu_number());
    let mut done = 0;
    while done < len {
        let address = host.get() + done as u64;
        let inside = (address & (WINDOW_SIZE - 1)) as usize;
        let piece = (len - done).min(WINDOW_SIZE as usize - inside);
        // SAFETY: `inside + piece` is at most the window's size.
        work(unsafe { window.on(address).add(inside) }, done, piece);
        done += piece;
    }
}

/// Writes zeros. `host` and `len` are multiples of 4 KiB.
///
/// The caller owns the range: it is a partition's, and no vCPU of it runs.
pub fn zero(host: HostPhys, len: usize) {
    pieces(host, len, |at, _, len| {
        // SAFETY: the window maps `len` bytes at `at`, both multiples of eight.
        unsafe {
            asm!("rep stosq", inout("rdi") at => _, inout("rcx") len / 8 => _, in("rax") 0,
                options(nostack, preserves_flags));
        }
    });
}

/// Copies bytes.
///
/// The caller owns the range: it is a partition's, and no vCPU of it runs.
pub fn copy(host: HostPhys, bytes: &[u8]) {
    pieces(host, bytes.len(), |at, done, len| {
        // SAFETY: the window maps `len` bytes at `at`; `done + len` is at most `bytes.len()`;
        // guest memory is nowhere mapped as a Rust object, so the two do not overlap.
        unsafe {
            let from = bytes.as_ptr().add(done);
            asm!("rep movsq", "mov rcx, {rest}", "rep movsb", rest = in(reg) len % 8,
                inout("rsi") from => _, inout("rdi") at => _, inout("rcx") len / 8 => _,
                options(nostack, preserves_flags));
        }
    });
}

/// Caches are coherent: there is nothing to do.
pub fn clean(_host: HostPhys, _len: usize) {}

/// Instructions that were copied are fetched anew by every CPU: each enters its
/// guest by an instruction that serializes.
pub fn publish_code() {}

/// What was stored in words of the kept memory is in memory from now. Not by WBINVD, which would
/// take everybody's lines from the caches whenever a guest crashes.
pub fn keep(words: &[AtomicU64]) {
    // Every CPU with 64-bit mode has lines of 64 bytes; those of the kept memory begin at one.
    for line in words.chunks(8) {
        // SAFETY: writes back what the caches hold of a line that `line` borrows, and changes no value.
        unsafe {
            core::arch::asm!("clflush [{}]", in(reg) line.as_ptr(), options(nostack, preserves_flags))
        }
    }
    // SAFETY: orders memory accesses alone.
    unsafe { core::arch::asm!("mfence", options(nostack, preserves_flags)) }
}

/// Reads the eight bytes at a multiple of eight, at once, of memory that a guest may write meanwhile.
#[must_use]
pub fn peek(host: HostPhys) -> u64 {
    Reader::new().entry(host.get())
}

/// Writes the eight bytes at a multiple of eight, at once.
pub fn poke(host: HostPhys, value: u64) {
    let mut window = Window::of(cpu_number());
    let inside = (host.get() & (WINDOW_SIZE - 8)) as usize;
    // SAFETY: the window maps the bytes; they are aligned, and a partition's mailbox's.
    unsafe { window.on(host.get()).wrapping_add(inside).cast::<u64>().write_volatile(value) }
}

/// Writes the four bytes at a multiple of four, at once.
pub fn poke32(host: HostPhys, value: u32) {
    let mut window = Window::of(cpu_number());
    let inside = (host.get() & (WINDOW_SIZE - 4)) as usize;
    // SAFETY: the window maps the bytes; they are aligned, and a partition's mailbox's.
    unsafe { window.on(host.get()).wrapping_add(inside).cast::<u32>().write_volatile(value) }
}

/// Guest memory as one step of the hypervisor reads it, wherever that leads.
#[derive(Debug)]
pub(super) struct Reader(Window);

impl Reader {
    /// What this CPU reads with until it is dropped; meanwhile nothing else here is called.
    #[inline(always)]
    pub(super) fn new() -> Self {
        Self(Window::of(cpu_number()))
    }

    /// Reads `N` bytes that do not cross a 2 MiB boundary, of memory that a guest may write meanwhile.
    #[inline(always)]
    pub(super) fn read<const N: usize>(&mut self, host: HostPhys) -> [u8; N] {
        // SAFETY: the window maps the bytes; any are valid.
        unsafe { self.at(host, N).cast::<[u8; N]>().read_volatile() }
    }

    /// Reads the eight bytes at this multiple of eight, at once.
    #[inline(always)]
    pub(super) fn entry(&mut self, host: u64) -> u64 {
        let inside = (host & (WINDOW_SIZE - 8)) as usize;
        // SAFETY: the window maps the bytes, which any value suits; they are aligned.
        unsafe { self.0.on(host).wrapping_add(inside).cast::<u64>().read_volatile() }
    }

    /// Reads eight bytes that do not cross a 2 MiB boundary, wherever they begin.
    #[inline(always)]
    pub(super) fn word(&mut self, host: u64) -> u64 {
        let at = self.at(HostPhys::new(host), size_of::<u64>());
        let value: u64;
        // SAFETY: the window maps the bytes; x86 reads them wherever they begin.
        unsafe {
            asm!("mov {}, [{}]", out(reg) value, in(reg) at,
                options(readonly, nostack, preserves_flags));
        }
        value
    }

    /// Where the window shows `len` bytes, all of them inside.
    #[inline(always)]
    fn at(&mut self, host: HostPhys, len: usize) -> *mut u8 {
        let inside = (host.get() & (WINDOW_SIZE - 1)) as usize;
        self.0.on(host.get()).wrapping_add(inside.min(WINDOW_SIZE as usize - len))
    }
}

/// Writes bytes that do not cross a 2 MiB boundary.
pub(super) fn write(host: HostPhys, bytes: &[u8]) {
    copy(host, bytes);
}

/// CRC-32C of `bytes`, continuing `crc`, by the CPU's own instruction.
#[must_use]
pub fn crc32c(crc: u32, bytes: &[u8]) -> u32 {
    if cpuid(1, 0).ecx & 1 << 20 == 0 {
        return abi::crc32c::small(crc, bytes);
    }
    let mut crc = u64::from(!crc);
    let (words, tail) = bytes.as_chunks::<8>();
    for word in words {
        // SAFETY: the instruction exists, as CPUID says.
        unsafe {
            asm!("crc32 {}, {}", inout(reg) crc, in(reg) u64::from_le_bytes(*word),
                options(pure, nomem, nostack, preserves_flags));
        }
    }
    for byte in tail {
        // SAFETY: as above.
        unsafe {
            asm!("crc32 {0:e}, {1}", inout(reg) crc, in(reg_byte) *byte,
                options(pure, nomem, nostack, preserves_flags));
        }
    }
    !(crc as u32)
}
