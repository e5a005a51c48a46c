// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hands the linker script of this folder to the linker.

fn main() {
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    println!("cargo:rustc-link-arg-bins=-T{folder}/link.ld");
    println!("cargo:rustc-link-arg-bins=--no-rosegment");
    println!("cargo:rerun-if-changed=link.ld");
}
