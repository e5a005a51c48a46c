// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tells the linker of every guest where `guest.ld` lies. A guest's own build
//! script asks for it: `cargo::rustc-link-arg-bins=-Tguest.ld`.

fn main() {
    println!("cargo::rerun-if-changed=guest.ld");
    println!("cargo::rustc-link-search={}", env!("CARGO_MANIFEST_DIR"));
}
