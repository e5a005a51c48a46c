// SPDX-License-Identifier: MIT OR Apache-2.0
//! The `pc` platform's shared devices: what systems do with them, and guests
//! that do anything.

mod hostile;
mod interrupts;
mod machine;
mod time;
