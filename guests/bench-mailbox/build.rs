// SPDX-License-Identifier: MIT OR Apache-2.0
//! Links with the runtime's script.

fn main() {
    println!("cargo::rustc-link-arg-bins=-Tguest.ld");
}
