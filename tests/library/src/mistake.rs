// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one kind of error that is the caller's own.

use std::error::Error;
use std::fmt;

/// What a user wrote is wrong: where, what, and how it is mended.
#[derive(Debug)]
pub struct Mistake(String);

impl Mistake {
    /// A mistake with its whole text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Mistake {}

/// An `anyhow` error that is a [`Mistake`], for `return Err(mistake(…))`.
pub fn mistake(text: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Mistake::new(text))
}
