// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a guest sees on CPUs whose answers are known.
