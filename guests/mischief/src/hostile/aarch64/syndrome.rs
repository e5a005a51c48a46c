// SPDX-License-Identifier: MIT OR Apache-2.0
//! What tells Arm's exceptions apart.
//! Manual: Arm ARM, "ESR_EL1": the fields EC and, in the ISS of an abort, DFSC.

use core::fmt;
use guest_rt::machine::Caught;

/// Class of an exception and, for aborts, the fault status.
pub(crate) fn exception(caught: &Caught) -> (u64, u64) {
    let class = caught.class();
    let abort = matches!(class, 0x20 | 0x21 | 0x24 | 0x25);
    (class, if abort { caught.esr & 0x3f } else { 0 })
}

/// Names it.
pub(crate) fn name(class: u64, status: u64, to: &mut fmt::Formatter<'_>) -> fmt::Result {
    let name = match class {
        0x00 => "undefined",
        0x07 => "trapped-fp",
        0x0e => "illegal-state",
        0x15 => "svc",
        0x16 => "hvc",
        0x17 => "smc",
        0x18 => "trapped-register",
        0x20 | 0x21 => "instruction-abort",
        0x22 => "pc-alignment",
        0x24 | 0x25 => "data-abort",
        0x26 => "sp-alignment",
        0x2f => "serror",
        0x3c => "brk",
        _ => return write!(to, "exception-{class:#x}"),
    };
    match class {
        0x20 | 0x21 | 0x24 | 0x25 => write!(to, "{name}-{status:#04x}"),
        _ => to.write_str(name),
    }
}
