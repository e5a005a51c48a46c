// SPDX-License-Identifier: MIT OR Apache-2.0
//! What tells x86's exceptions apart: the vector and, for a page fault, the error code.

use core::fmt;
use guest_rt::machine::{Caught, exception_name};

const PAGE_FAULT: u64 = 14;

/// Vector of an exception and, for a page fault, its error code.
pub(crate) fn exception(caught: &Caught) -> (u64, u64) {
    let vector = caught.vector.number();
    (vector, if vector == PAGE_FAULT { caught.error } else { 0 })
}

/// Names it.
pub(crate) fn name(class: u64, status: u64, to: &mut fmt::Formatter<'_>) -> fmt::Result {
    match (class, exception_name(class)) {
        (PAGE_FAULT, Some(name)) => write!(to, "{name}-{status:#x}"),
        (_, Some(name)) => to.write_str(name),
        (_, None) => write!(to, "vector-{class}"),
    }
}
