// SPDX-License-Identifier: MIT OR Apache-2.0
//! An entry that VT-x refused. The kernel writes down the fields that the CPU
//! looked at, and `cargo xtask explain` says in words what is wrong with them.
//!
//! Intel SDM, volume 3: "Checks on the Guest State Area", "VM-Instruction Error Field".

use super::{Guest, fields as field};
use core::fmt;

/// Eight fields from each of these on. The instruction error comes first, because reading a
/// field that the CPU does not have changes it.
const ROWS: [u32; 13] = [
    field::INSTRUCTION_ERROR,
    field::QUALIFICATION,
    field::PIN,
    0x4010,
    field::GUEST_SELECTOR,
    field::LINK,
    0x2810,
    field::GUEST_LIMIT,
    0x4810,
    0x4820,
    field::GUEST_CR0,
    0x6810,
    0x6820,
];

impl Guest {
    /// Writes down what an entry that failed was to load, on the console.
    #[cold]
    pub(in super::super) fn record(&self, tell: &mut dyn FnMut(fmt::Arguments<'_>)) {
        for first in ROWS {
            let [a, b, c, d, e, f, g, h] =
                [0, 2, 4, 6, 8, 10, 12, 14].map(|at| field::read(first + at));
            tell(format_args!("vmcs {first:x} {a:x} {b:x} {c:x} {d:x} {e:x} {f:x} {g:x} {h:x}"));
        }
    }
}

/// Makes every entry on CPU 1 fail: flags without the bit that is always one, and a segment
/// that reaches further than its granularity allows.
#[cfg(feature = "entry-test")]
pub(super) fn provoke() {
    const NO_SUCH_LIMIT: u64 = 0x1000_0000;
    if super::super::cpu_number() == 1 {
        field::write(field::GUEST_RFLAGS, 0);
        field::write(field::GUEST_LIMIT, NO_SUCH_LIMIT);
    }
}
