// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask`: everything a person types at Bulkhead. The library does it.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    xtask::main()
}
