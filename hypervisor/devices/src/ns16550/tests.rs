// SPDX-License-Identifier: MIT OR Apache-2.0
//! Examples of what drivers do with a 16550.
