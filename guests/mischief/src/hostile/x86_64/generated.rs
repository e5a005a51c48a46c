// SPDX-License-Identifier: MIT OR Apache-2.0
//! Instructions made at run time: any bytes, also across a page's end, also
//! changed by another CPU while they run.

use super::{Code, Outcome, attempt, scratch, window, write_bytes};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use guest_rt::machine::start_cpu;
use guest_rt::power::{StartError, cpu_off};

/// PUSH RBX; POP RBX, RET.
const BEFORE: &[u8] = &[0x53];
const AFTER: &[u8] = &[0x5b, 0xc3];
/// Offset in the scratch memory of the code, and of two pages for code across their border.
const CODE: u64 = 0x1000;
const PAGES: u64 = 0x2000;

/// Runs `bytes` with the arguments in RDI, RSI, RDX and RCX; they may use RBX.
pub(crate) fn generated(bytes: &[u8], arguments: [u64; 4]) -> Outcome {
    let at = scratch() + CODE;
    write_bytes(at, BEFORE);
    write_bytes(at + BEFORE.len() as u64, bytes);
    write_bytes(at + (BEFORE.len() + bytes.len()) as u64, AFTER);
    run(at, arguments)
}

/// Runs `bytes` with `before` of them in one page and the others in the next;
/// without `next` there is none.
pub(crate) fn straddling(bytes: &[u8], before: u64, next: bool, arguments: [u64; 4]) -> Outcome {
    let first = scratch() + PAGES + 0x1000;
    let start = first - BEFORE.len() as u64 - before;
    write_bytes(start, BEFORE);
    write_bytes(start + BEFORE.len() as u64, bytes);
    write_bytes(start + (BEFORE.len() + bytes.len()) as u64, AFTER);
    // Without a next page the code lies at the end of the window's second.
    let at = window(if next { start } else { start - 0x1000 });
    run(if next { at } else { at + 0x1000 }, arguments)
}

fn run(at: u64, arguments: [u64; 4]) -> Outcome {
    // SAFETY: the bytes are a function of this type around a group's instruction; the map lets scratch memory execute.
    let code = unsafe { core::mem::transmute::<u64, Code>(at) };
    attempt(code, arguments)
}

/// What the other CPU writes, where, and whether it goes on.
static WORDS: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];
static RACING: AtomicBool = AtomicBool::new(false);

/// Runs `body` while a second CPU writes the four words over the first word of the code, again and again.
pub(crate) fn race(
    words: [u64; 4],
    mut body: impl FnMut(&dyn Fn([u64; 4]) -> Outcome),
) -> Result<(), StartError> {
    let at = scratch() + CODE;
    write_bytes(at, &words[0].to_le_bytes());
    write_bytes(at + 8, &[0xc3]);
    for (slot, word) in WORDS.iter().zip(words) {
        slot.store(word, Relaxed);
    }
    RACING.store(true, Relaxed);
    start_cpu(1, |_| writer())?;
    body(&|arguments| run(at, arguments));
    RACING.store(false, Relaxed);
    Ok(())
}

fn writer() -> ! {
    // SAFETY: the scratch memory's code, aligned, which the other CPU only executes: a race of instruction bytes is
    // what this is for.
    let at = unsafe { AtomicU64::from_ptr((scratch() + CODE) as *mut u64) };
    while RACING.load(Relaxed) {
        for word in &WORDS {
            at.store(word.load(Relaxed), Relaxed);
            core::hint::spin_loop();
        }
    }
    cpu_off()
}
