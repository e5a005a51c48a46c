// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hands the linker the map of the bootable program.

fn main() {
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    println!("cargo::rerun-if-changed=link.ld");
    println!("cargo::rustc-link-arg-bin=bulkhead=-T{folder}/link.ld");
    println!("cargo::rustc-link-arg-bin=bulkhead=--no-eh-frame-hdr");
}
