// SPDX-License-Identifier: MIT OR Apache-2.0
//! Translation tables: one walker, and one file of about ninety lines for each
//! entry format.
//!
//! The kernel owns the memory of the tables and lends it through [`Tables`];
//! this crate decides what is written there and in which order. It runs at
//! boot, so it is written for size and clarity: the walker exists once and
//! meets formats and tables through `dyn`.
//!
//! What always holds:
//! - An operation that returns an error has changed no translation.
//! - A valid entry is never replaced by another valid entry: splitting a block
//!   goes through [`Broken`], so that the caller can break before it makes.
//! - Rights of table entries are the widest there are; the leaf alone decides.
#![no_std]
#![forbid(unsafe_code)]
#![warn(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

mod address;
mod error;
mod format;
mod space;
mod walk;

pub mod ept;
pub mod fake;
pub mod long;
pub mod npt;
pub mod stage1;
pub mod stage2;

pub use address::{Address, GuestPhys, HostPhys, HostVirt};
pub use error::{Error, OutOfTables};
pub use format::{Encode, Entry, Format, Kind, Leaf, Level, Rights, Shape};
pub use space::{Broken, Found, Mapping, Space, Tables};

/// Bytes in a page, and in a table.
pub const PAGE: u64 = 4096;
