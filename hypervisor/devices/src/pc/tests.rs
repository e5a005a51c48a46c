// SPDX-License-Identifier: MIT OR Apache-2.0
//! Examples of what guests do with the platform.
