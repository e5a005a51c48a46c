// SPDX-License-Identifier: MIT OR Apache-2.0
//! The local APIC against a model of it, and against guests that write anything.

mod agree;
mod hostile;
