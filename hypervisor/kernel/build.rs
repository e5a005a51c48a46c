// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hands the linker the map of the bootable program, which each architecture has its own of.

fn main() {
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let architecture = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    println!("cargo::rerun-if-changed=link-{architecture}.ld");
    println!("cargo::rustc-link-arg-bin=bulkhead=-T{folder}/link-{architecture}.ld");
    println!("cargo::rustc-link-arg-bin=bulkhead=--no-eh-frame-hdr");
}
