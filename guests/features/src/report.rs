// SPDX-License-Identifier: MIT OR Apache-2.0
//! One line for each item, and how many there were of each kind.

use core::fmt;
use guest_rt::println;

/// Why an item failed: what, then the value found and the one that was expected.
#[derive(Clone, Copy)]
pub(crate) struct Wrong(pub &'static str, pub u64, pub u64);

/// What came of an item.
pub(crate) type Result = core::result::Result<(), Wrong>;

/// That a value is what it should be.
pub(crate) fn equal(what: &'static str, found: u64, expected: u64) -> Result {
    if found == expected { Ok(()) } else { Err(Wrong(what, found, expected)) }
}

/// That something holds; `found` explains where it does not.
pub(crate) fn holds(what: &'static str, holds: bool, found: u64) -> Result {
    if holds { Ok(()) } else { Err(Wrong(what, found, 0)) }
}

/// The counts.
pub(crate) struct Report {
    ok: u32,
    failed: u32,
    hidden: u32,
}

impl Report {
    /// No item yet.
    pub(crate) fn new() -> Self {
        Self { ok: 0, failed: 0, hidden: 0 }
    }

    /// Prints and counts an item.
    pub(crate) fn item(&mut self, name: impl fmt::Display, result: Result) {
        match result {
            Ok(()) => {
                self.ok += 1;
                println!("features: {name} ok");
            }
            Err(Wrong(what, found, expected)) => {
                self.failed += 1;
                println!("features: {name} FAILED {what}: {found:#x}, expected {expected:#x}");
            }
        }
    }

    /// Prints and counts something that works though it is not shown.
    pub(crate) fn hidden(&mut self, name: &str) {
        self.hidden += 1;
        println!("features: {name} hidden only by ID register");
    }

    /// Prints what this CPU does not have.
    pub(crate) fn absent(&self, name: &str) {
        println!("features: {name} is not there");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { ok, failed, hidden } = self;
        write!(to, "features: {ok} ok, {failed} failed, {hidden} hidden only by ID register")
    }
}
