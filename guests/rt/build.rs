// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tells the linker of every guest where its architecture's `guest.ld` lies. A
//! guest's own build script asks for it: `cargo::rustc-link-arg-bins=-Tguest.ld`.

fn main() {
    let architecture = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let folder = format!("{}/link/{architecture}", env!("CARGO_MANIFEST_DIR"));
    println!("cargo::rerun-if-changed={folder}/guest.ld");
    println!("cargo::rustc-link-search={folder}");
}
