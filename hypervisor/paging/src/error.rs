// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a map or unmap was refused. Nothing was changed then.

use crate::{HostPhys, Kind, Rights};
use core::fmt;

/// The store has no table left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfTables;

/// Why a request was refused. Inputs are bare numbers here, because one error
/// serves every format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The length is zero.
    Empty,
    /// This address or length is not a multiple of 4 KiB.
    Unaligned(u64),
    /// The range that starts here runs over the end of the 64-bit numbers.
    Wraps(u64),
    /// The input range ends after this format's last input address.
    InputOutOfRange {
        /// Its last byte.
        last: u64,
        /// How many bits of input the format translates.
        bits: u32,
    },
    /// The host range ends after the last address the machine can form.
    HostOutOfRange {
        /// Its last byte.
        last: u64,
        /// How many bits of output the format can hold.
        bits: u32,
    },
    /// A part of the range is mapped already.
    Overlap {
        /// First input address of the entry that is there.
        input: u64,
        /// What it translates to.
        host: HostPhys,
        /// Its size.
        size: u64,
    },
    /// The format has no entry for this combination.
    Unsupported(Rights, Kind),
    /// The store has no table left.
    OutOfTables,
}

impl From<OutOfTables> for Error {
    fn from(_: OutOfTables) -> Self {
        Self::OutOfTables
    }
}

impl fmt::Display for OutOfTables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no memory left for translation tables")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the range is empty"),
            Self::Unaligned(value) => write!(f, "{value:#x} is not a multiple of 4 KiB"),
            Self::Wraps(start) => write!(f, "the range from {start:#x} wraps around"),
            Self::InputOutOfRange { last, bits } => {
                write!(f, "{last:#x} is beyond the {bits} bits that are translated")
            }
            Self::HostOutOfRange { last, bits } => {
                write!(f, "{last:#x} is beyond the {bits} bits of a physical address")
            }
            Self::Overlap { input, host, size } => {
                write!(f, "{input:#x} is mapped already, to {host}, {size:#x} bytes")
            }
            Self::Unsupported(rights, kind) => {
                write!(f, "{rights} with {kind:?} memory cannot be expressed")
            }
            Self::OutOfTables => OutOfTables.fmt(f),
        }
    }
}

impl core::error::Error for OutOfTables {}
impl core::error::Error for Error {}
