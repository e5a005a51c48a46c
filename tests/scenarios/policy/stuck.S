// SPDX-License-Identifier: MIT OR Apache-2.0
// A guest that runs for ever and does nothing. Linked at 0x40100000.

        .global _start
_start: b       _start
